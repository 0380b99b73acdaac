//! In that provider's words: says a call in its target's dialect, and its answer in the caller's.
//!
//! Stands below retry and above the transport. Three ways, chosen before anything is parsed:
//!
//! | way | when | what is done to the body |
//! | --- | --- | --- |
//! | splice | same dialect | the model's value is replaced, the gateway's own members are cut; the rest goes up as slices of the caller's bytes |
//! | patch | same dialect, with a provider's quirk | besides, members are renamed or added at their places |
//! | hub | another dialect | decoded and encoded, each attempt from the caller's original bytes |
//!
//! The future resolves at the **commit point**: the first content of a stream, its end, or [`hold`](TranslateLayer::hold)
//! after the provider's head. What comes before is held back, so that an error hidden in a 200 is still an `Err` that
//! retry can act on. After it, an error is the dialect's error event and never looks like a normal end.
//!
//! | | |
//! | --- | --- |
//! | request headers | an allow-list goes up; nothing else of the caller's does |
//! | answer headers | `content-type`, and what we add: `x-gateway-provider`, `-model`, `-attempts`, `-loss`, `-cost-usd`, `server-timing` |
//! | bodies | whole answers are read up to a limit; streams keep one frame and join what is ready together |
//! | deadlines | the target's: first byte, and for whole answers idle and total, here; of a running stream idle, total and write stall by the [`Watchdog`](crate::stage::Watchdog) |
//! | long bodies | past 256 KiB, said in another dialect on a blocking thread of the runtime, if there is one; whole answers in the caller's own dialect past 2 MiB; the clone of the inner service that is called is the one that is ready |
//! | backpressure | delegates readiness |
//!
//! Trailers of the provider are dropped.
//!
//! ```
//! use portcullis::translate::TranslateLayer;
//! use std::time::Duration;
//!
//! let layer = TranslateLayer::new().hold(Duration::from_secs(2)).annotate(false);
//! # let _ = layer;
//! ```

mod exchange;
mod head;
mod layer;
mod masking;
mod notes;
mod request;
mod service;
mod stream;
mod whole;

pub use self::{
    layer::TranslateLayer,
    service::{ResponseFuture, Translate},
    stream::StreamBody,
    whole::TranslatedBody,
};
