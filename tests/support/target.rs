//! Targets that lead to a fake provider.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use portcullis::{
    catalog::{BaseUrl, HttpOrigin, HttpVersion, ModelId, Provider, ProviderId, Target, Timeouts, Wire},
    dialect::{Capabilities, Dialect},
};

/// How a target's provider is reached.
pub struct Reach {
    /// The provider's name.
    pub provider: &'static str,
    /// The secret of its `authorization` header.
    pub secret: &'static str,
    /// Which HTTP it speaks.
    pub version: HttpVersion,
    /// A proxy to go through.
    pub proxy: Option<String>,
    /// Certificates to trust.
    pub ca_pem: Option<String>,
    /// Its deadlines.
    pub timeouts: Timeouts,
}

impl Default for Reach {
    fn default() -> Self {
        Self {
            provider: "fake",
            secret: "provider-secret",
            version: HttpVersion::Http1,
            proxy: None,
            ca_pem: None,
            timeouts: Timeouts::default(),
        }
    }
}

/// A model `fake-1` at `base_url`, which has no slash at its end.
pub fn target(base_url: &str, dialects: &[&'static dyn Dialect], reach: Reach) -> Arc<Target> {
    let mut credential = HeaderValue::try_from(format!("Bearer {}", reach.secret)).expect("a header's value");
    credential.set_sensitive(true);
    let origin = HttpOrigin {
        base_url: BaseUrl::new(base_url.parse().expect("a base URL")),
        credential: Some((HeaderName::from_static("authorization"), credential)),
        version: reach.version,
        proxy: reach.proxy.map(|proxy| proxy.parse().expect("a proxy's URL")),
        ca_pem: reach.ca_pem.map(|pem| pem.into_bytes().into()),
    };
    on(Wire::Http(Box::new(origin)), dialects, &reach.provider.into(), reach.timeouts)
}

/// A model `fake-1` that the built-in demo answers.
pub fn demo_target(dialects: &[&'static dyn Dialect]) -> Arc<Target> {
    on(Wire::Demo, dialects, &"demo".into(), Timeouts::default())
}

fn on(wire: Wire, dialects: &[&'static dyn Dialect], name: &ProviderId, timeouts: Timeouts) -> Arc<Target> {
    let provider = Provider {
        name: name.clone(),
        kind: "openai-compatible".into(),
        wire,
        dialects: dialects.to_vec(),
        openai_operations: true,
        issuer: name.as_str().into(),
        default_headers: Vec::new(),
        timeouts,
    };
    Arc::new(Target {
        provider: Arc::new(provider),
        model: "fake-1".into(),
        id: ModelId::from("fake/fake-1"),
        price: None,
        capabilities: Arc::new(Capabilities::default()),
        dialect: None,
        timeouts,
    })
}
