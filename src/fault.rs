//! What goes wrong, as one value.
//!
//! A [`Fault`] says what happened ([`FaultKind`]), how far the call had come ([`Phase`]) and what the provider said
//! ([`UpstreamError`]). Routing, retries, health and metering decide by kind and phase, never by text; each dialect
//! renders a fault twice, as a body and as an in-stream event. [`Fault::verdict`] is the one place that maps a fault to
//! a status.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::StatusCode;
use tower::BoxError;

/// Something that kept a call from being answered.
///
/// Cheap to move: the facts are boxed. `Display` is one lower-case line, fit for the caller; it holds no secret and no
/// prompt. The cause, where there is one, is in [`source`](Error::source).
pub struct Fault(Box<Facts>);

#[derive(Clone)]
struct Facts {
    kind: FaultKind,
    phase: Phase,
    upstream: Option<UpstreamError>,
    attempts: Vec<AttemptFault>,
    tried: Option<Tried>,
    retry_after: Option<Duration>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum FaultKind {
    /// The caller's body did not arrive in time.
    BodyTimeout,
    /// The body is larger than this operation takes, in bytes.
    BodyTooLarge {
        /// The most bytes accepted.
        limit: u64,
    },
    /// The body broke off before its declared end.
    BodyTruncated,
    /// The call was given up by the caller or by a shutdown.
    Cancelled,
    /// The same idempotency key came with another body.
    Conflict,
    /// The provider refused *our* credential or account (its 401, 402, 403, or quota used up).
    CredentialRefused,
    /// A credit or spend limit of the caller's key is used up.
    InsufficientFunds,
    /// A defect of ours, a panic included.
    Internal,
    /// The body is not JSON.
    InvalidJson {
        /// The byte at which it stopped being JSON.
        offset: usize,
    },
    /// The credential is in our format but opens nothing.
    InvalidKey,
    /// The credential is not in our format.
    InvalidKeyFormat,
    /// The request cannot be served as it stands.
    InvalidRequest(Vec<Detail>),
    /// A request or token limit of the caller's key is reached.
    KeyLimit {
        /// When the window starts anew, in Unix seconds.
        reset_at: Option<i64>,
    },
    /// The key store did not answer.
    KeyStoreUnavailable,
    /// Strict fidelity was asked for, and every target would lose these.
    Lossy(Vec<Detail>),
    /// A listed path with another method.
    MethodNotAllowed {
        /// The methods this path takes, as an `Allow` header's value.
        allow: &'static str,
    },
    /// No credential was sent.
    MissingKey,
    /// The key's scopes do not cover this.
    NotAllowed {
        /// What is not covered, as a phrase such as "model `openai/gpt-5`".
        what: String,
    },
    /// A path, record or object that is not there, or is somebody else's.
    NotFound {
        /// What was asked for.
        what: String,
    },
    /// A listed route that this build does not offer yet.
    NotImplemented {
        /// What is missing.
        what: String,
    },
    /// No room: load was shed, or every breaker is open.
    Overloaded,
    /// The provider limited us (429).
    RateLimited,
    /// The provider refused the caller's own request; its status is kept.
    Rejected {
        /// The provider's status, 400 to 499.
        status: u16,
    },
    /// Records cannot be written, so nothing is admitted.
    LedgerUnavailable,
    /// A deadline passed.
    Timeout(Timeout),
    /// The answer broke off before its end.
    Truncated,
    /// Two different keys in our format in one request.
    TwoKeys,
    /// The model's name resolves to nothing.
    UnknownModel {
        /// The name as asked for.
        model: String,
    },
    /// A content type or encoding that is not taken.
    UnsupportedMediaType,
    /// The provider failed: not reachable, a 5xx, or an answer that is not its dialect.
    Upstream(Failure),
}

/// How a provider failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// No connection could be made.
    Connect,
    /// The connection broke.
    Connection,
    /// It said that it is overloaded (503, 529).
    Overloaded,
    /// What it sent is not its dialect, or exceeds a limit.
    Protocol,
    /// It answered 5xx.
    Status,
    /// Our configuration names a model that it does not have.
    UnknownModel,
}

/// Which deadline passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Timeout {
    /// Connecting to the provider.
    Connect,
    /// From sending the request to the head of the answer.
    FirstByte,
    /// Between two chunks of an answer.
    Idle,
    /// The whole call.
    Total,
    /// The caller did not take what was ready.
    WriteStall,
}

/// How far the call had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Nothing was sent to a provider.
    BeforeSend,
    /// Sent, no response head yet.
    BeforeHead,
    /// The head came, but nothing the caller has seen.
    BeforeCommit,
    /// The caller has seen part of the answer.
    AfterCommit,
}

/// One place in the caller's request, and what is wrong there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detail {
    /// A JSON Pointer into the body; empty for the body itself.
    pub path: String,
    /// What is wrong, one lower-case line.
    pub message: String,
}

/// One failed attempt, as told to the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptFault {
    /// The provider's configured name.
    pub provider: String,
    /// Its status, if it sent one.
    pub status: Option<u16>,
    /// [`Fault::code`] of the attempt.
    pub fault: &'static str,
}

/// How far a call came that no provider answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// How many attempts were made.
    pub attempts: u32,
    /// The configured name of the provider that was asked last.
    pub provider: Arc<str>,
    /// The model that it was asked for, by its own name.
    pub model: Arc<str>,
}

/// What a provider said when it refused or failed. Scrub secrets before it is made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UpstreamError {
    /// The dialect it was told in, by name: its type and its object are that API's words, and no other's.
    pub dialect: Option<&'static str>,
    /// The HTTP status, or the one that an in-stream error stands for.
    pub status: Option<u16>,
    /// The provider's own error type (`overloaded_error`, `invalid_request_error`).
    pub kind: Option<String>,
    /// The provider's own error code.
    pub code: Option<String>,
    /// The parameter it complains about.
    pub param: Option<String>,
    /// Its message.
    pub message: String,
    /// Its request id.
    pub request_id: Option<String>,
    /// Its error object as it came: JSON text.
    pub raw: Option<Bytes>,
}

/// What a caller is told: a row of the error table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The HTTP status. (Anthropic Messages says 529 where this says 503 for an overload.)
    pub status: StatusCode,
    /// The stable reason.
    pub reason: &'static str,
    /// OpenAI's `error.type`.
    pub openai_type: &'static str,
    /// Anthropic's `error.type`.
    pub anthropic_type: &'static str,
    /// Whose doing it was: `user`, `provider` or `gateway`.
    pub origin: &'static str,
}

impl Fault {
    /// A fault before anything was sent.
    // Cold, as all that makes faults: the code of a call that goes well lies together.
    #[cold]
    pub fn new(kind: FaultKind) -> Self {
        Self(Box::new(Facts {
            kind,
            phase: Phase::BeforeSend,
            upstream: None,
            attempts: Vec::new(),
            tried: None,
            retry_after: None,
            source: None,
        }))
    }

    /// A request that is wrong at one place.
    #[cold]
    pub fn invalid(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(FaultKind::InvalidRequest(vec![Detail { path: path.into(), message: message.into() }]))
    }

    /// Says how far the call had come.
    #[must_use]
    pub fn at(mut self, phase: Phase) -> Self {
        self.0.phase = phase;
        self
    }

    /// Adds what the provider said.
    #[must_use]
    pub fn with_upstream(mut self, upstream: UpstreamError) -> Self {
        self.0.upstream = Some(upstream);
        self
    }

    /// Adds the attempts that failed.
    #[must_use]
    pub fn with_attempts(mut self, attempts: Vec<AttemptFault>) -> Self {
        self.0.attempts = attempts;
        self
    }

    /// Adds how far the call came.
    #[must_use]
    pub fn with_tried(mut self, tried: Tried) -> Self {
        self.0.tried = Some(tried);
        self
    }

    /// Adds how long to wait.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(Arc::from(source.into()));
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> &FaultKind {
        &self.0.kind
    }

    /// How far the call had come.
    pub fn phase(&self) -> Phase {
        self.0.phase
    }

    /// What the provider said.
    pub fn upstream(&self) -> Option<&UpstreamError> {
        self.0.upstream.as_ref()
    }

    /// The attempts that failed, in order.
    pub fn attempts(&self) -> &[AttemptFault] {
        &self.0.attempts
    }

    /// How far the call came; `None` if no attempt was made.
    pub fn tried(&self) -> Option<&Tried> {
        self.0.tried.as_ref()
    }

    /// How long to wait before trying again.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The fault's name in records, attempts and metrics.
    pub fn code(&self) -> &'static str {
        match &self.0.kind {
            FaultKind::BodyTimeout => "body_timeout",
            FaultKind::BodyTooLarge { .. } => "body_too_large",
            FaultKind::BodyTruncated => "body_truncated",
            FaultKind::Cancelled => "cancelled",
            FaultKind::Conflict => "conflict",
            FaultKind::CredentialRefused => "credential_refused",
            FaultKind::InsufficientFunds => "insufficient_funds",
            FaultKind::Internal => "internal",
            FaultKind::InvalidJson { .. } => "invalid_json",
            FaultKind::InvalidKey => "invalid_key",
            FaultKind::InvalidKeyFormat => "invalid_key_format",
            FaultKind::InvalidRequest(_) => "invalid_request",
            FaultKind::KeyLimit { .. } => "key_limit_exceeded",
            FaultKind::KeyStoreUnavailable => "key_store_unavailable",
            FaultKind::LedgerUnavailable => "ledger_unavailable",
            FaultKind::Lossy(_) => "lossy",
            FaultKind::MethodNotAllowed { .. } => "method_not_allowed",
            FaultKind::MissingKey => "missing_or_invalid_authorization_header",
            FaultKind::NotAllowed { .. } => "not_allowed",
            FaultKind::NotFound { .. } => "not_found",
            FaultKind::NotImplemented { .. } => "not_implemented",
            FaultKind::Overloaded => "overloaded",
            FaultKind::RateLimited => "rate_limited",
            FaultKind::Rejected { .. } => "rejected",
            FaultKind::Timeout(Timeout::Connect) => "connect_timeout",
            FaultKind::Timeout(Timeout::FirstByte) => "first_byte_timeout",
            FaultKind::Timeout(Timeout::Idle) => "idle_timeout",
            FaultKind::Timeout(Timeout::Total) => "total_timeout",
            FaultKind::Timeout(Timeout::WriteStall) => "write_stall",
            FaultKind::Truncated => "truncated",
            FaultKind::TwoKeys => "two_keys",
            FaultKind::UnknownModel { .. } => "model_not_found",
            FaultKind::UnsupportedMediaType => "unsupported_media_type",
            FaultKind::Upstream(Failure::Connect) => "connect",
            FaultKind::Upstream(Failure::Connection) => "connection",
            FaultKind::Upstream(Failure::Overloaded) => "overloaded",
            FaultKind::Upstream(Failure::Protocol) => "protocol",
            FaultKind::Upstream(Failure::Status) => "upstream_status",
            FaultKind::Upstream(Failure::UnknownModel) => "upstream_model_not_found",
        }
    }

    /// What the caller is told. The one place that decides it.
    pub fn verdict(&self) -> Verdict {
        use verdict as v;
        match &self.0.kind {
            FaultKind::BodyTimeout => Verdict { status: StatusCode::REQUEST_TIMEOUT, origin: "user", ..v::TIMEOUT },
            FaultKind::BodyTooLarge { .. } => v::TOO_LARGE,
            FaultKind::BodyTruncated
            | FaultKind::InvalidJson { .. }
            | FaultKind::InvalidRequest(_)
            | FaultKind::Lossy(_)
            | FaultKind::TwoKeys => v::VALIDATION,
            FaultKind::Cancelled | FaultKind::Overloaded | FaultKind::KeyStoreUnavailable | FaultKind::LedgerUnavailable => v::OVERLOADED,
            FaultKind::Conflict => v::CONFLICT,
            FaultKind::CredentialRefused | FaultKind::Truncated => v::PROVIDER,
            FaultKind::InsufficientFunds => v::FUNDS,
            FaultKind::Internal => v::INTERNAL,
            FaultKind::InvalidKey | FaultKind::InvalidKeyFormat | FaultKind::MissingKey => v::AUTHENTICATION,
            FaultKind::KeyLimit { .. } => Verdict { origin: "user", ..v::RATE_LIMIT },
            FaultKind::MethodNotAllowed { .. } => v::METHOD,
            FaultKind::NotAllowed { .. } => v::AUTHORIZATION,
            FaultKind::NotFound { .. } | FaultKind::UnknownModel { .. } => v::NOT_FOUND,
            FaultKind::NotImplemented { .. } => v::NOT_IMPLEMENTED,
            FaultKind::RateLimited => v::RATE_LIMIT,
            FaultKind::Rejected { status } => v::rejected(*status),
            FaultKind::Timeout(_) => v::TIMEOUT,
            FaultKind::UnsupportedMediaType => v::MEDIA_TYPE,
            FaultKind::Upstream(Failure::Overloaded) => Verdict { origin: "provider", ..v::OVERLOADED },
            FaultKind::Upstream(_) => v::PROVIDER,
        }
    }

    /// The stable code beside the reason, if there is a more exact one than the type.
    pub fn error_code(&self) -> Option<&str> {
        match &self.0.kind {
            FaultKind::InvalidRequest(_) | FaultKind::Lossy(_) => Some("validation_error"),
            FaultKind::Rejected { status } => {
                let unsaid = (*status == 404).then_some("not_found");
                self.0.upstream.as_ref().and_then(|u| u.code.as_deref()).or(unsaid)
            }
            _ => Some(self.code()),
        }
    }

    /// The places that are wrong, if the request was.
    pub fn details(&self) -> &[Detail] {
        match &self.0.kind {
            FaultKind::InvalidRequest(details) | FaultKind::Lossy(details) => details,
            _ => &[],
        }
    }

    /// Whether the provider is to blame, so that its health should suffer.
    pub fn counts_against_health(&self) -> bool {
        matches!(
            self.0.kind,
            FaultKind::CredentialRefused
                | FaultKind::Timeout(Timeout::Connect | Timeout::FirstByte | Timeout::Idle)
                | FaultKind::Truncated
                | FaultKind::Upstream(_)
        )
    }
}

/// The rows of the error table.
mod verdict {
    use super::{StatusCode, Verdict};

    const fn row(
        status: StatusCode,
        reason: &'static str,
        openai_type: &'static str,
        anthropic_type: &'static str,
        origin: &'static str,
    ) -> Verdict {
        Verdict { status, reason, openai_type, anthropic_type, origin }
    }

    const INVALID: &str = "invalid_request_error";

    pub(super) const VALIDATION: Verdict = row(StatusCode::BAD_REQUEST, "validation_error", INVALID, INVALID, "user");
    pub(super) const AUTHENTICATION: Verdict =
        row(StatusCode::UNAUTHORIZED, "authentication_error", "authentication_error", "authentication_error", "user");
    pub(super) const FUNDS: Verdict =
        row(StatusCode::PAYMENT_REQUIRED, "insufficient_funds", "insufficient_quota", "billing_error", "user");
    pub(super) const AUTHORIZATION: Verdict =
        row(StatusCode::FORBIDDEN, "authorization_error", "permission_error", "permission_error", "user");
    pub(super) const NOT_FOUND: Verdict = row(StatusCode::NOT_FOUND, "not_found_error", INVALID, "not_found_error", "user");
    pub(super) const METHOD: Verdict = row(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", INVALID, INVALID, "user");
    pub(super) const TIMEOUT: Verdict = row(StatusCode::GATEWAY_TIMEOUT, "timeout", "timeout_error", "timeout_error", "provider");
    pub(super) const CONFLICT: Verdict = row(StatusCode::CONFLICT, "conflict", INVALID, INVALID, "user");
    pub(super) const TOO_LARGE: Verdict = row(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", INVALID, "request_too_large", "user");
    pub(super) const MEDIA_TYPE: Verdict = row(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", INVALID, INVALID, "user");
    pub(super) const RATE_LIMIT: Verdict =
        row(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", "rate_limit_error", "rate_limit_error", "provider");
    pub(super) const INTERNAL: Verdict = row(StatusCode::INTERNAL_SERVER_ERROR, "server_error", "server_error", "api_error", "gateway");
    pub(super) const NOT_IMPLEMENTED: Verdict = row(StatusCode::NOT_IMPLEMENTED, "not_implemented", INVALID, INVALID, "gateway");
    pub(super) const PROVIDER: Verdict = row(StatusCode::BAD_GATEWAY, "provider_error", "provider_error", "api_error", "provider");
    pub(super) const OVERLOADED: Verdict =
        row(StatusCode::SERVICE_UNAVAILABLE, "overloaded", "overloaded_error", "overloaded_error", "gateway");

    /// A provider's 4xx about the caller's own request keeps its status.
    pub(super) fn rejected(status: u16) -> Verdict {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
        let like = match status.as_u16() {
            404 => NOT_FOUND,
            405 => METHOD,
            408 => TIMEOUT,
            409 => CONFLICT,
            413 => TOO_LARGE,
            415 => MEDIA_TYPE,
            429 => RATE_LIMIT,
            _ => VALIDATION,
        };
        Verdict { status, origin: "user", ..like }
    }
}

impl Clone for Fault {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The provider's raw body may repeat the prompt: it is not shown.
        f.debug_struct("Fault")
            .field("code", &self.code())
            .field("phase", &self.0.phase)
            .field("status", &self.0.upstream.as_ref().and_then(|u| u.status))
            .field("attempts", &self.0.attempts)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (FaultKind::Rejected { .. }, Some(upstream)) = (&self.0.kind, &self.0.upstream)
            && !upstream.message.is_empty()
        {
            return f.write_str(&upstream.message);
        }
        if let (FaultKind::Upstream(Failure::Protocol), Some(upstream)) = (&self.0.kind, &self.0.upstream)
            && !upstream.message.is_empty()
        {
            return write!(f, "the provider's answer is not valid: {}", upstream.message);
        }
        match &self.0.kind {
            FaultKind::BodyTimeout => f.write_str("the request body did not arrive in time"),
            // A foreign layer's limit is not known.
            FaultKind::BodyTooLarge { limit: 0 } => f.write_str("the request body is too large"),
            FaultKind::BodyTooLarge { limit } => write!(f, "the request body is larger than {limit} bytes"),
            FaultKind::BodyTruncated => f.write_str("the request body broke off before its declared end"),
            FaultKind::Cancelled => f.write_str("the call was given up"),
            FaultKind::Conflict => f.write_str("this idempotency key was used with another body"),
            FaultKind::CredentialRefused => f.write_str("the provider refused the gateway's credential"),
            FaultKind::InsufficientFunds => f.write_str("the key's credit or spend limit is used up"),
            FaultKind::Internal => f.write_str("the gateway failed"),
            FaultKind::InvalidJson { offset } => write!(f, "the request body is not JSON (at byte {offset})"),
            FaultKind::InvalidKey => f.write_str("this API key is not valid"),
            FaultKind::InvalidKeyFormat => f.write_str("this API key is not in the gateway's format"),
            FaultKind::InvalidRequest(details) => match details.as_slice() {
                [one] if one.path.is_empty() => f.write_str(&one.message),
                [one, ..] => write!(f, "{}: {}", one.path, one.message),
                [] => f.write_str("the request is not valid"),
            },
            FaultKind::KeyLimit { .. } => f.write_str("a limit of this API key is reached"),
            FaultKind::KeyStoreUnavailable => f.write_str("API keys cannot be checked at the moment"),
            FaultKind::LedgerUnavailable => f.write_str("calls cannot be recorded at the moment"),
            FaultKind::Lossy(details) => {
                f.write_str("no target can carry the whole request:")?;
                details.iter().try_for_each(|detail| write!(f, " {}", detail.path))
            }
            FaultKind::MethodNotAllowed { allow } => write!(f, "this path takes {allow}"),
            FaultKind::MissingKey => f.write_str("no API key was sent"),
            FaultKind::NotAllowed { what } => write!(f, "this API key may not use {what}"),
            FaultKind::NotFound { what } => write!(f, "{what} is not known here"),
            FaultKind::NotImplemented { what } => write!(f, "{what} is not built yet"),
            FaultKind::Overloaded => f.write_str("there is no capacity at the moment"),
            FaultKind::RateLimited => f.write_str("the provider limits the gateway's requests"),
            FaultKind::Rejected { status } => write!(f, "the provider refused the request ({status})"),
            FaultKind::Timeout(Timeout::Connect) => f.write_str("the provider could not be reached in time"),
            FaultKind::Timeout(Timeout::FirstByte) => f.write_str("the provider did not begin to answer in time"),
            FaultKind::Timeout(Timeout::Idle) => f.write_str("the provider went silent"),
            FaultKind::Timeout(Timeout::Total) => f.write_str("the call took too long"),
            FaultKind::Timeout(Timeout::WriteStall) => f.write_str("the answer was not read in time"),
            FaultKind::Truncated => f.write_str("the provider's answer broke off before its end"),
            FaultKind::TwoKeys => f.write_str("two different API keys were sent"),
            FaultKind::UnknownModel { model } => write!(f, "model `{model}` is not known here"),
            FaultKind::UnsupportedMediaType => f.write_str("this content type or encoding is not taken"),
            FaultKind::Upstream(Failure::Connect) => f.write_str("the provider could not be reached"),
            FaultKind::Upstream(Failure::Connection) => f.write_str("the connection to the provider broke"),
            FaultKind::Upstream(Failure::Overloaded) => f.write_str("the provider is overloaded"),
            FaultKind::Upstream(Failure::Protocol) => f.write_str("the provider's answer is not valid"),
            FaultKind::Upstream(Failure::Status) => f.write_str("the provider failed"),
            FaultKind::Upstream(Failure::UnknownModel) => f.write_str("the provider does not know the configured model"),
        }
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

impl From<FaultKind> for Fault {
    #[cold]
    fn from(kind: FaultKind) -> Self {
        Self::new(kind)
    }
}

/// Finds the fault in an error of ours or of a foreign layer: Tower's `Elapsed` and `Overloaded`, length limits, hyper.
impl From<BoxError> for Fault {
    #[cold]
    fn from(error: BoxError) -> Self {
        let error = match error.downcast::<Fault>() {
            Ok(fault) => return *fault,
            Err(error) => error,
        };
        let mut cause: Option<&(dyn Error + 'static)> = Some(error.as_ref());
        let mut kind = None;
        while let (None, Some(this)) = (&kind, cause) {
            if let Some(fault) = this.downcast_ref::<Fault>() {
                return fault.clone();
            }
            kind = foreign(this);
            cause = this.source();
        }
        Self::new(kind.unwrap_or(FaultKind::Internal)).with_source(error)
    }
}

/// What an error of a foreign crate means to a caller.
fn foreign(error: &(dyn Error + 'static)) -> Option<FaultKind> {
    if error.is::<tower::timeout::error::Elapsed>() {
        Some(FaultKind::Timeout(Timeout::Total))
    } else if error.is::<tower::load_shed::error::Overloaded>() {
        Some(FaultKind::Overloaded)
    } else if error.is::<http_body_util::LengthLimitError>() {
        Some(FaultKind::BodyTooLarge { limit: 0 })
    } else {
        let hyper = error.downcast_ref::<hyper::Error>()?;
        if hyper.is_timeout() {
            Some(FaultKind::BodyTimeout)
        } else if hyper.is_incomplete_message() || hyper.is_body_write_aborted() {
            Some(FaultKind::BodyTruncated)
        } else if hyper.is_canceled() || hyper.is_closed() {
            Some(FaultKind::Cancelled)
        } else {
            None
        }
    }
}
