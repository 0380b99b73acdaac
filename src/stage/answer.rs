//! Answers that are ours, not a provider's.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::GenerationId;
use crate::{
    dialect::{Dialect, json},
    fault::{Fault, FaultKind},
};

/// The header that names a call on every answer: `G-...`.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The same, where Anthropic's clients look for it.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
/// Tells the vendors' clients whether to send a failed request again.
pub const X_SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// The model version that served, or was asked last.
pub(crate) const X_GATEWAY_MODEL: HeaderName = HeaderName::from_static("x-gateway-model");
/// The provider that served, or was asked last.
pub(crate) const X_GATEWAY_PROVIDER: HeaderName = HeaderName::from_static("x-gateway-provider");
/// How many attempts it took.
pub(crate) const X_GATEWAY_ATTEMPTS: HeaderName = HeaderName::from_static("x-gateway-attempts");
/// Where the time went.
pub(crate) const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// The whole answer for a fault, in the caller's dialect: status, headers and body.
///
/// | header | when |
/// | --- | --- |
/// | `content-type`, `x-request-id` | always |
/// | `request-id` | the dialect's clients look there (Anthropic Messages) |
/// | `retry-after` | waiting helps, and we know how long: whole seconds, rounded up |
/// | `allow` | 405 |
/// | `www-authenticate` | 401 |
/// | `x-should-retry: false` | the attempts are spent, or the same request cannot fare better |
///
/// The response's extensions hold the [`Fault`], for logs and metrics.
pub fn fault_response(dialect: &dyn Dialect, fault: &Fault, id: &GenerationId) -> Response<Bytes> {
    let mut body = BytesMut::new();
    dialect.encode_fault(fault, id.as_str(), &mut body);
    let mut response = Response::new(body.freeze());
    *response.status_mut() = dialect.fault_status(fault);
    response.extensions_mut().insert(fault.clone());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    name_call(dialect, id, headers);
    if let Some(wait) = fault.retry_after() {
        headers.insert(header::RETRY_AFTER, whole_seconds(wait).into());
    }
    match fault.kind() {
        FaultKind::MethodNotAllowed { allow } => {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        FaultKind::MissingKey => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        FaultKind::InvalidKey | FaultKind::InvalidKeyFormat => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(r#"Bearer error="invalid_token""#));
        }
        _ => {}
    }
    if !fault.attempts().is_empty() || is_final(fault) {
        headers.insert(X_SHOULD_RETRY, HeaderValue::from_static("false"));
    }
    response
}

/// Puts what the gateway says of every call into the headers of one that failed with `fault` after `time`: how many attempts
/// were made, at whom the last, and how long it all took.
pub(crate) fn annotate_fault(fault: &Fault, time: Duration, headers: &mut HeaderMap) {
    headers.insert(X_GATEWAY_ATTEMPTS, fault.tried().map_or(0, |tried| tried.attempts).into());
    let tried = fault.tried().into_iter().flat_map(|tried| [(X_GATEWAY_PROVIDER, &tried.provider), (X_GATEWAY_MODEL, &tried.model)]);
    for (name, text) in tried {
        // A name that no header can hold is in the record.
        if let Ok(value) = HeaderValue::from_str(text) {
            headers.insert(name, value);
        }
    }
    let mut timing = BytesMut::from("gateway;dur=");
    write_millis(&mut timing, time);
    if let Ok(value) = HeaderValue::from_maybe_shared(timing.freeze()) {
        headers.insert(SERVER_TIMING, value);
    }
}

/// Appends milliseconds with three decimal places.
pub(crate) fn write_millis(out: &mut BytesMut, duration: Duration) {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    json::number(out, micros / 1000);
    let digit = |n: u64| b'0' + (n % 10) as u8;
    let part = micros % 1000;
    out.extend_from_slice(&[b'.', digit(part / 100), digit(part / 10), digit(part)]);
}

/// Puts the call's id into an answer's headers, under each name that the dialect's clients read.
pub fn name_call(dialect: &dyn Dialect, id: &GenerationId, headers: &mut HeaderMap) {
    // The alphabet of an id is a header's.
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        if dialect.name() == "anthropic-messages" {
            headers.insert(REQUEST_ID, value.clone());
        }
        headers.insert(X_REQUEST_ID, value);
    }
}

/// The vendors' clients repeat every 409 and 5xx unless told; these stay what they are.
fn is_final(fault: &Fault) -> bool {
    matches!(fault.verdict().status, StatusCode::CONFLICT | StatusCode::NOT_IMPLEMENTED)
}

fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0))
}

pin_project! {
    /// A response body that is either bytes of ours or the inner service's own.
    pub struct AnswerBody<B> {
        #[pin]
        inner: Either<B>,
    }
}

pin_project! {
    #[project = EitherProj]
    enum Either<B> {
        Own { bytes: Option<Bytes> },
        Inner { #[pin] body: B },
    }
}

/// Shows no content.
impl<B> fmt::Debug for AnswerBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if matches!(self.inner, Either::Own { .. }) { "Own" } else { "Inner" })
    }
}

impl<B> AnswerBody<B> {
    /// Bytes of ours.
    pub fn own(bytes: Bytes) -> Self {
        Self { inner: Either::Own { bytes: Some(bytes).filter(|bytes| !bytes.is_empty()) } }
    }

    /// The inner service's body.
    pub fn inner(body: B) -> Self {
        Self { inner: Either::Inner { body } }
    }
}

impl<B: Body<Data = Bytes>> Body for AnswerBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        Poll::Ready(match self.project().inner.project() {
            EitherProj::Own { bytes } => bytes.take().map(|bytes| Ok(Frame::data(bytes))),
            EitherProj::Inner { body } => ready!(body.poll_frame(cx)),
        })
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Either::Own { bytes } => bytes.is_none(),
            Either::Inner { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Either::Own { bytes } => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Either::Inner { body } => body.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use http_body_util::{BodyExt, Empty};

    use super::*;
    use crate::{fault::AttemptFault, stage::Endpoint};

    fn answer(path: &str, fault: Fault) -> Response<Bytes> {
        let id = GenerationId::generate(SystemTime::now());
        let response = fault_response(Endpoint::dialect_of(path, &HeaderMap::new()), &fault, &id);
        assert_eq!(response.headers()[X_REQUEST_ID], id.as_str());
        response
    }

    #[test]
    fn headers_follow_the_fault() {
        let missing = answer("/v1/chat/completions", FaultKind::MissingKey.into());
        assert_eq!(missing.status(), 401);
        assert_eq!(missing.headers()[header::WWW_AUTHENTICATE], "Bearer");
        assert!(!missing.headers().contains_key(REQUEST_ID));

        let limited =
            answer("/v1/messages", Fault::new(FaultKind::KeyLimit { reset_at: None }).with_retry_after(Duration::from_millis(1200)));
        assert_eq!(limited.status(), 429);
        assert_eq!(limited.headers()[header::RETRY_AFTER], "2");
        assert_eq!(limited.headers()[REQUEST_ID], limited.headers()[X_REQUEST_ID]);

        let method = answer("/v1/models", FaultKind::MethodNotAllowed { allow: "GET" }.into());
        assert_eq!(method.headers()[header::ALLOW], "GET");
    }

    #[test]
    fn spent_attempts_and_final_answers_are_not_repeated() {
        let attempt = AttemptFault { provider: "openai".into(), status: Some(503), fault: "overloaded" };
        let spent = Fault::new(FaultKind::Overloaded).with_attempts(vec![attempt]);
        for (fault, repeat) in [
            (spent, false),
            (FaultKind::Conflict.into(), false),
            (FaultKind::NotImplemented { what: "this".into() }.into(), false),
            (FaultKind::KeyStoreUnavailable.into(), true),
        ] {
            assert_eq!(!answer("/v1/embeddings", fault).headers().contains_key(X_SHOULD_RETRY), repeat);
        }
    }

    #[tokio::test]
    async fn a_body_is_ours_or_the_inner_one() {
        let own = AnswerBody::<Empty<Bytes>>::own("no".into());
        assert_eq!(own.size_hint().exact(), Some(2));
        assert_eq!(own.collect().await.unwrap().to_bytes(), "no");
        assert!(AnswerBody::<Empty<Bytes>>::own(Bytes::new()).is_end_stream());
        assert!(AnswerBody::inner(Empty::<Bytes>::new()).is_end_stream());
    }
}
