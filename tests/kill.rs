//! The example binary, killed with signal 9 again and again under load: no bill is lost, none is written twice.
#![cfg(all(unix, feature = "full"))]

mod support;

use std::{
    collections::HashMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
};

use portcullis::store::RecordRow;
use support::{
    answers::{openai_answer, openai_events},
    provider::Provider,
    script::Script,
};

/// How often the process is killed; a longer run by hand names more.
const ROUNDS: &str = "PORTCULLIS_KILL_ROUNDS";
const CLIENTS: usize = 4;

struct Gateway {
    child: Child,
    address: String,
}

impl Gateway {
    fn start(folder: &Path) -> Self {
        let test = std::env::current_exe().expect("this test has a path");
        let binary = test.parent().and_then(Path::parent).expect("deps is in the profile's folder").join("examples/gateway");
        let mut command = Command::new(binary);
        command.current_dir(folder).env_clear().args(["--listen", "127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the example is built");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let address = lines.find_map(|line| line.ok()?.strip_prefix("listening on http://").map(str::to_owned)).expect("it listens");
        Self { child, address }
    }

    /// `SIGKILL`: nothing is flushed, nothing is settled.
    fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it is ours");
    }
}

/// Sends one call and reads all of the answer; gives its id if the whole of it came.
fn call(address: &str, number: u32) -> Option<String> {
    let stream = number % 2 == 1;
    let body = format!(r#"{{"model":"gpt","stream":{stream},"messages":[{{"role":"user","content":"number {number}"}}]}}"#);
    let mut socket = TcpStream::connect(address).ok()?;
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\ncontent-type: application/json\r\n";
    write!(socket, "{head}content-length: {}\r\n\r\n{body}", body.len()).ok()?;
    let mut answer = Vec::new();
    // A killed process resets or closes: the end of what came decides.
    let _ = socket.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let id = head.lines().find_map(|line| line.strip_prefix("x-request-id: "))?.to_owned();
    let whole = if stream { body.contains("data: [DONE]\n\n") } else { body.ends_with('}') };
    (head.starts_with("HTTP/1.1 200") && whole).then_some(id)
}

/// All records by id: how often each stands, and the attempts in it.
fn records(folder: &Path) -> HashMap<String, (u32, usize)> {
    let database = rusqlite::Connection::open(folder.join("gateway.db")).expect("a database");
    let mut query = database.prepare("SELECT id, record FROM records").expect("a table");
    let rows = query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?))).expect("rows");
    let mut records = HashMap::new();
    for row in rows {
        let (id, packed) = row.expect("a row");
        let record = RecordRow::read(&packed).and_then(|row| row.json()).expect("a record");
        let record: serde_json::Value = serde_json::from_str(&record).expect("a record is JSON");
        let entry = records.entry(id).or_insert((0, 0));
        entry.0 += 1;
        entry.1 += record["attempts"].as_array().map_or(0, Vec::len);
    }
    records
}

fn folder() -> PathBuf {
    let path = std::env::temp_dir().join(format!("portcullis-kill-{}", std::process::id()));
    fs::create_dir_all(&path).expect("a folder");
    path
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f060_kill_9_loses_no_bill_and_writes_none_twice() {
    let rounds = std::env::var(ROUNDS).ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(8_u32);
    let provider = Provider::answering(|request| match request.json()["stream"].as_bool() {
        Some(true) => Script::sse(openai_events(&["one ", "two"])),
        _ => Script::json(200, openai_answer("one two")),
    })
    .await;
    let folder = folder();
    let base = provider.url("/v1");
    let file = format!(
        "[auth]\nmode = \"open\"\n[providers.openai]\nkind = \"openai\"\napi_key = \"sk-fake\"\nbase_url = \"{base}\"\n\
         [[models]]\nid = \"gpt\"\ntargets = [{{ provider = \"openai\", model = \"gpt-4o-mini\", price = {{ input = \"1\", output = \"2\" }} }}]\n"
    );
    fs::write(folder.join("gateway.toml"), file).expect("a configuration");

    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let number = Arc::new(AtomicU32::new(0));
    for round in 0..rounds {
        let gateway = Gateway::start(&folder);
        let over = Arc::new(AtomicBool::new(false));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let (address, over, number, acknowledged) = (gateway.address.clone(), over.clone(), number.clone(), acknowledged.clone());
                thread::spawn(move || {
                    while !over.load(Ordering::Relaxed) {
                        if let Some(id) = call(&address, number.fetch_add(1, Ordering::Relaxed)) {
                            acknowledged.lock().expect("no client panics").push(id);
                        }
                    }
                })
            })
            .collect();
        // Killed after another number of requests each time, wherever they are.
        let due = provider.counts().requests + 5 + 7 * round as usize;
        provider.until(|counts| counts.requests >= due).await;
        gateway.kill();
        over.store(true, Ordering::Relaxed);
        tokio::task::spawn_blocking(move || clients.into_iter().for_each(|client| client.join().expect("no client panics")))
            .await
            .expect("it is joined");
    }

    // The last one starts in peace, brings in what the others left, and says so by being asked.
    let gateway = Gateway::start(&folder);
    let last = call(&gateway.address, 0).expect("an answer in peace");
    acknowledged.lock().expect("no client panics").push(last);
    let mut socket = TcpStream::connect(&gateway.address).expect("it listens");
    let id = acknowledged.lock().expect("no client panics")[0].clone();
    write!(socket, "GET /v1/generations?id={id} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("it answers");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    let records = records(&folder);
    let acknowledged = acknowledged.lock().expect("no client panics");
    assert!(acknowledged.len() > rounds as usize, "{} calls were acknowledged", acknowledged.len());
    for id in acknowledged.iter() {
        assert_eq!(records.get(id).map(|(times, _)| *times), Some(1), "{id} was acknowledged");
    }
    assert!(records.values().all(|(times, _)| *times == 1), "a record stands twice");
    let attempts: usize = records.values().map(|(_, attempts)| attempts).sum();
    let dispatched = provider.counts().requests;
    assert!(attempts >= dispatched, "{dispatched} requests reached the provider, {attempts} attempts are accounted for");
    gateway.kill();
    let _ = fs::remove_dir_all(&folder);
}
