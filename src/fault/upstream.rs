//! What providers said, and how far calls came with them.

use std::sync::Arc;

use bytes::Bytes;

/// One failed attempt, as told to the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptFault {
    /// The provider's configured name.
    pub provider: String,
    /// Its status, if it sent one.
    pub status: Option<u16>,
    /// [`Fault::code`](super::Fault::code) of the attempt.
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
