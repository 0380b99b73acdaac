//! What is asked: reads a request into a [`Call`](crate::stage::Call), and turns whatever goes wrong below into an
//! answer in the caller's dialect.
//!
//! Stands below auth and above everything that works on calls. Useful alone, in front of any service that takes a
//! [`Call`](crate::stage::Call) as a body, since that body is the caller's own payload.
//!
//! | | |
//! | --- | --- |
//! | request | read whole, up to a [limit](NormalizeLayer::max_body); checked as JSON in one scan (past 2 MiB on a blocking thread of the runtime, if there is one); never parsed into values |
//! | refuses | unknown paths, other methods, wrong content types, bodies too large or too slow, broken JSON, missing or repeated control members |
//! | answer | passes through; the call's id is added to its headers |
//! | errors | every `Err` from below becomes one response; an `Err` in a stream becomes the dialect's error event |
//! | backpressure | always ready: the inner service's readiness is awaited once the body is here |
//!
//! It does not look inside messages, and does not resolve the model's name.
//!
//! ```
//! use std::convert::Infallible;
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use portcullis::{normalize::NormalizeLayer, stage::Call};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Infallible> {
//! let service = ServiceBuilder::new().layer(NormalizeLayer::new()).service(service_fn(|request: Request<Call>| async move {
//!     let model = request.body().facts().model.clone();
//!     Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(model))))
//! }));
//! let request = Request::post("/v1/chat/completions").body(Full::new(Bytes::from(r#"{"model":"demo/echo","messages":[]}"#))).unwrap();
//! assert_eq!(service.oneshot(request).await?.status(), 200);
//! # Ok(())
//! # }
//! ```

mod body;
mod buffer;
mod control;
mod head;
mod layer;
mod read;
mod service;

pub use self::{
    body::NormalizedBody,
    layer::NormalizeLayer,
    service::{Normalize, ResponseFuture},
};
