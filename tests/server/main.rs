//! The accept loop, by raw sockets.
#![cfg(feature = "server")]

mod http2;

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use hyper_util::rt::{TokioExecutor, TokioIo};
use portcullis::server::{Ended, RequestBody, Server};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Handle,
    sync::{Notify, mpsc, oneshot},
    task::JoinHandle,
    time::{sleep, timeout},
};
use tower::service_fn;

const HOUR: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(100);

/// A body of so many parts, some of them endless, that tells when it is dropped.
struct Parts {
    left: usize,
    size: usize,
    /// Whether the last part never comes.
    hangs: bool,
    dropped: Option<mpsc::UnboundedSender<()>>,
}

impl Body for Parts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.left {
            0 if self.hangs => Poll::Pending,
            0 => Poll::Ready(None),
            _ => {
                self.left -= 1;
                Poll::Ready(Some(Ok(Frame::data(vec![b'x'; self.size].into()))))
            }
        }
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        if let Some(dropped) = &self.dropped {
            let _ = dropped.send(());
        }
    }
}

/// A running server.
struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Ended>,
}

/// What the service does with a path.
#[derive(Clone)]
struct House {
    dropped: mpsc::UnboundedSender<()>,
    inside: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    release: Arc<Notify>,
}

impl House {
    fn new() -> (Self, mpsc::UnboundedReceiver<()>) {
        let (dropped, drops) = mpsc::unbounded_channel();
        let house = Self { dropped, inside: Arc::default(), most: Arc::default(), release: Arc::new(Notify::new()) };
        (house, drops)
    }

    /// Waits until somebody is inside.
    async fn entered(&self) {
        soon(async {
            while self.inside.load(SeqCst) == 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    async fn answer(self, request: Request<RequestBody>) -> Result<Response<Parts>, Infallible> {
        let parts = |left, size, hangs| Parts { left, size, hangs, dropped: Some(self.dropped.clone()) };
        let body = match request.uri().path() {
            "/endless" => parts(usize::MAX, 64 << 10, false),
            "/hangs" => parts(1, 2, true),
            // Counts how often the answer is asked for, once the request was read.
            "/polls" => {
                let mut work = pin!(async {
                    request.into_body().collect().await.unwrap();
                    self.inside.fetch_add(1, SeqCst);
                    self.release.notified().await;
                });
                let counted = |cx: &mut Context<'_>| {
                    self.most.fetch_add(1, SeqCst);
                    work.as_mut().poll(cx)
                };
                poll_fn(counted).await;
                parts(1, 2, false)
            }
            path @ ("/wait" | "/unread" | "/apart") => {
                let body = parts(1, 2, false);
                // The body is read here, not at all, or by a task of its own.
                let mut unread = None;
                match path {
                    "/wait" => _ = request.into_body().collect().await.unwrap(),
                    "/unread" => unread = Some(request),
                    _ => _ = tokio::spawn(request.into_body().collect()).await.unwrap().unwrap(),
                }
                let now = self.inside.fetch_add(1, SeqCst) + 1;
                self.most.fetch_max(now, SeqCst);
                self.release.notified().await;
                self.inside.fetch_sub(1, SeqCst);
                drop(unread);
                body
            }
            _ => parts(1, 2, false),
        };
        Ok(Response::new(body))
    }
}

async fn run(house: &House, configure: impl FnOnce(Server) -> Server) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let house = house.clone();
    let service = service_fn(move |request| house.clone().answer(request));
    let server = configure(Server::new(listener));
    let ended = tokio::spawn(server.serve(service, async { drop(stopped.await) }));
    Running { address, stop, ended }
}

impl Running {
    async fn open(&self, bytes: impl AsRef<[u8]>) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes.as_ref()).await.unwrap();
        stream
    }

    async fn stop(self) -> Ended {
        self.stop.send(()).unwrap();
        soon(self.ended).await.unwrap()
    }
}

/// What should happen at once on any machine.
async fn soon<F: Future>(future: F) -> F::Output {
    timeout(Duration::from_secs(60), future).await.expect("in time")
}

/// Reads to the end, however it comes, and gives what was read.
async fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = soon(stream.read_to_end(&mut bytes)).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads one answer of two bytes.
async fn answer(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"0\r\n\r\n") {
        let read = soon(stream.read_buf(&mut bytes)).await.unwrap();
        assert!(read > 0, "closed after {:?}", String::from_utf8_lossy(&bytes));
    }
    String::from_utf8(bytes).unwrap()
}

const GET: &str = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";

#[tokio::test]
async fn f019_a_slow_head_is_not_waited_for() {
    let (house, _) = House::new();
    let server = run(&house, |server| server.head_timeout(SHORT).idle_timeout(HOUR)).await;
    for start in ["", "G", "P", "PRI * HTTP/2.0\r\n", "GET / HTTP/1.1\r\nhost:"] {
        let stream = server.open(start).await;
        assert!(!rest(stream).await.contains("200 OK"), "{start}");
    }
    // The second head of a connection too.
    let mut stream = server.open(GET).await;
    answer(&mut stream).await;
    stream.write_all(b"GET / HT").await.unwrap();
    assert_eq!(rest(stream).await, "");
}

#[tokio::test]
async fn the_last_piece_of_a_body_wakes_nobody() {
    let (house, _) = House::new();
    let server = run(&house, |server| server).await;
    let mut stream = server.open("").await;
    for request in 1..=2 {
        stream.write_all(b"POST /polls HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello").await.unwrap();
        soon(async {
            while house.inside.load(SeqCst) < request {
                tokio::task::yield_now().await;
            }
        })
        .await;
        // Whoever was woken has run by then.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        // Once to read the request, and once, of each before, to answer it.
        assert_eq!(house.most.load(SeqCst), 2 * request - 1);
        house.release.notify_one();
        answer(&mut stream).await;
    }
}

#[tokio::test]
async fn a_body_that_nobody_reads_is_not_asked_for() {
    let (house, _) = House::new();
    let server = run(&house, |server| server).await;
    let mut stream = server.open("POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n").await;
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn silence_between_requests_is_no_slow_head() {
    let (house, _) = House::new();
    let server = run(&house, |server| server.head_timeout(SHORT).idle_timeout(HOUR)).await;
    let mut stream = server.open(GET).await;
    for _ in 0..2 {
        assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200 OK"));
        sleep(SHORT * 3).await;
        stream.write_all(GET.as_bytes()).await.unwrap();
    }
    answer(&mut stream).await;
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let (house, _) = House::new();
    let server = run(&house, |server| server.idle_timeout(SHORT)).await;
    let mut stream = server.open(GET).await;
    answer(&mut stream).await;
    assert_eq!(rest(stream).await, "");
}

#[tokio::test]
async fn a_long_answer_is_not_idle() {
    let (house, _) = House::new();
    let server = run(&house, |server| server.idle_timeout(SHORT).head_timeout(SHORT)).await;
    let mut stream = server.open("GET /wait HTTP/1.1\r\nhost: x\r\n\r\n").await;
    sleep(SHORT * 4).await;
    house.release.notify_one();
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn f024_no_more_connections_than_allowed() {
    let (house, _) = House::new();
    let server = run(&house, |server| server.connections(2)).await;
    let streams: Vec<_> = {
        let mut streams = Vec::new();
        for _ in 0..6 {
            streams.push(server.open("GET /wait HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await);
        }
        streams
    };
    let release = house.release.clone();
    let releasing = tokio::spawn(async move {
        loop {
            release.notify_one();
            tokio::task::yield_now().await;
        }
    });
    for stream in streams {
        assert!(rest(stream).await.starts_with("HTTP/1.1 200 OK"), "those that waited are served in their turn");
    }
    releasing.abort();
    assert!(house.most.load(SeqCst) <= 2);
}

/// Runtimes of one thread, each of which tells its name.
fn runtimes(names: &[&'static str]) -> (Vec<Handle>, Vec<oneshot::Sender<()>>) {
    let start = |name: &&'static str| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (handle, (stop, stopped)) = (runtime.handle().clone(), oneshot::channel::<()>());
        let run = move || drop(runtime.block_on(stopped));
        std::thread::Builder::new().name((*name).into()).spawn(run).unwrap();
        (handle, stop)
    };
    names.iter().map(start).unzip()
}

#[tokio::test]
async fn each_connection_is_served_where_the_fewest_are() {
    let (handles, running) = runtimes(&["east", "west"]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let service = service_fn(|_| async {
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        Ok::<_, Infallible>(Response::new(http_body_util::Full::new(Bytes::from(name))))
    });
    let server = Server::new(listener).runtimes(handles);
    let ended = tokio::spawn(server.serve(service, async { drop(stopped.await) }));
    let mut streams = Vec::new();
    for at in ["east", "west", "east", "west"] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // Its requests stay where it is.
        for _ in 0..2 {
            stream.write_all(GET.as_bytes()).await.unwrap();
            let mut bytes = Vec::new();
            while !bytes.ends_with(at.as_bytes()) {
                assert!(soon(stream.read_buf(&mut bytes)).await.unwrap() > 0, "{}", String::from_utf8_lossy(&bytes));
            }
        }
        streams.push(stream);
    }
    // Connections at rest do not outlast the server.
    stop.send(()).unwrap();
    assert_eq!(soon(ended).await.unwrap(), Ended { dropped: 0 });
    for stream in streams {
        assert_eq!(rest(stream).await, "");
    }
    drop(running);
}

#[tokio::test]
async fn without_a_runtime_left_the_accepting_one_serves() {
    let (handles, running) = runtimes(&["gone"]);
    drop(running);
    let gone = handles.clone();
    let (house, _) = House::new();
    let server = run(&house, |server| server.runtimes(handles)).await;
    // Nothing runs on it any more.
    soon(async { while gone[0].spawn(async {}).await.is_ok() {} }).await;
    assert_eq!(rest(server.open("").await).await, "", "the first it is given is closed");
    assert!(answer(&mut server.open(GET).await).await.starts_with("HTTP/1.1 200 OK"));
    assert_eq!(server.stop().await, Ended { dropped: 0 });
}

#[tokio::test]
async fn the_streams_of_one_connection_have_all_runtimes() {
    let (handles, running) = runtimes(&["east", "west"]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (told, mut names) = mpsc::unbounded_channel();
    let service = service_fn(move |_| {
        let told = told.clone();
        async move {
            told.send(std::thread::current().name().unwrap_or_default().to_owned()).unwrap();
            std::future::pending::<Result<Response<http_body_util::Empty<Bytes>>, Infallible>>().await
        }
    });
    let serving = tokio::spawn(Server::new(listener).runtimes(handles).serve(service, std::future::pending()));
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut client, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut calls = Vec::new();
    let mut seen = Vec::new();
    for _ in 0..5 {
        let request = Request::get(format!("http://{address}/")).body(http_body_util::Empty::<Bytes>::new()).unwrap();
        calls.push(tokio::spawn(client.send_request(request)));
        seen.push(soon(names.recv()).await.unwrap());
    }
    // The connection itself is in the east.
    assert_eq!(seen, ["west", "east", "west", "east", "west"]);
    serving.abort();
    drop(running);
}

#[tokio::test]
async fn f054_a_peer_that_does_not_read_is_given_up() {
    let (house, mut drops) = House::new();
    let server = run(&house, |server| server.write_stall(SHORT)).await;
    let stream = server.open("GET /endless HTTP/1.1\r\nhost: x\r\n\r\n").await;
    soon(drops.recv()).await.unwrap();
    drop(stream);
}

#[tokio::test]
async fn f053_a_peer_that_leaves_is_noticed() {
    let (house, mut drops) = House::new();
    let server = run(&house, |server| server.write_stall(HOUR)).await;
    // Before its answer, within it, and while that waits to be read.
    for path in ["wait", "unread", "apart", "hangs", "endless"] {
        let bodies = ["", "content-length: 5\r\n\r\nhello", "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"];
        for body in bodies {
            let request = match body {
                "" => format!("GET /{path} HTTP/1.1\r\nhost: x\r\n\r\n"),
                _ => format!("POST /{path} HTTP/1.1\r\nhost: x\r\n{body}"),
            };
            // At once, and once the request has been read; all of the connection, and the sending half only.
            for (known, all) in [(false, false), (true, false), (true, true)] {
                let mut stream = server.open(&request).await;
                match (known, path) {
                    (false, _) => {}
                    (true, "wait" | "unread" | "apart") => house.entered().await,
                    (true, _) => _ = soon(stream.read_exact(&mut [0; 1])).await.unwrap(),
                }
                stream.shutdown().await.unwrap();
                let half = Some(stream).filter(|_| !all);
                soon(drops.recv()).await.unwrap();
                drop(half);
                house.inside.store(0, SeqCst);
            }
        }
    }
}

#[tokio::test]
async fn requests_sent_ahead_are_answered_in_turn() {
    let (house, _) = House::new();
    let server = run(&house, |server| server).await;
    let mut stream = server.open("GET /wait HTTP/1.1\r\nhost: x\r\n\r\nGET /pol").await;
    house.entered().await;
    stream.write_all(b"ls HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    house.release.notify_one();
    answer(&mut stream).await;
    house.release.notify_one();
    answer(&mut stream).await;
}

#[tokio::test]
async fn f018_heads_have_their_limits() {
    let (house, _) = House::new();
    let server = run(&house, |server| server).await;
    let many = format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(100));
    let long = format!("GET / HTTP/1.1\r\nhost: x\r\na: {}\r\n\r\n", "b".repeat(1 << 20));
    let uri = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(100_000));
    for (head, statuses) in [(many, ["431", "431"]), (long, ["431", "431"]), (uri, ["414", "431"])] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let (mut read, mut write) = stream.split();
        // The server answers and closes before it has read all.
        let (_, said) = tokio::join!(async { drop(write.write_all(head.as_bytes()).await) }, async {
            let mut said = [0; 12];
            soon(read.read_exact(&mut said)).await.map(|_| String::from_utf8_lossy(&said).into_owned())
        });
        let said = said.unwrap();
        assert!(statuses.iter().any(|status| said == format!("HTTP/1.1 {status}")), "{said}");
    }
}

#[tokio::test]
async fn http2_shares_the_port() {
    let (house, _) = House::new();
    let server = run(&house, |server| server.head_timeout(SHORT).idle_timeout(HOUR)).await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (mut client, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    for _ in 0..2 {
        let request = Request::get(format!("http://{}/", server.address)).body(http_body_util::Empty::<Bytes>::new()).unwrap();
        let response = soon(client.send_request(request)).await.unwrap();
        assert_eq!(response.version(), http::Version::HTTP_2);
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "xx");
        // Settings and pings are no slow head either.
        sleep(SHORT * 2).await;
    }
}

#[tokio::test]
async fn f059_a_shutdown_lets_answers_finish_and_nobody_in() {
    let (house, _) = House::new();
    let server = run(&house, |server| server.drain(HOUR)).await;
    let mut idle = server.open(GET).await;
    answer(&mut idle).await;
    let silent = server.open("").await;
    let running = server.open("GET /wait HTTP/1.1\r\nhost: x\r\n\r\n").await;
    while house.inside.load(SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let Running { address, stop, ended } = server;
    stop.send(()).unwrap();
    assert_eq!(rest(idle).await, "", "an idle connection is closed at once");
    assert_eq!(rest(silent).await, "");
    assert!(TcpStream::connect(address).await.is_err(), "nobody is let in");
    assert!(!ended.is_finished());
    house.release.notify_one();
    assert!(rest(running).await.starts_with("HTTP/1.1 200 OK"));
    assert_eq!(soon(ended).await.unwrap(), Ended { dropped: 0 });
}

#[tokio::test]
async fn f059_what_does_not_finish_is_dropped() {
    let (house, mut drops) = House::new();
    let server = run(&house, |server| server.drain(SHORT)).await;
    let mut stream = server.open("GET /hangs HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut first = [0; 1];
    soon(stream.read_exact(&mut first)).await.unwrap();
    assert_eq!(server.stop().await, Ended { dropped: 1 });
    soon(drops.recv()).await.unwrap();
    assert!(!rest(stream).await.ends_with("0\r\n\r\n"), "it does not look like a whole answer");
}
