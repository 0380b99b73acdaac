//! Each example, run as its reader would run it.
#![cfg(feature = "full")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
};

/// A running example; ended when dropped.
struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    fn start(name: &str, environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(binary(name));
        command.env("PORT", "0").envs(environment.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, stdout }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }

    /// The address it says it listens on.
    fn address(&mut self) -> String {
        let line = self.line();
        line.strip_prefix("listening on http://").unwrap_or_else(|| panic!("{line}")).to_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where cargo puts examples: beside the folder of the running test.
fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("this test has a path");
    let target = test.parent().and_then(|deps| deps.parent()).expect("deps is in the profile's folder");
    target.join("examples").join(name)
}

/// Sends a request and gives all of the answer.
fn http(address: &str, method: &str, path: &str, body: &str) -> String {
    let mut socket = TcpStream::connect(address).expect("it listens");
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\n");
    write!(socket, "{head}content-length: {length}\r\n\r\n{body}").expect("it reads");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("it answers");
    answer
}

const CHAT: &str = r#"{"model":"demo/echo","messages":[{"role":"user","content":"one two"}]}"#;

#[test]
fn embed_axum() {
    let mut example = Running::start("embed_axum", &[]);
    let address = example.address();
    assert!(http(&address, "GET", "/", "").contains("the application's own"));
    assert!(http(&address, "POST", "/llm/v1/chat/completions", CHAT).contains("one two"));
    assert!(http(&address, "GET", "/spent", "").ends_with("1 calls so far"));
    assert!(http(&address, "GET", "/llm/v1/models", "").contains("demo/echo"));
}

#[test]
fn embed_hyper() {
    let mut example = Running::start("embed_hyper", &[]);
    let address = example.address();
    assert!(http(&address, "POST", "/llm/v1/chat/completions", CHAT).contains("one two"));
    assert!(http(&address, "POST", "/llm/v1/messages", &CHAT.replace("\"messages\"", "\"max_tokens\":9,\"messages\"")).contains("one two"));
    assert!(http(&address, "GET", "/llm/v1/chat/completions", "").starts_with("HTTP/1.1 405"));
    assert!(http(&address, "GET", "/llm/else", "").contains("/llm/else is not the gateway's"));
    assert!(http(&address, "GET", "/v1/models", "").contains("/v1/models is not the gateway's"));
}

#[test]
fn custom_layer() {
    let mut example = Running::start("custom_layer", &[]);
    let lines: Vec<String> = std::iter::repeat_with(|| example.line()).take_while(|line| !line.is_empty()).collect();
    assert_eq!(lines[0], "200 OK");
    assert_eq!(lines[2], "400 Bad Request");
    assert!(lines[3].contains("are too long here"), "{lines:#?}");
    assert_eq!(lines[4..], ["record: complete None", "record: failed Some(\"invalid_request\")"]);
}

#[test]
fn meter_only() {
    let mut upstream = Running::start("embed_axum", &[]);
    let base = format!("http://{}", upstream.address());
    let mut example = Running::start("meter_only", &[("UPSTREAM", &format!("{base}/llm"))]);
    let address = example.address();
    let answer = http(&address, "POST", "/v1/chat/completions", CHAT);
    assert!(answer.contains("one two"), "{answer}");
    let line = example.line();
    assert!(line.starts_with("G-") && line.ends_with("complete Reported 2"), "{line}");
}
