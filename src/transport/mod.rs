//! How requests reach providers.
//!
//! | service | for |
//! | --- | --- |
//! | [`HttpClient`] (feature `client`) | providers over HTTP |
//!
//! Each takes a [`Request<Outgoing>`](crate::stage::Outgoing) and fails with a [`Fault`](crate::fault::Fault) whose phase
//! says how far it came. The head of an answer resolves the future, whatever its status: what it means is for the layers
//! above.

#[cfg(feature = "client")]
mod client;

#[cfg(feature = "client")]
pub use self::client::{HttpClient, HttpClientBuilder, HttpFuture, ProviderBody};
