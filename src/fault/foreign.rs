//! Faults in errors of others.

use std::error::Error;

use tower::BoxError;

use super::{Fault, FaultKind, Timeout};

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
