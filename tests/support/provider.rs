//! A provider on a real loopback socket that does exactly what a test says, byte by byte.
//!
//! ```ignore
//! let provider = Provider::start().await;                       // answers 200 `{}` by default
//! provider.play(Script::sse(openai_events(&["Hel", "lo"])));    // the next request gets a stream
//! provider.play(Script::rate_limited(Some("2")));               // the one after it a 429
//! // ... call `provider.url("/v1/chat/completions")` ...
//! assert_eq!(provider.received()[0].json()["model"], "gpt-5");
//! ```
//!
//! Which script a request gets: the first left in its *connection's* own list (see [`Provider::connect`]), else the first
//! left in the provider's queue ([`Provider::play`]), else the default. It is no HTTP library: it parses requests well
//! enough to read them whole, records head and body as they came, and writes what the script says, valid or not.
//!
//! Nothing here sleeps. A test waits for what it needs with [`Provider::until`], and lets stalled scripts go on with
//! [`Provider::release`]. Dropping the provider closes everything.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
};

use bytes::BytesMut;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::{AbortHandle, JoinSet},
};

use super::script::{Read, Script, Step};

/// A running fake provider.
pub struct Provider {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    accepting: AbortHandle,
}

/// A request, as it came.
#[derive(Clone, Debug)]
pub struct Received {
    /// Which connection it came on, from 0.
    pub connection: usize,
    /// The head's bytes, with its blank line.
    pub head: Vec<u8>,
    /// The body, chunks undone. Empty for a script that read only the head.
    pub body: Vec<u8>,
}

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections accepted.
    pub connections: usize,
    /// Requests whose head was read.
    pub requests: usize,
    /// Connections over, whoever closed them.
    pub closed: usize,
    /// Connections that the other side closed while a script was playing.
    pub abandoned: usize,
    /// Scripts that wait to be released.
    pub stalled: usize,
}

struct Shared {
    default: Box<dyn Fn(&Received) -> Script + Send + Sync>,
    queue: Mutex<VecDeque<Script>>,
    connections: Mutex<VecDeque<Vec<Script>>>,
    received: Mutex<Vec<Received>>,
    counts: watch::Sender<Counts>,
    releases: Semaphore,
    wrap: Option<Wrap>,
}

/// Makes an encrypted stream of a connection.
pub type Wrap = Box<dyn Fn(TcpStream) -> Wrapping + Send + Sync>;

/// An encrypted stream, to come.
pub type Wrapping = Pin<Box<dyn Future<Output = io::Result<Box<dyn Io>>> + Send>>;

/// A connection.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {
    /// Makes its drop send RST.
    fn reset_on_drop(&self) -> io::Result<()>;
}

impl Io for TcpStream {
    fn reset_on_drop(&self) -> io::Result<()> {
        self.set_zero_linger()
    }
}

impl Provider {
    /// A provider that answers 200 `{}`.
    pub async fn start() -> Self {
        Self::answering(|_| Script::json(200, "{}")).await
    }

    /// A provider whose default script is made for each request.
    pub async fn answering(default: impl Fn(&Received) -> Script + Send + Sync + 'static) -> Self {
        Self::listening(Box::new(default), None).await
    }

    /// A provider whose connections are wrapped first, in TLS.
    pub async fn wrapped(wrap: Wrap) -> Self {
        Self::listening(Box::new(|_| Script::json(200, "{}")), Some(wrap)).await
    }

    async fn listening(default: Box<dyn Fn(&Received) -> Script + Send + Sync>, wrap: Option<Wrap>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
        let address = listener.local_addr().expect("it is bound");
        let scheme = if wrap.is_some() { "https" } else { "http" };
        let shared = Arc::new(Shared {
            default,
            queue: Mutex::default(),
            connections: Mutex::default(),
            received: Mutex::default(),
            counts: watch::Sender::default(),
            releases: Semaphore::new(0),
            wrap,
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared))).abort_handle();
        Self { address, scheme, shared, accepting }
    }

    /// `http://127.0.0.1:PORT`, and `path`.
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next request, on whichever connection, gets this script.
    pub fn play(&self, script: Script) -> &Self {
        lock(&self.shared.queue).push_back(script);
        self
    }

    /// The next connection plays these scripts for its requests, before it turns to the queue.
    pub fn connect(&self, scripts: impl IntoIterator<Item = Script>) -> &Self {
        lock(&self.shared.connections).push_back(scripts.into_iter().collect());
        self
    }

    /// Lets one stalled script go on: one that stalls now, or the next to stall.
    pub fn release(&self) {
        self.shared.releases.add_permits(1);
    }

    /// The requests so far.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.shared.received).clone()
    }

    /// What has happened so far.
    pub fn counts(&self) -> Counts {
        *self.shared.counts.borrow()
    }

    /// Waits until `enough` holds.
    pub async fn until(&self, enough: impl FnMut(&Counts) -> bool) -> Counts {
        *self.shared.counts.subscribe().wait_for(enough).await.expect("the provider runs")
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Received {
    /// The request line and headers as text.
    pub fn head(&self) -> &str {
        std::str::from_utf8(&self.head).expect("a head of text")
    }

    /// `POST /v1/chat/completions HTTP/1.1`.
    pub fn line(&self) -> &str {
        self.head().lines().next().unwrap_or_default()
    }

    /// The value of the header called `name`, in lower case, if it is there; joined if it is there more than once.
    pub fn header(&self, name: &str) -> Option<String> {
        let values: Vec<&str> = self
            .head()
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .collect();
        if values.is_empty() { None } else { Some(values.join(", ")) }
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Dropped with this task, and all connections with it.
    let mut connections = JoinSet::new();
    while let Ok((tcp, _)) = listener.accept().await {
        let _ = tcp.set_nodelay(true);
        let mut number = 0;
        shared.counts.send_modify(|counts| {
            number = counts.connections;
            counts.connections += 1;
        });
        let own = lock(&shared.connections).pop_front().unwrap_or_default();
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let io: io::Result<Box<dyn Io>> = match &shared.wrap {
                Some(wrap) => wrap(tcp).await,
                None => Ok(Box::new(tcp)),
            };
            if let Ok(io) = io {
                Connection { io, number, own: own.into(), buffer: BytesMut::new(), unread: Unread::Nothing, shared: &shared }.serve().await;
            }
            shared.counts.send_modify(|counts| counts.closed += 1);
        });
        while connections.try_join_next().is_some() {}
    }
}

struct Connection<'a> {
    io: Box<dyn Io>,
    number: usize,
    own: VecDeque<Script>,
    buffer: BytesMut,
    unread: Unread,
    shared: &'a Shared,
}

/// What is left of a request's body.
#[derive(Clone, Copy)]
enum Unread {
    Nothing,
    Length(usize),
    Chunks,
}

/// Why a connection is over.
enum Over {
    Closed,
    Gone,
}

impl Connection<'_> {
    async fn serve(mut self) {
        loop {
            let script = match self.own.pop_front() {
                Some(script) if script.read == Read::Nothing => script,
                own => {
                    let Some(mut request) = self.head().await else { return };
                    let script = own.or_else(|| lock(&self.shared.queue).pop_front());
                    if script.as_ref().is_none_or(|script| script.read == Read::Whole) {
                        match self.body().await {
                            Some(body) => request.body = body,
                            None => return,
                        }
                    }
                    let script = script.unwrap_or_else(|| (self.shared.default)(&request));
                    lock(&self.shared.received).push(request);
                    self.shared.counts.send_modify(|counts| counts.requests += 1);
                    script
                }
            };
            for step in script.steps {
                match self.step(step).await {
                    Ok(()) => {}
                    Err(Over::Closed) => return,
                    Err(Over::Gone) => return self.shared.counts.send_modify(|counts| counts.abandoned += 1),
                }
            }
        }
    }

    async fn step(&mut self, step: Step) -> Result<(), Over> {
        match step {
            Step::Write(bytes) => self.write(&bytes).await,
            Step::Drip { bytes, chunk } => {
                for piece in bytes.chunks(chunk.max(1)) {
                    self.write(piece).await?;
                    tokio::task::yield_now().await;
                }
                Ok(())
            }
            Step::Stall => self.stall().await,
            Step::ReadBody => self.body().await.map(drop).ok_or(Over::Gone),
            Step::Close => {
                let _ = self.io.shutdown().await;
                Err(Over::Closed)
            }
            Step::Reset => {
                self.io.reset_on_drop().expect("the socket is ours");
                Err(Over::Closed)
            }
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Over> {
        let written = async {
            self.io.write_all(bytes).await?;
            self.io.flush().await
        };
        written.await.map_err(|_| Over::Gone)
    }

    /// Waits to be released; notices that the other side closes.
    async fn stall(&mut self) -> Result<(), Over> {
        self.shared.counts.send_modify(|counts| counts.stalled += 1);
        let outcome = loop {
            let shared = self.shared;
            tokio::select! {
                permit = shared.releases.acquire() => {
                    permit.expect("never closed").forget();
                    break Ok(());
                }
                read = self.io.read_buf(&mut self.buffer) => if !matches!(read, Ok(1..)) { break Err(Over::Gone) },
            }
        };
        self.shared.counts.send_modify(|counts| counts.stalled -= 1);
        outcome
    }

    /// Reads a head; `None` if there is none to come.
    async fn head(&mut self) -> Option<Received> {
        let end = loop {
            match self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                Some(end) => break end + 4,
                None => self.more().await?,
            }
        };
        let head = self.buffer.split_to(end).to_vec();
        let request = Received { connection: self.number, head, body: Vec::new() };
        self.unread = match (request.header("content-length"), request.header("transfer-encoding")) {
            (_, Some(_)) => Unread::Chunks,
            (Some(length), None) => Unread::Length(length.parse().expect("a length")),
            (None, None) => Unread::Nothing,
        };
        Some(request)
    }

    async fn body(&mut self) -> Option<Vec<u8>> {
        match std::mem::replace(&mut self.unread, Unread::Nothing) {
            Unread::Nothing => Some(Vec::new()),
            Unread::Length(length) => self.exactly(length).await,
            Unread::Chunks => {
                let mut body = Vec::new();
                loop {
                    let line = self.line().await?;
                    let size = usize::from_str_radix(line.trim(), 16).expect("a chunk's size");
                    body.extend(self.exactly(size).await?);
                    self.line().await?;
                    if size == 0 {
                        return Some(body);
                    }
                }
            }
        }
    }

    async fn exactly(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < length {
            self.more().await?;
        }
        Some(self.buffer.split_to(length).to_vec())
    }

    async fn line(&mut self) -> Option<String> {
        let end = loop {
            match self.buffer.windows(2).position(|window| window == b"\r\n") {
                Some(end) => break end,
                None => self.more().await?,
            }
        };
        let line = String::from_utf8(self.buffer.split_to(end).to_vec()).expect("a line of text");
        let _ = self.buffer.split_to(2);
        Some(line)
    }

    async fn more(&mut self) -> Option<()> {
        matches!(self.io.read_buf(&mut self.buffer).await, Ok(1..)).then_some(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no test panics while it holds a lock")
}
