//! Providers, models, and the targets that join them.

use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue, Uri};

use super::{BaseUrl, ModelId, Price, ProviderId};
use crate::dialect::{Capabilities, Dialect};

/// Somebody who answers: one account at one API.
#[derive(Debug)]
pub struct Provider {
    /// Its configured name.
    pub name: ProviderId,
    /// The preset it was made from: `openai`, `anthropic`, `openai-compatible`, `demo`.
    pub kind: Arc<str>,
    /// How it is reached.
    pub wire: Wire,
    /// The chat dialects it speaks, the preferred first.
    pub dialects: Vec<&'static dyn Dialect>,
    /// Whether it also takes OpenAI's shapes of embeddings, moderations and images.
    pub openai_operations: bool,
    /// Whose opaque tokens it reads: `anthropic`, `openai`.
    pub issuer: Arc<str>,
    /// Headers it always wants, such as `anthropic-version`, where the caller sent none.
    pub default_headers: Vec<(HeaderName, HeaderValue)>,
    /// Its deadlines.
    pub timeouts: Timeouts,
}

/// How a provider is reached.
#[derive(Debug)]
pub enum Wire {
    /// Over HTTP.
    Http(Box<HttpOrigin>),
    /// The demo that answers inside the process.
    Demo,
}

/// Where a provider listens, and how to speak to it.
pub struct HttpOrigin {
    /// Where its endpoints are.
    pub base_url: BaseUrl,
    /// The credential's header; marked sensitive.
    pub credential: Option<(HeaderName, HeaderValue)>,
    /// Which HTTP it speaks.
    pub version: HttpVersion,
    /// An HTTP proxy to go through (`CONNECT`).
    pub proxy: Option<Uri>,
    /// Certificates to trust besides the web's: PEM text.
    pub ca_pem: Option<Arc<[u8]>>,
}

impl fmt::Debug for HttpOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpOrigin")
            .field("base_url", &self.base_url)
            .field("version", &self.version)
            // A proxy's URL may hold a password.
            .field("proxy", &self.proxy.as_ref().and_then(Uri::host))
            .finish_non_exhaustive()
    }
}

/// Which HTTP a provider is spoken to in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/1.1, a connection per running call: the cheapest for streams.
    #[default]
    Http1,
    /// HTTP/2, many calls on one connection; negotiated with TLS, assumed without.
    Http2,
}

/// The deadlines of calls to a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// To connect, TLS included. Default 5 s.
    pub connect: Duration,
    /// From the request to the head of a stream. Default 120 s. A whole answer has `total`.
    pub first_byte: Duration,
    /// Between two chunks of an answer. Default 60 s.
    pub idle: Duration,
    /// The whole attempt. Default 10 min.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(120),
            idle: Duration::from_secs(60),
            total: Duration::from_secs(600),
        }
    }
}

/// A model that callers can name.
#[derive(Clone, Debug)]
pub struct Model {
    /// Its id.
    pub id: ModelId,
    /// Other names for it.
    pub aliases: Vec<ModelId>,
    /// How to order its targets.
    pub strategy: Strategy,
    /// Who can answer, in the configured order. Never empty.
    pub targets: Vec<Arc<Target>>,
    /// When it was made known, in Unix seconds.
    pub created: u64,
    /// Whose model it is.
    pub owned_by: Arc<str>,
}

/// How a model's targets are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strategy {
    /// As configured: the first that works.
    #[default]
    Priority,
}

/// One model at one provider.
#[derive(Clone, Debug)]
pub struct Target {
    /// Who answers.
    pub provider: Arc<Provider>,
    /// What the provider calls the model.
    pub model: Arc<str>,
    /// The catalogue's id of the model.
    pub id: ModelId,
    /// What it costs; `None` if nobody said.
    pub price: Option<Arc<Price>>,
    /// What it can do.
    pub capabilities: Arc<Capabilities>,
    /// The dialect to speak, if the configuration fixes one.
    pub dialect: Option<&'static dyn Dialect>,
    /// Its deadlines, where they differ from the provider's.
    pub timeouts: Timeouts,
}

impl Target {
    /// The dialect to speak for a caller that speaks `caller`: the caller's own where the provider has it.
    pub fn dialect_for(&self, caller: &'static dyn Dialect) -> &'static dyn Dialect {
        let own = || self.provider.dialects.iter().copied().find(|dialect| dialect.name() == caller.name());
        self.dialect.or_else(own).or(self.provider.dialects.first().copied()).unwrap_or(caller)
    }
}

/// A provider's secret, kept out of logs.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(Arc<str>);

impl ApiKey {
    /// Wraps a secret.
    pub fn new(secret: impl Into<Arc<str>>) -> Self {
        Self(secret.into())
    }

    /// The secret itself; for the header that carries it, nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(<redacted>)")
    }
}
