//! What each call costs: exactly one record per call, whatever ends it.
//!
//! The meter opens the books of a [`Call`](crate::stage::Call), hands it down with a [`Tally`](crate::stage::Tally) that
//! the layers below report to, and gives a [`Record`] to a [`Ledger`] when the call is over:
//!
//! | what ends the call | `outcome` | usage |
//! | --- | --- | --- |
//! | the dialect's own end | `complete` | reported |
//! | a refusal below (no such model, no target left) | `failed` | nothing, if nothing was sent |
//! | the answer breaks off | `truncated` | partial, or estimated |
//! | an error after the answer began | as the layer below says, else `failed` | partial, or estimated |
//! | the caller leaves, before or after the head; a shutdown | `cancelled` | partial or estimated; [drained](MeterLayer::drain), reported |
//! | a layer below panics, in its future or its body | `failed` | partial, or estimated |
//!
//! ```
//! use portcullis::{meter::{MemoryLedger, MeterLayer}, stage::Call};
//! use tower::{Layer, service_fn};
//! # use http::{Request, Response};
//!
//! let ledger = MemoryLedger::default();
//! let answers = service_fn(|call: Request<Call>| async move { Ok::<_, tower::BoxError>(Response::new(call.into_body())) });
//! let metered = MeterLayer::new(ledger.clone()).layer(answers);
//! # drop(metered);
//! assert_eq!(ledger.records().len(), 0); // one more after each call
//! ```
//!
//! **In the stack** it stands below `NormalizeLayer`, which makes the call, and above everything that may refuse or answer
//! it. What was refused before it was a call is no record.
//!
//! **The record is written before the end is told.** The last frame of a stream, or a whole answer's body, is handed out
//! once the [`Ledger`] has the record: a caller who has seen the end has one. A ledger that writes what several calls say in
//! one go makes calls wait a turn for it, before the dispatch and before the end: other calls that are ready go first.
//!
//! **Bodies** pass unchanged. **Errors** of the inner service and of its bodies become [`Fault`](crate::fault::Fault)s; a
//! panic below becomes one too, since it is caught here: under `panic = "abort"` the ledger's intent is all there is.
//! **Backpressure**: readiness is the inner service's.
//!
//! **Alone**, in front of somebody's own reverse proxy, it reads the usage from the answers' bytes:
//! [`MeterLayer::observe`].
//!
//! Money is exact: each attempt at the price it was dispatched at, summed in picodollars, rounded once.
//!
//! What it does *not* do: stop anybody. Limits and budgets are policies of their own; a [`Ledger::intend`] that refuses
//! keeps an attempt from being dispatched.

mod body;
mod estimate;
mod fold;
mod future;
mod layer;
mod ledger;
mod observer;
mod record;
mod recorder;
mod service;

pub(crate) use self::record::{is_one, rfc3339};
pub use self::{
    body::MeteredBody,
    future::ResponseFuture,
    layer::MeterLayer,
    ledger::{Intended, Ledger, MemoryLedger, Queued},
    record::{AttemptRecord, PricingLine, Record, RecordedUsage, UsageSource},
    service::Meter,
};

/// The most bytes of a name in a record.
const MOST_NAME: usize = 256;

/// The text, or its start: names in records are bounded.
pub(crate) fn clipped(text: &str) -> &str {
    let mut end = text.len().min(MOST_NAME);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}
