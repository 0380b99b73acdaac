//! Requests that two servers may read differently, byte by byte through the listener.
#![cfg(all(feature = "client", feature = "server"))]

mod support;

use std::net::SocketAddr;

use portcullis::{
    auth::{CachedKeys, MemoryKeys, Pepper},
    catalog::{Catalog, ModelEntry, Preset, TargetEntry},
    gateway::Gateway,
    server::Server,
    transport::Transport,
};
use support::{
    answers::*,
    script::Script,
    stack::{Stack, chat},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Duration, timeout},
};

async fn listen(gateway: Gateway) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(Server::new(listener).serve(gateway, std::future::pending()));
    address
}

/// Sends `bytes` and closes its side; gives all that comes back.
async fn send(address: SocketAddr, bytes: &str) -> String {
    let socket = TcpStream::connect(address).await.unwrap();
    let (mut read, mut write) = socket.into_split();
    let writing = async {
        // The server may close first.
        let _ = write.write_all(bytes.as_bytes()).await;
        write
    };
    let reading = async {
        let mut said = Vec::new();
        let _ = timeout(Duration::from_secs(60), read.read_to_end(&mut said)).await.expect("it is closed");
        String::from_utf8_lossy(&said).into_owned()
    };
    tokio::join!(writing, reading).1
}

/// The statuses of all answers: a body may end without a line break.
fn statuses(said: &str) -> Vec<&str> {
    said.match_indices("HTTP/1.").map(|(at, _)| &said[at + 9..at + 12]).collect()
}

const HEAD: &str = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";

/// What one server may take for a body, and another for the next request.
#[tokio::test]
async fn f014_a_hidden_request_is_never_seen() {
    let body = chat("gpt", false);
    let n = body.len();
    let hidden = format!("{HEAD}content-length: {n}\r\n\r\n{body}");
    let chunked = format!("{n:x}\r\n{body}\r\n0\r\n\r\n");
    let length = |value: &str| format!("{HEAD}content-length{value}\r\n\r\n{body}");
    let coding = |value: &str| format!("{HEAD}transfer-encoding{value}\r\n\r\n{chunked}");
    let chunk = |chunk: &str| format!("{HEAD}transfer-encoding: chunked\r\n\r\n{chunk}\r\n0\r\n\r\n");
    let stack = Stack::start().await;
    let address = listen(stack.gateway.clone()).await;
    for request in [
        coding(": chunked\r\ntransfer-encoding: chunked"),
        coding(": chunked, identity"),
        coding(": identity, chunked"),
        coding(": gzip, chunked"),
        coding(": chunked, chunked"),
        coding(": xchunked"),
        coding(": \u{b}chunked"),
        coding(": \"chunked\""),
        coding(" : chunked"),
        coding(":\r\n chunked"),
        length(&format!(": {n}\r\ncontent-length: 5")),
        length(&format!(": 5, {n}")),
        length(&format!(": {n}, {n}")),
        length(&format!(": +{n}")),
        length(": -1"),
        length(": 0x10"),
        length(&format!(": {n} {n}")),
        length(": 99999999999999999999999"),
        length(&format!(" : {n}")),
        length(&format!(": {n}\r\nx-a: b\r\n content-length: 5")),
        length(&format!(": {n}\r\nx-a: b\rcontent-length: 5")),
        length(&format!(": {n}\r\nx-a: b\0c")),
        length(&format!(": {n}\r\n : b")),
        length(&format!(": {n}\r\nhost: y")),
        chunk(&format!("{n:x};a=\nb\r\n{body}")),
        chunk(&format!("{n:x}\n{body}")),
        chunk(&format!("-{n:x}\r\n{body}")),
        chunk(&format!("+{n:x}\r\n{body}")),
        chunk(&format!("0x{n:x}\r\n{body}")),
        chunk(&format!("fffffffffffffffff\r\n{body}")),
        chunk(&format!("{n:x}\r\n{body}xx")),
        hidden.replace("host: x\r\n", ""),
        hidden.replace("HTTP/1.1", "HTTP/1.2"),
        hidden.replace("HTTP/1.1", "HTTP/2.0"),
        coding(": chunked\r\nconnection: keep-alive").replace("HTTP/1.1", "HTTP/1.0"),
    ] {
        let said = send(address, &format!("{request}{hidden}")).await;
        assert_eq!(statuses(&said), ["400"], "{request}\n{said}");
    }
    assert_eq!(stack.openai.received().len(), 0);
    // A coding beats a length, as HTTP has it, and the connection ends there.
    for both in [format!(": chunked\r\ncontent-length: {n}"), ": chunked\r\ncontent-length: 4".into()] {
        stack.openai.play(Script::json(200, openai_answer("Hi")));
        let said = send(address, &format!("{}{hidden}", coding(&both))).await;
        assert_eq!(statuses(&said), ["200"], "{said}");
        assert!(said.to_lowercase().contains("connection: close"), "{said}");
    }
    assert_eq!(stack.openai.received().len(), 2);
}

#[tokio::test]
async fn f015_there_is_no_tunnel() {
    let stack = Stack::start().await;
    let address = listen(stack.gateway.clone()).await;
    let hidden = "GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let said = send(address, &format!("CONNECT 10.0.0.1:80 HTTP/1.1\r\nhost: 10.0.0.1:80\r\n\r\n{hidden}")).await;
    assert_eq!(statuses(&said), ["400"], "what follows is nobody's request: {said}");
    // An upgrade is not taken up: what follows is the next request, and answered as such.
    let body = chat("gpt", false);
    for upgrade in [
        "upgrade: h2c\r\nconnection: upgrade, http2-settings\r\nhttp2-settings: AAMAAABkAAQAAP__",
        "upgrade: websocket\r\nconnection: upgrade",
    ] {
        stack.openai.play(Script::json(200, openai_answer("Hi")));
        let request = format!("{HEAD}{upgrade}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let said = send(address, &format!("{request}{hidden}")).await;
        assert_eq!(statuses(&said), ["200", "200"], "{said}");
        assert!(!said.contains(" 101 ") && !said.to_lowercase().contains("\r\nupgrade:"), "{said}");
    }
    let head = "GET /v1/realtime HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n";
    let key = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n";
    let said = send(address, &format!("{head}{key}{hidden}")).await;
    assert!(matches!(statuses(&said)[..], ["405" | "501", "200"]), "{said}");
    assert!(stack.openai.received().iter().all(|request| request.header("upgrade").is_none() && request.header("connection").is_none()));
}

/// The path that is routed is the path that is asked a key for, and no spelling is both one and another.
#[tokio::test]
async fn f013_no_spelling_of_a_path_opens_it() {
    let catalog = Catalog::builder()
        .provider(Preset::DEMO.account("demo").build().unwrap())
        .model(ModelEntry::new("demo/echo").target(TargetEntry::new("demo", "echo")))
        .build()
        .unwrap();
    let keys = CachedKeys::new(MemoryKeys::new(), Pepper::new("pepper-for-tests").unwrap());
    let (gateway, _driver) = Gateway::builder(catalog).keys(keys).unmetered().build(Transport::local());
    let address = listen(gateway).await;
    let body = chat("demo/echo", false);
    for target in [
        "/v1/models",
        "//v1/models",
        "/v1//models",
        "/v1/models/",
        "/v1/models//",
        "/v1/./models",
        "/v1/../v1/models",
        "/healthz/../v1/models",
        "/healthz/%2e%2e/v1/models",
        "/healthz/..;/v1/models",
        "/healthz%2f..%2fv1/models",
        "/healthz;/v1/models",
        "/healthz?/v1/models",
        "/v1/healthz/../models",
        "/v1%2fmodels",
        "/%76%31/models",
        "/v1/models;x=1",
        "/v1/models%00",
        "/v1/models%20",
        "/v1/models%3f",
        "/v1/models#x",
        "/V1/models",
        "/v1/Models",
        "\\v1\\models",
        "/v1\\models",
        "http://x/v1/models",
        "http://x:1@y/v1/models",
        "http:///v1/models",
        "x:80",
        "*",
        "v1/models",
        "/v1/chat/completions",
        "/v1/chat/completions/",
        "/v1/chat%2fcompletions",
        "/v1/chat/./completions",
        "/v1/messages?beta=true",
        "/v1/generations?id=G-01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "/metrics",
        "/admin",
    ] {
        for method in ["GET", "POST", "HEAD", "OPTIONS", "TRACE", "get"] {
            let head = format!("{method} {target} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nconnection: close\r\n");
            let said = send(address, &format!("{head}content-length: {}\r\n\r\n{body}", body.len())).await;
            let [status] = statuses(&said)[..] else { panic!("{method} {target}: {said}") };
            // `/healthz` is open, and a query changes no path.
            let open = target.starts_with("/healthz?") && matches!(method, "GET" | "HEAD");
            assert!(if open { status == "200" } else { matches!(status, "400" | "401" | "404" | "405") }, "{method} {target}: {said}");
            assert!(!said.contains("demo/echo"), "{method} {target}: {said}");
        }
    }
}
