//! A whole gateway in front of two scripted providers.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, request};
use http_body_util::{BodyExt, Full};
use portcullis::{
    catalog::{ApiKey, Catalog, Meter, ModelEntry, Preset, Price, Rate, TargetEntry, Tier, Timeouts},
    gateway::{Drained, Gateway, GatewayBody},
    meter::{MemoryLedger, Record},
    retry::RetryPolicy,
    translate::TranslateLayer,
    transport::{HttpClient, Transport},
};
use serde_json::Value;
use tokio::{sync::oneshot, task::JoinHandle};
use tower::ServiceExt;

use super::provider::Provider;

/// A gateway and its providers. Its models: `gpt` at OpenAI's, `claude` at Anthropic's, `both` at both in this order.
pub struct Stack {
    pub openai: Provider,
    pub anthropic: Provider,
    pub gateway: Gateway,
    pub ledger: MemoryLedger,
    shutdown: oneshot::Sender<()>,
    driver: JoinHandle<Drained>,
}

/// How a stack differs from the usual one.
pub struct Options {
    pub timeouts: Timeouts,
    pub retry: RetryPolicy,
    pub translate: TranslateLayer,
    pub drain: Duration,
    /// What the gateway's providers know it by.
    pub key: &'static str,
}

impl Default for Options {
    fn default() -> Self {
        let retry = RetryPolicy::new().backoff(Duration::ZERO, Duration::ZERO);
        Self {
            timeouts: Timeouts::default(),
            retry,
            translate: TranslateLayer::new(),
            drain: Duration::from_secs(30),
            key: "sk-upstream-secret",
        }
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Stack {
    pub async fn start() -> Self {
        Self::with(Options::default()).await
    }

    pub async fn with(options: Options) -> Self {
        let (openai, anthropic) = (Provider::start().await, Provider::start().await);
        let price = || {
            let rate = |text, meter| Rate::parse(text, meter).expect("a price");
            let tier = Tier::default()
                .rate(Meter::Input, rate("3.00", Meter::Input))
                .rate(Meter::CacheRead, rate("0.30", Meter::CacheRead))
                .rate(Meter::Output, rate("15.00", Meter::Output));
            Arc::new(Price::flat(tier))
        };
        let entry = |provider: &str, model: &str| TargetEntry::new(provider, model).price(price());
        let account = |preset: &'static Preset, name: &str, at: &Provider| {
            let account = preset.account(name).base_url(at.url("/v1")).api_key(ApiKey::new(options.key)).timeouts(options.timeouts);
            account.build().expect("an account")
        };
        let catalog = Catalog::builder()
            .provider(account(&Preset::OPENAI, "openai", &openai))
            .provider(account(&Preset::ANTHROPIC, "anthropic", &anthropic))
            .model(ModelEntry::new("gpt").target(entry("openai", "gpt-4o-mini")))
            .model(ModelEntry::new("claude").target(entry("anthropic", "claude-sonnet-4-20250514")))
            .model(ModelEntry::new("both").target(entry("openai", "gpt-4o-mini")).target(entry("anthropic", "claude-sonnet-4-20250514")))
            .build()
            .expect("a catalogue");
        let ledger = MemoryLedger::default();
        let (gateway, driver) = Gateway::builder(catalog)
            .open()
            .ledger(ledger.clone())
            .retry(options.retry)
            .translate(options.translate)
            .drain(options.drain)
            .build(Transport::new(HttpClient::new()));
        let (shutdown, stopped) = oneshot::channel();
        let driver = tokio::spawn(driver.run(async {
            let _ = stopped.await;
        }));
        Self { openai, anthropic, gateway, ledger, shutdown, driver }
    }

    /// Sends `body` to `path` and gives the answer's head and its running body.
    pub async fn send(&self, path: &str, body: impl Into<Bytes>) -> http::Response<GatewayBody> {
        self.request(Request::post(path).header("content-type", "application/json"), body).await
    }

    pub async fn request(&self, head: request::Builder, body: impl Into<Bytes>) -> http::Response<GatewayBody> {
        let request = head.body(Full::new(body.into())).expect("a request");
        self.gateway.clone().oneshot(request).await.expect("a gateway never fails")
    }

    /// Sends `body` to `path` and reads the answer.
    pub async fn ask(&self, path: &str, body: impl Into<Bytes>) -> Answer {
        Answer::read(self.send(path, body).await).await
    }

    /// The one record there is.
    pub fn record(&self) -> Record {
        let mut records = self.ledger.records();
        assert_eq!(records.len(), 1, "{records:#?}");
        records.remove(0)
    }

    /// Shuts the driver down.
    pub async fn stop(self) -> Drained {
        let _ = self.shutdown.send(());
        self.driver.await.expect("the driver ends")
    }
}

impl Answer {
    pub async fn read(response: http::Response<GatewayBody>) -> Self {
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        Self { status: parts.status, headers: parts.headers, body }
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// A small chat request.
pub fn chat(model: &str, stream: bool) -> String {
    format!(r#"{{"model":"{model}","stream":{stream},"messages":[{{"role":"user","content":"Hello"}}]}}"#)
}

/// A small Messages request.
pub fn messages(model: &str, stream: bool) -> String {
    format!(r#"{{"model":"{model}","max_tokens":64,"stream":{stream},"messages":[{{"role":"user","content":"Hello"}}]}}"#)
}
