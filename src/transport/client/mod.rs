//! The HTTP client that carries requests to providers.

mod body;
mod dial;
mod error;
mod http2;
mod line;
mod origin;
mod pulse;
mod service;
mod tls;

pub use self::{
    body::ProviderBody,
    service::{HttpClient, HttpClientBuilder, HttpFuture},
};
