//! What comes of a request that is out.

use std::{future::Future, mem, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header, response};
use http_body::Body;
use smallvec::SmallVec;
use tokio::time::Instant;
use tower::BoxError;

use super::{
    TranslatedBody, head,
    layer::Config,
    masking::{credential, masked, masked_error, masked_fault},
    notes::AnswerNotes,
    stream::StreamBody,
    whole::{self, Collect, Slices},
};
use crate::{
    catalog::Cost,
    dialect::{Dialect, End, Losses, Pipe, Seen, StreamError, upstream},
    fault::{Failure, Fault, FaultKind, Phase, Timeout, UpstreamError},
    stage::{LONGEST_SCANNED, LONGEST_TRANSLATED, Tally, aside, deadline},
};

/// A request that is out, and what its answer needs.
pub(super) struct Exchange {
    pub(super) tally: Tally,
    pub(super) dialect: &'static dyn Dialect,
    pub(super) pipe: Box<dyn Pipe>,
    pub(super) notes: Arc<AnswerNotes>,
    pub(super) losses: Losses,
    pub(super) config: Arc<Config>,
    /// When all of it has to be there.
    pub(super) total: Instant,
    /// The status of the answer's head, once there is one.
    pub(super) status: Option<StatusCode>,
    /// The headers of the answer's head.
    pub(super) headers: HeaderMap,
}

pub(super) type Answer<B> = Result<Response<TranslatedBody<B>>, Fault>;

/// What comes after a head.
pub(super) enum Next<B> {
    /// A whole answer.
    Whole(Collect<B>, Box<Exchange>),
    /// A stream, an error, or a whole answer that takes long.
    Other(Pin<Box<dyn Future<Output = Answer<B>> + Send>>),
}

impl Exchange {
    /// Until when the head is waited for, if whoever sent the attempt does not give up before, at `until`.
    pub(super) fn patience(&self, until: Option<Instant>) -> Option<Instant> {
        let head = match self.late() {
            Timeout::FirstByte => deadline(self.notes.target.timeouts.first_byte),
            _ => self.total,
        };
        Some(head).filter(|head| until.is_none_or(|until| until > *head))
    }

    /// What a head that is not there in time is called. A whole answer's comes when all of it is thought out.
    fn late(&self) -> Timeout {
        let timeouts = &self.notes.target.timeouts;
        if self.notes.call.stream && timeouts.first_byte < timeouts.total { Timeout::FirstByte } else { Timeout::Total }
    }

    /// Reads the head of the answer, if it was there in time.
    pub(super) fn head<B, E>(mut self: Box<Self>, head: Option<Result<Response<B>, E>>) -> Result<Next<B>, Fault>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
        E: Into<BoxError>,
    {
        let response = head.ok_or_else(|| Fault::new(FaultKind::Timeout(self.late())).at(Phase::BeforeHead))?;
        let (parts, body) = response.map_err(|error| whole::broken(error.into()))?.into_parts();
        self.notes.tally.head(parts.status.as_u16());
        self.status = Some(parts.status);
        if !parts.status.is_success() {
            let (dialect, total, target) = (self.dialect, self.total, self.notes.target.clone());
            let refusal = async move { Err(masked_fault(refusal(dialect, &parts, body, total).await, credential(&target))) };
            return Ok(Next::Other(Box::pin(refusal)));
        }
        if is_packed(&parts.headers) {
            // That was not asked for.
            return Err(answered(foreign("a content encoding"), self.status));
        }
        self.headers = parts.headers;
        let streamed = self.media_type().is_some_and(is_event_stream);
        match (self.notes.call.stream, streamed) {
            (false, false) => {
                let collect = Collect::new(body, self.config.max_answer, self.total, self.notes.target.timeouts.idle);
                Ok(Next::Whole(collect, self))
            }
            (true, true) => Ok(Next::Other(Box::pin(self.stream(body)))),
            // An error object where a stream was asked for is an error; anything else is not what was asked for.
            (true, false) => Ok(Next::Other(Box::pin(async move { Err(self.no_stream(body).await) }))),
            (false, true) => Err(answered(foreign("a stream that was not asked for"), self.status)),
        }
    }

    /// A whole answer, that came as `body` and ended like this.
    pub(super) fn whole<B>(mut self: Box<Self>, body: &Bytes, end: Result<(), Fault>) -> Answer<B> {
        end.map_err(|fault| answered(fault.at(Phase::BeforeCommit), self.status))?;
        let now = *self.notes.committed.get_or_init(std::time::Instant::now);
        let mut seen = Seen::default();
        let read = self.pipe.whole(body, &mut seen);
        self.read(body, read, &mut seen, now)
    }

    /// The longest whole answer, in bytes, that is not said aside. In the caller's own words it is only looked through.
    pub(super) fn longest(&self) -> usize {
        if self.dialect.name() == self.notes.call.dialect.name() { LONGEST_SCANNED } else { LONGEST_TRANSLATED }
    }

    /// As [`whole`](Self::whole), for an answer that takes long to say.
    pub(super) async fn long<B>(mut self: Box<Self>, body: Bytes, end: Result<(), Fault>) -> Answer<B> {
        end.map_err(|fault| answered(fault.at(Phase::BeforeCommit), self.status))?;
        let now = *self.notes.committed.get_or_init(std::time::Instant::now);
        let status = self.status;
        let said = aside(move || {
            let mut seen = Seen::default();
            let read = self.pipe.whole(&body, &mut seen);
            (self, body, read, seen)
        });
        let (exchange, body, read, mut seen) = said.await.map_err(|fault| answered(fault.at(Phase::BeforeCommit), status))?;
        exchange.read(&body, read, &mut seen, now)
    }

    /// A whole answer that was read to what the caller is told, and of which `seen` was seen.
    #[inline]
    fn read<B>(
        mut self: Box<Self>,
        body: &Bytes,
        read: Result<SmallVec<Slices>, StreamError>,
        seen: &mut Seen,
        now: std::time::Instant,
    ) -> Answer<B> {
        let slices = match read {
            Ok(slices) => slices,
            Err(error) => {
                let (provider, media_type) = (&self.notes.target.provider.name, self.media_type());
                tracing::warn!(%provider, %error, ?media_type, "answer is not the provider's dialect");
                self.notes.tally.seen(seen);
                return Err(self.foreign_answer(error, body));
            }
        };
        if let Some(error) = seen.error.clone() {
            self.notes.tally.seen(seen);
            return Err(in_band(error, credential(&self.notes.target)).at(Phase::BeforeCommit));
        }
        self.tally.lost(self.losses.clone());
        self.tally.lost(self.pipe.losses().clone());
        let mut headers = head::emptied(mem::take(&mut self.headers));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let cost = seen.usage.map(|usage| Cost::total_of(&usage, self.notes.target.price.as_deref()));
        head::annotate(&self.notes, seen.model.as_deref(), [&self.losses, self.pipe.losses()], cost, &mut headers);
        self.notes.tally.complete(seen, now);
        let mut response = Response::new(TranslatedBody::whole(slices));
        *response.headers_mut() = headers;
        Ok(response)
    }

    /// Something whole where a stream was asked for.
    async fn no_stream<B>(mut self: Box<Self>, body: B) -> Fault
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let (body, _) = few(body, self.total).await;
        let mut seen = Seen::default();
        let read = self.pipe.whole(&body, &mut seen);
        // What the provider counted is billed, whatever becomes of the answer.
        self.notes.tally.seen(&seen);
        match (read, seen.error) {
            // What kind of error it is, its object says: the status does not.
            (Ok(_), Some(error)) => in_band(error, credential(&self.notes.target)).at(Phase::BeforeCommit),
            (read, _) => {
                let error = read.err().unwrap_or_else(|| StreamError::malformed("a whole answer where a stream was asked for"));
                self.foreign_answer(error, &body)
            }
        }
    }

    /// The fault of an answer that is not the provider's dialect. What it is instead (a login page, mostly) is told in a
    /// few of its words, but for JSON, whatever type it is sent as: that may be a piece of a completion. What is none was
    /// made by no model, and is an error to the tally: it is not billed.
    fn foreign_answer(&self, error: StreamError, body: &[u8]) -> Fault {
        let json = self.media_type().is_none_or(|media| media.as_bytes().windows(4).any(|word| word.eq_ignore_ascii_case(b"json")));
        let json = json || matches!(body.trim_ascii_start(), [b'{' | b'[', ..]);
        let mut said = UpstreamError { status: self.status.map(|status| status.as_u16()), ..UpstreamError::default() };
        if !json {
            said.message = excerpt(body, credential(&self.notes.target));
            let mut seen = Seen::default();
            seen.error = Some(said.clone());
            self.notes.tally.seen(&seen);
        }
        protocol(error).with_upstream(said)
    }

    /// The media type that the answer says it has.
    fn media_type(&self) -> Option<&HeaderValue> {
        self.headers.get(header::CONTENT_TYPE)
    }

    /// A streamed answer: resolves at the commit point.
    async fn stream<B>(mut self: Box<Self>, body: B) -> Answer<B>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        // Emptied now: what the provider's head lies in is not held while its stream is waited for.
        let mut headers = head::emptied(mem::take(&mut self.headers));
        let losses = mem::take(&mut self.losses);
        let stream = StreamBody::new(body, self.pipe, self.notes.clone(), self.tally.clone(), self.total, &self.config);
        let status = self.status;
        stream.committed(self.config.hold).await.map_err(|fault| answered(fault, status))?;
        self.tally.lost(losses.clone());
        let (model, answer_losses) = stream.so_far();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(head::X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
        head::annotate(&self.notes, model.as_deref(), [&losses, &answer_losses], None, &mut headers);
        let mut response = Response::new(TranslatedBody::stream(stream));
        *response.headers_mut() = headers;
        Ok(response)
    }
}

/// What the provider's error answer means.
async fn refusal<B>(dialect: &'static dyn Dialect, parts: &response::Parts, body: B, total: Instant) -> Fault
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    if parts.status.is_redirection() {
        // Never followed: it may lead anywhere.
        return answered(foreign("a redirection"), Some(parts.status));
    }
    // What came of it is what can be told; what is packed has no words.
    let (body, _) = match is_packed(&parts.headers) {
        true => (Bytes::new(), Ok(())),
        false => few(body, total).await,
    };
    dialect.decode_fault(parts.status, &parts.headers, &body).at(Phase::BeforeCommit)
}

/// As much of an error answer as is read, for as long as it is waited for.
fn few<B>(body: B, total: Instant) -> Collect<B> {
    Collect::new(body, LONGEST_REFUSAL, total.min(deadline(PATIENCE)), PATIENCE)
}

/// How much of an error answer is read, in bytes, and how long it is waited for.
const LONGEST_REFUSAL: usize = 64 << 10;
const PATIENCE: Duration = Duration::from_secs(10);

fn foreign(what: &str) -> Fault {
    protocol(StreamError::malformed(format!("the provider sent {what}")))
}

/// The fault with the status that the provider answered with, unless it tells what the provider said.
fn answered(fault: Fault, status: Option<StatusCode>) -> Fault {
    match (status, fault.upstream()) {
        (Some(status), None) => fault.with_upstream(UpstreamError { status: Some(status.as_u16()), ..UpstreamError::default() }),
        _ => fault,
    }
}

/// The beginning of a page on one line, without what looks like a secret or is ours. With the words before it, 512 bytes
/// at most.
fn excerpt(page: &[u8], credential: Option<&HeaderValue>) -> String {
    let mut left = 450_usize;
    let page = page.trim_ascii_start();
    let text = String::from_utf8_lossy(page.get(..LONGEST_EXCERPTED).unwrap_or(page));
    let text = masked(&text, credential);
    let printed = upstream::scrubbed(text.trim());
    let printed = printed.chars().map(|c| if c.is_control() { ' ' } else { c });
    printed.take_while(|c| left.checked_sub(c.len_utf8()).map(|rest| left = rest).is_some()).collect()
}

/// How much of a page is looked at for its excerpt, in bytes.
const LONGEST_EXCERPTED: usize = 4 << 10;

fn is_packed(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

fn is_event_stream(media_type: &HeaderValue) -> bool {
    let essence = media_type.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"text/event-stream")
}

/// The provider's answer is not its dialect.
pub(super) fn protocol(error: StreamError) -> Fault {
    Fault::new(FaultKind::Upstream(Failure::Protocol)).at(Phase::BeforeCommit).with_source(error)
}

/// An error inside a 200.
pub(super) fn in_band(error: UpstreamError, credential: Option<&HeaderValue>) -> Fault {
    let status = error.status.and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or(StatusCode::BAD_GATEWAY);
    Fault::new(upstream::kind_of(status)).with_upstream(masked_error(error, credential))
}

/// How a stream that ended cleanly was told.
pub(super) fn told(end: End) -> Result<(), Fault> {
    match end {
        End::Complete => Ok(()),
        End::Truncated => Err(Fault::new(FaultKind::Truncated)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f052_a_page_that_repeats_our_request_does_not_show_our_key() {
        // As keys without a vendor's prefix are.
        let key = "0a1b2c3d4e5f60718293a4b5c6d7e8f9";
        let page = format!(" \n<pre>\napi-key: {key}\nauthorization: Bearer {key}\nx: {key}</pre>");
        for credential in [key.to_owned(), format!("Bearer {key}"), format!("Token  {key}")] {
            let said = excerpt(page.as_bytes(), Some(&HeaderValue::try_from(credential).unwrap()));
            let said = said.replace("Bearer ", "");
            assert_eq!(said, "<pre> api-key: *** authorization: *** x: ***</pre>");
        }
        for empty in ["", " ", "Bearer "] {
            assert_eq!(excerpt(b"<p>hello", Some(&HeaderValue::from_static(empty))), "<p>hello");
        }
        assert_eq!(excerpt(b"<p>sk-abcdef0123", None), "<p><redacted>");
    }

    #[test]
    fn an_excerpt_is_short_however_long_the_page_is() {
        for page in ["é".repeat(1 << 20), format!("x{}", "é".repeat(1 << 20))] {
            let said = excerpt(page.as_bytes(), None);
            assert!(said.len() <= 450 && page.starts_with(&said) && said.len() > 440);
        }
    }
}
