//! The kinds of faults.

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

impl FaultKind {
    /// Its name in records, attempts and metrics.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::BodyTimeout => "body_timeout",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::BodyTruncated => "body_truncated",
            Self::Cancelled => "cancelled",
            Self::Conflict => "conflict",
            Self::CredentialRefused => "credential_refused",
            Self::InsufficientFunds => "insufficient_funds",
            Self::Internal => "internal",
            Self::InvalidJson { .. } => "invalid_json",
            Self::InvalidKey => "invalid_key",
            Self::InvalidKeyFormat => "invalid_key_format",
            Self::InvalidRequest(_) => "invalid_request",
            Self::KeyLimit { .. } => "key_limit_exceeded",
            Self::KeyStoreUnavailable => "key_store_unavailable",
            Self::LedgerUnavailable => "ledger_unavailable",
            Self::Lossy(_) => "lossy",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::MissingKey => "missing_or_invalid_authorization_header",
            Self::NotAllowed { .. } => "not_allowed",
            Self::NotFound { .. } => "not_found",
            Self::NotImplemented { .. } => "not_implemented",
            Self::Overloaded => "overloaded",
            Self::RateLimited => "rate_limited",
            Self::Rejected { .. } => "rejected",
            Self::Timeout(Timeout::Connect) => "connect_timeout",
            Self::Timeout(Timeout::FirstByte) => "first_byte_timeout",
            Self::Timeout(Timeout::Idle) => "idle_timeout",
            Self::Timeout(Timeout::Total) => "total_timeout",
            Self::Timeout(Timeout::WriteStall) => "write_stall",
            Self::Truncated => "truncated",
            Self::TwoKeys => "two_keys",
            Self::UnknownModel { .. } => "model_not_found",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::Upstream(Failure::Connect) => "connect",
            Self::Upstream(Failure::Connection) => "connection",
            Self::Upstream(Failure::Overloaded) => "overloaded",
            Self::Upstream(Failure::Protocol) => "protocol",
            Self::Upstream(Failure::Status) => "upstream_status",
            Self::Upstream(Failure::UnknownModel) => "upstream_model_not_found",
        }
    }
}
