//! What hyper's errors mean.

use std::{error::Error, io};

use tower::BoxError;

use crate::fault::{Failure, Fault, FaultKind, Phase};

/// An exchange that gave no answer.
pub(super) fn of_exchange(error: hyper::Error, phase: Phase) -> Fault {
    if let Some(fault) = of_request_body(&error) {
        return fault.at(phase);
    }
    let failure = if error.is_parse() { Failure::Protocol } else { Failure::Connection };
    Fault::new(FaultKind::Upstream(failure)).at(phase).with_source(error)
}

/// An answer that broke off.
pub(super) fn of_body(error: hyper::Error) -> Fault {
    if let Some(fault) = of_request_body(&error) {
        return fault.at(Phase::BeforeCommit);
    }
    let kind = match io_kind(&error) {
        Some(io::ErrorKind::UnexpectedEof) => FaultKind::Truncated,
        Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) => FaultKind::Upstream(Failure::Protocol),
        _ if error.is_incomplete_message() => FaultKind::Truncated,
        _ if error.is_parse() => FaultKind::Upstream(Failure::Protocol),
        _ => FaultKind::Upstream(Failure::Connection),
    };
    Fault::new(kind).at(Phase::BeforeCommit).with_source(error)
}

/// The fault of the body that we sent: the caller's upload failed, not the provider.
fn of_request_body(error: &hyper::Error) -> Option<Fault> {
    if !error.is_user() {
        return None;
    }
    let mut cause = error.source();
    while let Some(this) = cause {
        if let Some(fault) = this.downcast_ref::<Fault>() {
            return Some(fault.clone());
        }
        cause = this.source();
    }
    None
}

fn io_kind(error: &hyper::Error) -> Option<io::ErrorKind> {
    let mut cause = error.source();
    while let Some(this) = cause {
        if let Some(io) = this.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        cause = this.source();
    }
    None
}

/// A request that we cannot send as it stands: a defect of ours or of the host.
pub(super) fn unsendable(source: impl Into<BoxError>) -> Fault {
    Fault::new(FaultKind::Internal).with_source(source)
}
