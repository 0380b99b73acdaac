//! Who asks: a few connections, each with one request after the other.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::JoinSet};

use super::{
    gateway::KEY,
    samples::{Api, Ask},
};

/// One request, and how its answer ends.
#[derive(Clone)]
pub struct Workload {
    pub name: &'static str,
    path: &'static str,
    body: Bytes,
    ending: &'static [u8],
}

impl Workload {
    pub fn new(name: &'static str, api: Api, model: &str, ask: Ask, stream: bool, ending: &'static [u8]) -> Self {
        Self { name, path: api.path(), body: api.request(model, ask, stream).into(), ending }
    }
}

/// Whom to ask, and for how long.
#[derive(Clone, Copy)]
pub struct Load {
    pub address: SocketAddr,
    pub connections: usize,
    pub time: Duration,
}

/// What came of it.
pub struct Asked {
    pub requests: u64,
    /// How long one took, on average.
    pub elapsed: Duration,
}

impl Load {
    /// Asks at least once on each connection, and finishes what it began.
    pub async fn run(self, workload: &Workload) -> Asked {
        let mut tasks = JoinSet::new();
        let until = Instant::now() + self.time;
        for _ in 0..self.connections {
            let workload = workload.clone();
            tasks.spawn(async move {
                let mut connection = connect(self.address).await;
                let (begun, mut requests) = (Instant::now(), 0);
                while requests == 0 || Instant::now() < until {
                    ask(&mut connection, self.address, &workload).await;
                    requests += 1;
                }
                (requests, begun.elapsed())
            });
        }
        let all = tasks.join_all().await;
        let requests: u64 = all.iter().map(|(requests, _)| requests).sum();
        let total: Duration = all.iter().map(|(_, elapsed)| *elapsed).sum();
        Asked { requests, elapsed: total.div_f64(requests as f64) }
    }
}

async fn connect(address: SocketAddr) -> SendRequest<Full<Bytes>> {
    let socket = TcpStream::connect(address).await.expect("it listens");
    socket.set_nodelay(true).expect("a socket");
    let (sender, connection) = handshake(TokioIo::new(socket)).await.expect("HTTP");
    tokio::spawn(connection);
    sender
}

async fn ask(connection: &mut SendRequest<Full<Bytes>>, address: SocketAddr, workload: &Workload) {
    let request = Request::post(workload.path)
        .header(header::HOST, address.to_string())
        .header(header::AUTHORIZATION, format!("Bearer {KEY}"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(workload.body.clone()))
        .expect("sound");
    connection.ready().await.expect("an open connection");
    let response = connection.send_request(request).await.expect("an answer");
    let status = response.status();
    let mut body = response.into_body();
    // As much of the end as is looked at: a frame may be cut anywhere.
    let mut last = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.expect("a whole answer").into_data() {
            last.extend_from_slice(&data);
            last.drain(..last.len().saturating_sub(LAST));
        }
    }
    assert_eq!(status, StatusCode::OK, "{}: {}", workload.name, String::from_utf8_lossy(&last));
    assert!(last.ends_with(workload.ending), "{}: {}", workload.name, String::from_utf8_lossy(&last));
}

const LAST: usize = 256;
