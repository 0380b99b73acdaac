//! What the fake provider does with one request, byte by byte.

use bytes::Bytes;

/// One thing to do.
#[derive(Clone, Debug)]
pub enum Step {
    /// Write these bytes, all at once.
    Write(Bytes),
    /// Write these bytes in pieces of `chunk`, letting other tasks run after each.
    Drip {
        /// What to write.
        bytes: Bytes,
        /// How much at once.
        chunk: usize,
    },
    /// Wait until the test calls `Provider::release`, or the other side closes.
    Stall,
    /// Read the rest of a request that was answered early (see [`Script::early`]).
    ReadBody,
    /// Close in order: FIN. (The kernel makes it a reset if bytes of the request were left unread.)
    Close,
    /// Close at once: RST.
    Reset,
}

/// What to do with one request. Plays after the request was read whole, unless it is [`early`](Self::early) or
/// [`eager`](Self::eager); then the connection waits for the next request, unless a step closed it.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// What to do, in order.
    pub steps: Vec<Step>,
    /// How much of the request to read first.
    pub read: Read,
}

/// How much of a request is read before its script plays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Read {
    /// Nothing: the script plays as soon as the connection stands.
    Nothing,
    /// The head.
    Head,
    /// All of it.
    #[default]
    Whole,
}

impl Script {
    /// These steps.
    pub fn steps(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { steps: steps.into_iter().collect(), read: Read::Whole }
    }

    /// These bytes, as they are.
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        Self::steps([Step::Write(bytes.into())])
    }

    /// A whole JSON answer with a true `content-length`.
    pub fn json(status: u16, body: impl AsRef<str>) -> Self {
        let body = body.as_ref();
        Self::claiming(status, body.len() as u64, body)
    }

    /// A JSON answer whose `content-length` is `length`, whatever the body's is.
    pub fn claiming(status: u16, length: u64, body: impl AsRef<str>) -> Self {
        let head = head(status, &[("content-type", "application/json"), ("content-length", &length.to_string())]);
        Self::steps([Step::Write(head), Step::Write(Bytes::copy_from_slice(body.as_ref().as_bytes()))])
    }

    /// A 429, with `Retry-After` if given.
    pub fn rate_limited(retry_after: Option<&str>) -> Self {
        let body = r#"{"error":{"message":"slow down","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}"#;
        let script = Self::json(429, body);
        match retry_after {
            Some(wait) => script.with_header("retry-after", wait),
            None => script,
        }
    }

    /// A stream: each of `events` one chunk, then the last chunk. The events are complete, blank line included.
    pub fn sse<T: AsRef<str>>(events: impl IntoIterator<Item = T>) -> Self {
        let mut script = Self::open_sse(events);
        script.steps.push(Step::Write(Bytes::from_static(b"0\r\n\r\n")));
        script
    }

    /// A stream without its last chunk: what follows is up to [`then`](Self::then).
    pub fn open_sse<T: AsRef<str>>(events: impl IntoIterator<Item = T>) -> Self {
        let head = head(200, &[("content-type", "text/event-stream"), ("transfer-encoding", "chunked")]);
        let chunks = events.into_iter().map(|event| Step::Write(chunk(event.as_ref())));
        Self::steps(std::iter::once(Step::Write(head)).chain(chunks))
    }

    /// A stream that breaks off in the middle of a chunk after `events`, in order (FIN).
    pub fn cut_mid_chunk<T: AsRef<str>>(events: impl IntoIterator<Item = T>) -> Self {
        Self::open_sse(events).then(Step::Write(Bytes::from_static(b"1000\r\ndata: {"))).then(Step::Close)
    }

    /// Closes without a word.
    pub fn close() -> Self {
        Self::steps([Step::Close])
    }

    /// Resets without a word.
    pub fn reset() -> Self {
        Self::steps([Step::Reset])
    }

    /// Says nothing until released; then closes.
    pub fn stall() -> Self {
        Self::steps([Step::Stall, Step::Close])
    }

    /// Adds a step at the end.
    #[must_use]
    pub fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Puts a step before the one at `index`. In a stream, 0 is the head and 1 the first event.
    #[must_use]
    pub fn insert(mut self, index: usize, step: Step) -> Self {
        self.steps.insert(index, step);
        self
    }

    /// Adds a header to the head, which must be the first step.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        let Some(Step::Write(head)) = self.steps.first_mut() else { panic!("the script begins with no head") };
        let text = std::str::from_utf8(head).expect("a head is text");
        let (line, rest) = text.split_once("\r\n").expect("a head has lines");
        *head = Bytes::from(format!("{line}\r\n{name}: {value}\r\n{rest}"));
        self
    }

    /// Announces `connection: close`, and closes at the end.
    #[must_use]
    pub fn closing(self) -> Self {
        self.with_header("connection", "close").then(Step::Close)
    }

    /// Writes everything in pieces of `chunk` bytes.
    #[must_use]
    pub fn dripped(mut self, chunk: usize) -> Self {
        for step in &mut self.steps {
            if let Step::Write(bytes) = step {
                *step = Step::Drip { bytes: std::mem::take(bytes), chunk };
            }
        }
        self
    }

    /// Plays as soon as the request's head is there, its body unread.
    #[must_use]
    pub fn early(self) -> Self {
        Self { read: Read::Head, ..self }
    }

    /// Plays as soon as the connection stands, or, on one that was used, as soon as the last script ended. For a
    /// connection's own list only.
    #[must_use]
    pub fn eager(self) -> Self {
        Self { read: Read::Nothing, ..self }
    }
}

/// A response head.
pub fn head(status: u16, headers: &[(&str, &str)]) -> Bytes {
    let mut head = format!("HTTP/1.1 {status} Status\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    Bytes::from(head)
}

/// One chunk of a chunked body.
pub fn chunk(bytes: impl AsRef<[u8]>) -> Bytes {
    let bytes = bytes.as_ref();
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend_from_slice(bytes);
    chunk.extend_from_slice(b"\r\n");
    Bytes::from(chunk)
}
