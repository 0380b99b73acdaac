//! An accept loop with the limits that a gateway on an open port needs.
//!
//! A host that already listens keeps its own loop; what to set there is in the table.
//!
//! | limit | default | what happens past it |
//! | --- | --- | --- |
//! | open connections | 10,000 | nobody is accepted until one closes; a full descriptor table is waited out, not spun on |
//! | first request's head, and each head from its first byte | 10 s | the connection is closed |
//! | silence between requests | 75 s | the connection is closed |
//! | a write that makes no progress | 30 s | the connection is closed, and with it the answer; over HTTP/2, one stream of it |
//! | a head's size, its headers | 64 KiB, 100 | 431 |
//! | one host, one coding, no tunnel | always | 400, and the connection is closed |
//! | HTTP/2: streams open at once | 100 | further ones are refused |
//! | HTTP/2: resets, continuations and small data without sense | some dozens to hundreds | the connection is told to calm down, and closed |
//! | HTTP/2: settings and pings without a request | the silence above | they break no silence |
//! | running answers at a shutdown | 30 s | they are dropped |
//!
//! HTTP/1.1 and HTTP/2 (with prior knowledge) share the port. A peer that closes its sending half is taken to have left:
//! over HTTP/1 nothing else tells a running call that nobody waits for it.
//!
//! ```no_run
//! # use std::convert::Infallible;
//! # use bytes::Bytes;
//! # use http::{Request, Response};
//! # use http_body_util::Full;
//! use portcullis::server::{RequestBody, Server};
//!
//! # async fn doc() -> std::io::Result<()> {
//! let service = tower::service_fn(|_: Request<RequestBody>| async {
//!     Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("hello"))))
//! });
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8787").await?;
//! let ended = Server::new(listener).serve(service, std::future::pending()).await;
//! assert_eq!(ended.dropped, 0);
//! # Ok(())
//! # }
//! ```

mod connection;
mod guard;
mod listen;
mod quiet;
mod request;
mod spread;
mod streams;

pub use self::{
    listen::{Ended, Server},
    request::RequestBody,
};

use std::time::Duration;

/// What a connection may take.
#[derive(Clone, Copy, Debug)]
struct Limits {
    head: Duration,
    idle: Duration,
    write_stall: Duration,
}
