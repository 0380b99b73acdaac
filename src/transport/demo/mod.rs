//! The demo provider; `transport` says what it answers.

mod chat;
mod echo;
mod messages;
mod operations;

use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body::{Body, Frame, SizeHint};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tower_service::Service;

use crate::{
    fault::{Fault, Phase},
    stage::{Outgoing, aside},
};

/// The demo provider. Always ready; what it answers is told in [`transport`](super).
#[derive(Clone, Copy)]
pub struct Demo {
    clock: fn() -> SystemTime,
}

/// The demo's answer, to come: it reads the request first.
#[must_use = "futures do nothing unless polled"]
pub struct DemoFuture {
    path: String,
    body: Outgoing,
    read: BytesMut,
    clock: fn() -> SystemTime,
    /// The answer to a long request, once that is read.
    later: Option<Later>,
}

type Later = Pin<Box<dyn Future<Output = Result<Response<DemoBody>, Fault>> + Send>>;

/// A longer request, in bytes, is answered aside: up to 128 choices may repeat it word by word.
const LONGEST_AT_ONCE: usize = 4 << 10;

/// The body of a demo's answer: an event each frame, or all in one.
#[derive(Debug)]
pub struct DemoBody {
    frames: VecDeque<Bytes>,
}

impl Demo {
    /// A demo that takes the time for `created` from `clock`. The default asks the system.
    pub fn new(clock: fn() -> SystemTime) -> Self {
        Self { clock }
    }
}

impl Default for Demo {
    fn default() -> Self {
        Self::new(SystemTime::now)
    }
}

impl Service<Request<Outgoing>> for Demo {
    type Response = Response<DemoBody>;
    type Error = Fault;
    type Future = DemoFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Outgoing>) -> DemoFuture {
        let (parts, body) = request.into_parts();
        DemoFuture { path: parts.uri.path().to_owned(), body, read: BytesMut::new(), clock: self.clock, later: None }
    }
}

impl Future for DemoFuture {
    type Output = Result<Response<DemoBody>, Fault>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Some(later) = &mut this.later {
            return later.as_mut().poll(cx);
        }
        while let Some(frame) = ready!(Pin::new(&mut this.body).poll_frame(cx)) {
            match frame {
                Ok(frame) => this.read.extend_from_slice(&frame.into_data().unwrap_or_default()),
                Err(error) => return Poll::Ready(Err(Fault::from(error).at(Phase::BeforeHead))),
            }
        }
        let created = (this.clock)().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let (path, read) = (mem::take(&mut this.path), mem::take(&mut this.read));
        if read.len() <= LONGEST_AT_ONCE {
            return Poll::Ready(Ok(answer(&path, &read, created).into_response()));
        }
        let later = Box::pin(aside(move || answer(&path, &read, created).into_response()));
        this.later.insert(later).as_mut().poll(cx)
    }
}

fn answer(path: &str, body: &[u8], created: u64) -> Answer {
    let refuse = if path.ends_with("/messages") { messages::refusal } else { chat::refusal };
    let Ok(request) = serde_json::from_slice::<Value>(body) else {
        return refuse(&Refusal::new("", "the request is not JSON"));
    };
    let Some(model) = request["model"].as_str() else {
        return refuse(&Refusal::new("model", "a model must be named"));
    };
    let stamp = Stamp { id: id(body), created, model };
    let endpoint = match path.rsplit('/').next() {
        Some("completions") if path.ends_with("/chat/completions") => chat::answer,
        Some("messages") => messages::answer,
        Some("embeddings") => operations::embeddings,
        Some("moderations") => operations::moderations,
        Some("generations") => operations::images,
        _ => return refuse(&Refusal { status: StatusCode::NOT_FOUND, param: "", message: "the demo has no such path".into() }),
    };
    endpoint(&request, &stamp).unwrap_or_else(|refusal| refuse(&refusal))
}

/// What answers have in common.
struct Stamp<'a> {
    /// Digits that stand for the request.
    id: String,
    created: u64,
    model: &'a str,
}

/// A request that is not answered.
struct Refusal {
    status: StatusCode,
    /// The member that is wrong.
    param: &'static str,
    message: String,
}

impl Refusal {
    fn new(param: &'static str, message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, param, message: message.into() }
    }
}

/// An answer before it is HTTP.
enum Answer {
    Whole(StatusCode, Value),
    /// Events, blank lines included.
    Stream(Vec<String>),
}

impl Answer {
    fn ok(body: Value) -> Self {
        Self::Whole(StatusCode::OK, body)
    }

    fn into_response(self) -> Response<DemoBody> {
        let (status, content_type, frames) = match self {
            Self::Whole(status, body) => (status, "application/json", VecDeque::from([Bytes::from(body.to_string())])),
            Self::Stream(events) => (StatusCode::OK, "text/event-stream", events.into_iter().map(Bytes::from).collect()),
        };
        let mut response = Response::new(DemoBody { frames });
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        response
    }
}

fn id(body: &[u8]) -> String {
    Sha256::digest(body).iter().take(12).map(|byte| format!("{byte:02x}")).collect()
}

impl Body for DemoBody {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        Poll::Ready(self.frames.pop_front().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.frames.iter().map(|frame| frame.len() as u64).sum())
    }
}

impl fmt::Debug for Demo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Demo").finish_non_exhaustive()
    }
}

impl fmt::Debug for DemoFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DemoFuture").field("path", &self.path).finish_non_exhaustive()
    }
}
