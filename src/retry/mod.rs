//! Until one answers: tries the targets of a plan, one attempt at a time.
//!
//! Stands between routing and translation. An attempt that fails before anything reached the caller (up to the commit
//! point, streams included) may be repeated; after it nothing is.
//!
//! | the attempt ended with | then |
//! | --- | --- |
//! | a transient fault: no connection, 5xx, overload, rate limit, a deadline, an answer that broke off | the same target again after a jittered backoff, if the targets not tried yet leave an attempt for it; else the next |
//! | our credential refused, a model unknown there, a request that cannot be said in its dialect | the next target |
//! | the caller's own mistake | told at once |
//!
//! `Retry-After` is honoured up to a [cap](RetryPolicy::max_retry_after); past it the target is left alone until then.
//! The **retry budget** charges repeats and probes of targets that are failing: total failure stays near 1.2 times the
//! offered load, while one provider's outage moves its traffic for free. Before each dispatch the call's tally opens
//! the attempt; if it cannot, nothing is sent.
//!
//! Bodies pass untouched. Always ready: a clone of the inner service is awaited for each attempt. Errors are
//! [`Fault`](crate::fault::Fault)s; the last one lists the attempts.
//!
//! ```
//! use portcullis::retry::{RetryLayer, RetryPolicy};
//!
//! let layer = RetryLayer::new(RetryPolicy::new().attempts(2));
//! # let _ = layer;
//! ```

mod layer;
mod policy;
mod service;
mod walk;

pub use self::{
    layer::RetryLayer,
    policy::RetryPolicy,
    service::{ResponseFuture, Retry},
};
