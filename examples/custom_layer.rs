//! A host's own layer between two of the gateway's.
//!
//! The layers are assembled by hand. Between metering, which has opened the books, and routing, which has not asked
//! anybody yet, stands a layer of ours: it knows the call and refuses long prompts, so a refusal has its record too.
//!
//! `cargo run --example custom_layer`

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use portcullis::{
    catalog::{Catalog, ModelEntry, Preset, TargetEntry},
    fault::Fault,
    meter::{MemoryLedger, MeterLayer},
    normalize::NormalizeLayer,
    retry::{RetryLayer, RetryPolicy},
    route::RouteLayer,
    stage::Call,
    translate::TranslateLayer,
    transport::Transport,
};
use tower::{Service, ServiceBuilder, ServiceExt, layer::layer_fn};

/// Refuses calls whose payload is longer than `limit` bytes.
#[derive(Clone)]
struct ShortPrompts<S> {
    inner: S,
    limit: usize,
}

impl<S> Service<Request<Call>> for ShortPrompts<S>
where
    S: Service<Request<Call>, Error = Fault>,
    S::Response: Send + 'static,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = Fault;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, Fault>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Call>) -> Self::Future {
        let length = request.body().payload().whole().map_or(0, Bytes::len);
        if length > self.limit {
            let fault = Fault::invalid("/messages", format!("more than {} bytes are too long here", self.limit));
            return Box::pin(std::future::ready(Err(fault)));
        }
        Box::pin(self.inner.call(request))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let catalog = Catalog::builder()
        .provider(Preset::DEMO.account("demo").build()?)
        .model(ModelEntry::new("demo/echo").target(TargetEntry::new("demo", "echo")))
        .build()?;
    let ledger = MemoryLedger::default();
    let service = ServiceBuilder::new()
        .layer(NormalizeLayer::new())
        .layer(MeterLayer::new(ledger.clone()))
        .layer(layer_fn(|inner| ShortPrompts { inner, limit: 200 }))
        .layer(RouteLayer::new(catalog))
        .layer(RetryLayer::new(RetryPolicy::new()))
        .layer(TranslateLayer::new())
        .service(Transport::local());

    for prompt in ["hello".to_owned(), "hello ".repeat(100)] {
        let body = format!(r#"{{"model":"demo/echo","messages":[{{"role":"user","content":"{prompt}"}}]}}"#);
        let request =
            Request::post("/v1/chat/completions").header("content-type", "application/json").body(Full::new(Bytes::from(body)))?;
        let response: Response<_> = service.clone().oneshot(request).await.unwrap_or_else(|never: Infallible| match never {});
        println!("{}", response.status());
        println!("{}", String::from_utf8(response.into_body().collect().await?.to_bytes().to_vec())?);
    }
    for record in ledger.records() {
        println!("record: {} {:?}", record.outcome.name(), record.fault);
    }
    Ok(())
}
