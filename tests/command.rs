//! The example binary, from outside.
#![cfg(all(unix, feature = "config"))]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

/// A folder of its own, gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("portcullis-command-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, text: &str) {
        fs::write(self.0.join("gateway.toml"), text).unwrap();
    }

    /// The binary, in this folder and with an empty environment.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.current_dir(&self.0).env_clear().args(arguments).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What a command prints that must not fail.
    fn said(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn serve(&self) -> Gateway {
        Gateway::start(self.command(&["--listen", "127.0.0.1:0"]))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// `target/debug/examples/gateway`, beside `target/debug/deps/command-...`.
fn binary() -> PathBuf {
    let deps = std::env::current_exe().unwrap();
    let path = deps.parent().and_then(Path::parent).unwrap().join("examples/gateway");
    assert!(path.exists(), "{} is not built: cargo build --features full --examples", path.display());
    path
}

/// A running gateway, killed with the test.
struct Gateway {
    child: Child,
    address: String,
    output: BufReader<std::process::ChildStdout>,
}

impl Gateway {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").unwrap_or_else(|| panic!("{line}")).to_owned();
        Self { child, address, output }
    }

    /// The lines up to one that begins with `end`, that one included.
    fn lines_to(&mut self, end: &str) -> Vec<String> {
        let mut lines = Vec::new();
        while lines.last().is_none_or(|line: &String| !line.starts_with(end)) {
            let mut line = String::new();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "{lines:?}");
            lines.push(line.trim_end().to_owned());
        }
        lines
    }

    /// The key of the first start.
    fn key(&mut self) -> String {
        self.lines_to("aistats_v1_k_").pop().unwrap()
    }

    fn send(&self, key: &str, request: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let head = format!("{request} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\nconnection: close\r\n");
        write!(stream, "{head}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
        stream
    }

    /// The whole answer to a request, head included.
    fn ask(&self, key: &str, request: &str, body: &str) -> String {
        let mut answer = String::new();
        self.send(key, request, body).read_to_string(&mut answer).unwrap();
        answer
    }

    fn chat(&self, key: &str, model: &str) -> String {
        self.ask(key, "POST /v1/chat/completions", &chat(model, false))
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap().success());
    }

    fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn chat(model: &str, stream: bool) -> String {
    format!(r#"{{"model":"{model}","stream":{stream},"messages":[{{"role":"user","content":"Hello!"}}]}}"#)
}

/// Waits until `is` holds.
fn until(what: &str, mut is: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is() {
        assert!(started.elapsed() < Duration::from_secs(60), "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A provider that begins a stream, and goes on when the listener's owner says so.
struct Provider {
    listener: TcpListener,
}

impl Provider {
    fn new() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").unwrap() }
    }

    fn configuration(&self, more: &str) -> String {
        let address = self.listener.local_addr().unwrap();
        format!(
            "[providers.far]\nkind = \"openai-compatible\"\nbase_url = \"http://{address}\"\n\
             [[models]]\nid = \"far/slow\"\ntargets = [{{ provider = \"far\", model = \"slow\" }}]\n{more}"
        )
    }

    /// Takes a call and begins to answer it.
    fn begin(&self) -> TcpStream {
        let (mut stream, _) = self.listener.accept().unwrap();
        let mut read = [0; 4096];
        assert!(stream.read(&mut read).unwrap() > 0);
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n").unwrap();
        write!(stream, "data: {}\n\n", chunk(r#"{"role":"assistant","content":"Hel"}"#, "null")).unwrap();
        stream
    }
}

fn chunk(delta: &str, finish: &str) -> String {
    format!(
        r#"{{"id":"c1","object":"chat.completion.chunk","created":1,"model":"slow","choices":[{{"index":0,"delta":{delta},"finish_reason":{finish}}}]}}"#
    )
}

fn finish(mut stream: TcpStream) {
    write!(stream, "data: {}\n\ndata: [DONE]\n\n", chunk(r#"{"content":"lo"}"#, "\"stop\"")).unwrap();
}

/// A gateway with a stream that runs, and the provider's side of it.
fn streaming(provider: &Provider, folder: &Folder) -> (Gateway, TcpStream, TcpStream) {
    let mut gateway = folder.serve();
    let key = gateway.key();
    let caller = gateway.send(&key, "POST /v1/chat/completions", &chat("far/slow", true));
    let answering = provider.begin();
    let mut first = [0; 1];
    (&caller).read_exact(&mut first).unwrap();
    (gateway, caller, answering)
}

#[test]
fn the_first_start_prints_a_key_and_a_line_that_works() {
    let folder = Folder::new();
    let mut gateway = folder.serve();
    let key = gateway.key();
    let curl = gateway.lines_to("curl ").pop().unwrap();
    assert!(curl.contains(&format!("http://{}/v1/chat/completions", gateway.address)) && curl.contains(&key), "{curl}");
    let body = curl.split_once("-d '").unwrap().1.trim_end_matches('\'');
    let answer = gateway.ask(&key, "POST /v1/chat/completions", body);
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("Hello!"), "{answer}");
    assert!(gateway.ask("nobody", "GET /v1/models", "").starts_with("HTTP/1.1 401"));
    assert!(folder.0.join("gateway.db").exists());

    // What it cost is in the books by now or very soon.
    let id = answer.split_once("x-request-id: ").unwrap().1.split_once("\r\n").unwrap().0;
    let record = gateway.ask(&key, &format!("GET /v1/generations?id={id}"), "");
    assert!(record.starts_with("HTTP/1.1 200 OK") && record.contains("demo/echo"), "{record}");
    until("the call is summed up", || folder.said(&["usage"]).contains("demo/echo"));
    assert!(folder.said(&["usage", "--by", "provider"]).lines().nth(1).unwrap().starts_with("demo"));

    gateway.signal("-TERM");
    assert_eq!(gateway.wait().code(), Some(0));
    // The second start has nothing to tell, and the key still works.
    let mut again = folder.serve();
    assert!(again.chat(&key, "demo/echo").starts_with("HTTP/1.1 200 OK"));
    again.signal("-INT");
    assert_eq!(again.wait().code(), Some(0));
    let mut rest = String::new();
    again.output.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}

#[test]
fn the_first_start_prints_a_line_that_works_where_nothing_is_configured() {
    // A provider alone has no model that a line could name.
    for configuration in ["", "[providers.openai]\napi_key = \"sk-1\"\n"] {
        let folder = Folder::new();
        folder.write(configuration);
        let mut gateway = folder.serve();
        let key = gateway.key();
        let curl = gateway.lines_to("curl ").pop().unwrap();
        assert_eq!(curl.trim_end(), format!("curl http://{}/v1/models -H 'authorization: Bearer {key}'", gateway.address));
        assert!(gateway.ask(&key, "GET /v1/models", "").starts_with("HTTP/1.1 200 OK"));
    }
}

#[test]
fn a_key_whose_scopes_let_nothing_through_is_not_made() {
    let folder = Folder::new();
    for (scope, name, said) in [
        ("--operations", "chat,foo", "no operation is called `foo`; there are chat, embeddings, images, moderations"),
        ("--providers", "zz", "no provider is called `zz`; there are demo"),
        ("--models", "demo/echo,demo/other", "no model is called `demo/other`: the command `models` lists them by id"),
        ("--models", "nobody/*", "no model is called `nobody/*`: the command `models` lists them by id"),
    ] {
        let output = folder.run(&["keys", "create", "--name", "s", scope, name]);
        assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).trim_end()), (Some(2), said));
        assert!(output.stdout.is_empty());
    }
    assert_eq!(folder.said(&["keys", "list"]), "");
    for (scope, name) in [("--operations", "chat,images"), ("--providers", "demo"), ("--models", "demo/echo"), ("--models", "demo/*,*")] {
        folder.said(&["keys", "create", "--name", "s", scope, name]);
    }
    // What a wildcard stands for is somebody's model, listed or not.
    folder.write("[providers.openai]\napi_key = \"sk-1\"\n");
    for model in ["openai/gpt-9", "openai/*", "openai/gpt-*", "open*"] {
        folder.said(&["keys", "create", "--name", "s", "--models", model]);
    }
}

#[test]
fn f005_a_change_on_the_command_line_reaches_the_running_gateway() {
    let folder = Folder::new();
    let mut gateway = folder.serve();
    let first = gateway.key();
    let status = |key: &str| gateway.ask(key, "GET /v1/models", "").get(9..12).unwrap_or_default().to_owned();
    assert_eq!(status(&first), "200");

    folder.said(&["keys", "pause", &first]);
    until("the paused key stops to work", || status(&first) == "401");
    folder.said(&["keys", "resume", &first]);
    until("the resumed key works", || status(&first) == "200");

    let second = folder.said(&["keys", "create", "--name", "second", "--operations", "embeddings"]);
    let second = second.trim();
    until("the new key works", || status(second) == "200");
    assert!(gateway.chat(second, "demo/echo").starts_with("HTTP/1.1 403"), "its scopes hold");

    let rotated = folder.said(&["keys", "rotate", second, "--grace", "0s"]);
    until("the old secret stops to work", || status(second) == "401");
    assert_eq!(status(rotated.trim()), "200");
    // At once, though the gateway knows the key by its last secret.
    for _ in 0..3 {
        let again = folder.said(&["keys", "rotate", second]);
        assert_eq!(status(again.trim()), "200");
    }
    folder.said(&["keys", "revoke", second]);
    until("the revoked key stops to work", || status(rotated.trim()) == "401");

    let list = folder.said(&["keys", "list"]);
    assert!(list.contains("first") && list.contains("second") && list.contains("revoked"), "{list}");
    assert!(!list.contains("aistats_v1"), "no key is shown twice");
    let unknown = folder.run(&["keys", "pause", "kidAAAA00001"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unknown.stderr).starts_with("cannot pause the key: "));
}

#[test]
fn f059_a_signal_lets_running_streams_finish() {
    let (provider, folder) = (Provider::new(), Folder::new());
    folder.write(&provider.configuration(""));
    let (mut gateway, mut caller, answering) = streaming(&provider, &folder);
    gateway.signal("-TERM");
    until("nobody is let in", || TcpStream::connect(&gateway.address).is_err());
    assert!(gateway.child.try_wait().unwrap().is_none(), "it waits for the stream");
    finish(answering);
    let mut rest = String::new();
    caller.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("data: [DONE]"), "{rest}");
    assert_eq!(gateway.wait().code(), Some(0));
    assert!(folder.said(&["usage"]).contains("far/slow"), "its record was written");
}

#[test]
fn f059_the_exit_code_says_that_streams_were_ended() {
    let (provider, folder) = (Provider::new(), Folder::new());
    folder.write(&provider.configuration("[limits]\ndrain = \"100ms\""));
    let (mut gateway, mut caller, _answering) = streaming(&provider, &folder);
    gateway.signal("-TERM");
    assert_eq!(gateway.wait().code(), Some(3));
    let mut rest = Vec::new();
    let _ = caller.read_to_end(&mut rest);
    assert!(!String::from_utf8_lossy(&rest).contains("[DONE]"), "it does not look like a normal end");
    assert!(folder.said(&["usage"]).contains("far/slow"), "its record was written");
}

#[test]
fn f059_a_second_signal_ends_it_now() {
    let (provider, folder) = (Provider::new(), Folder::new());
    folder.write(&provider.configuration(""));
    let (mut gateway, mut caller, _answering) = streaming(&provider, &folder);
    gateway.signal("-TERM");
    until("it drains", || TcpStream::connect(&gateway.address).is_err());
    gateway.signal("-TERM");
    assert_eq!(gateway.wait().code(), Some(4));
    // The caller is told, and its connection ends as it should: with the last chunk.
    let mut rest = String::from("H");
    caller.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("data: {\"error\"") && rest.ends_with("0\r\n\r\n") && !rest.contains("[DONE]"), "{rest}");
    let id = rest.split_once("x-request-id: ").unwrap().1.split_once("\r\n").unwrap().0;
    let key = folder.said(&["keys", "create", "--name", "reader"]);
    let record = folder.serve().ask(key.trim(), &format!("GET /v1/generations?id={id}"), "");
    for member in [r#""outcome":"cancelled""#, r#""fault":"cancelled""#, r#""error_origin":"gateway""#] {
        assert!(record.contains(member), "{record}");
    }
}

#[test]
fn check_names_what_is_wrong() {
    let folder = Folder::new();
    assert_eq!(folder.said(&["check"]), "the environment is sound: 1 providers, 1 models, 0 wildcards\n");
    folder.write("[providers.openai]\napi_key = \"${OPENAI_API_KEY}\"\nmodel = 1\n");
    for arguments in [&["check"][..], &["serve"], &["--config", "gateway.toml", "keys", "list"]] {
        let output = folder.run(arguments);
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8(output.stderr).unwrap();
        let lines: Vec<_> = said.lines().collect();
        assert_eq!(lines[0], "gateway.toml:2:11: providers.openai.api_key: environment variable OPENAI_API_KEY is not set");
        assert!(lines[1].starts_with("gateway.toml:3:1: providers.openai.model: this key is not known here"), "{said}");
    }
    let missing = folder.run(&["--config", "other.toml", "check"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&missing.stderr).starts_with("other.toml cannot be read: "));
    assert!(!folder.0.join("gateway.db").exists(), "nothing was made");
}

#[test]
fn models_are_listed_with_their_prices() {
    let folder = Folder::new();
    folder.write(
        "[providers.demo]\n[[models]]\nid = \"a/b\"\naliases = [\"c\"]\n\
         targets = [{ provider = \"demo\", model = \"echo\", price = { input = \"0.05\" } }]\n\
         [[models]]\nid = \"demo/*\"\ntargets = [{ provider = \"demo\", model = \"*\" }]\n",
    );
    let expected = "a/b = c\n  demo echo  0.05 in, - out (USD per million tokens)\ndemo/*\n  demo *\n";
    assert_eq!(folder.said(&["models"]), expected);
}

#[test]
fn f063_a_second_gateway_on_the_same_state_says_so() {
    let folder = Folder::new();
    let mut gateway = folder.serve();
    gateway.key();
    let second = folder.run(&["--listen", "127.0.0.1:0"]);
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(said.contains("cannot open the journal in gateway.state"), "{said}");
    let taken = folder.run(&["--listen", &gateway.address]);
    assert_eq!(taken.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&taken.stderr).contains(&format!("cannot listen on {}", gateway.address)));
}

#[cfg(target_os = "linux")]
#[test]
fn f024_without_descriptors_it_waits_and_recovers() {
    let folder = Folder::new();
    folder.write("workers = 1\n[providers.demo]\n[[models]]\nid = \"demo/echo\"\ntargets = [{ provider = \"demo\", model = \"echo\" }]");
    let mut command = Command::new("sh");
    command.current_dir(&folder.0).env_clear().stdin(Stdio::null());
    command.args(["-c", "ulimit -n 48; exec \"$0\" --listen 127.0.0.1:0"]).arg(binary());
    let mut gateway = Gateway::start(command);
    let key = gateway.key();
    let address: std::net::SocketAddr = gateway.address.parse().unwrap();
    let many: Vec<_> = (0..80).map(|_| TcpStream::connect_timeout(&address, Duration::from_secs(10)).unwrap()).collect();
    // An accept loop that spins takes a whole core. A second is what is looked at, not waited for: a busy machine only makes
    // what it takes less.
    let ticks = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", gateway.child.id())).unwrap();
        stat.rsplit_once(')').unwrap().1.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum::<u64>()
    };
    let before = ticks();
    thread::sleep(Duration::from_secs(1));
    assert!(ticks() - before < 50, "half a core is no waiting");
    drop(many);
    assert!(gateway.chat(&key, "demo/echo").starts_with("HTTP/1.1 200 OK"));
}

#[cfg(target_os = "linux")]
#[test]
fn threads_that_cannot_be_had_are_an_error() {
    let folder = Folder::new();
    folder.write("workers = 40\n[providers.demo]");
    let mut command = Command::new("sh");
    command.current_dir(&folder.0).env_clear().stdin(Stdio::null());
    command.args(["-c", "ulimit -n 48; exec \"$0\" --listen 127.0.0.1:0"]).arg(binary());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("cannot start a thread to serve"), "{said}");
    assert!(output.stdout.is_empty(), "no key was made that nobody can use");
}

#[test]
fn where_to_listen() {
    let folder = Folder::new();
    let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (configured, port) = (free(), free());
    // The variable, when nobody says more.
    let mut command = folder.command(&[]);
    command.env("PORT", port.port().to_string());
    assert_eq!(Gateway::start(command).address, port.to_string());
    let output = folder.command(&[]).env("PORT", "eighty").output().unwrap();
    assert_eq!((output.status.code(), &*output.stderr), (Some(2), &b"PORT names no port\n"[..]));
    // The configuration before the variable.
    folder.write(&format!("listen = \"{configured}\"\n[providers.demo]\n[auth]\nmode = \"open\""));
    let mut command = folder.command(&[]);
    command.env("PORT", port.port().to_string());
    let gateway = Gateway::start(command);
    assert_eq!(gateway.address, configured.to_string());
    assert!(gateway.chat("", "demo/echo").starts_with("HTTP/1.1 200 OK"), "nobody needs a key");
    drop(gateway);
    // Open to everybody is for loopback addresses.
    let open = folder.run(&["--listen", "0.0.0.0:0"]);
    assert_eq!(open.status.code(), Some(2));
}

#[test]
fn how_much_is_logged() {
    let folder = Folder::new();
    folder.write("[providers.demo]\n[auth]\npepper = \"for everybody to read\"");
    fs::set_permissions(folder.0.join("gateway.toml"), fs::Permissions::from_mode(0o644)).unwrap();
    for (level, warns) in [(None, true), (Some("warn"), true), (Some("error"), false)] {
        let mut command = folder.command(&["--listen", "127.0.0.1:0"]);
        command.envs(level.map(|level| ("GATEWAY_LOG", level))).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // It says where it listens when it has said what is unwise.
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut String::new()).unwrap();
        child.kill().unwrap();
        let said = String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap();
        assert_eq!(said.contains("everybody on this machine can read it"), warns, "{level:?}: {said}");
    }
}
