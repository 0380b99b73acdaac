//! What goes wrong, as one value.
//!
//! A [`Fault`] says what happened ([`FaultKind`]), how far the call had come ([`Phase`]) and what the provider said
//! ([`UpstreamError`]). Routing, retries, health and metering decide by kind and phase, never by text; each dialect
//! renders a fault twice, as a body and as an in-stream event. [`Fault::verdict`] is the one place that maps a fault to
//! a status.

mod foreign;
mod kind;
mod upstream;
mod verdict;
mod words;

use std::{error::Error, fmt, sync::Arc, time::Duration};

use tower::BoxError;

pub use self::{
    kind::{Detail, Failure, FaultKind, Phase, Timeout},
    upstream::{AttemptFault, Tried, UpstreamError},
    verdict::Verdict,
};

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
        self.0.kind.code()
    }

    /// What the caller is told.
    pub fn verdict(&self) -> Verdict {
        Verdict::of(&self.0.kind)
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
