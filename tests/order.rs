//! The order of the layers: what compiles, and what does not.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use portcullis::{
    auth::{AuthLayer, CachedKeys, MemoryKeys, Pepper},
    catalog::{Catalog, ModelEntry, Preset, TargetEntry},
    gateway::Gateway,
    meter::{MemoryLedger, MeterLayer},
    normalize::NormalizeLayer,
    retry::{RetryLayer, RetryPolicy},
    route::RouteLayer,
    stage::{Call, Outgoing},
    translate::TranslateLayer,
    transport::Transport,
};
use tower::{
    BoxError, ServiceBuilder, ServiceExt, limit::ConcurrencyLimitLayer, load_shed::LoadShedLayer, service_fn, timeout::TimeoutLayer,
};
use tower_http::{
    compression::CompressionLayer, map_request_body::MapRequestBodyLayer, map_response_body::MapResponseBodyLayer,
    set_header::SetResponseHeaderLayer, trace::TraceLayer,
};

fn catalog() -> Catalog {
    Catalog::builder()
        .provider(Preset::DEMO.account("demo").build().unwrap())
        .model(ModelEntry::new("demo/echo").target(TargetEntry::new("demo", "echo")))
        .build()
        .unwrap()
}

fn ask() -> Request<Full<Bytes>> {
    let body = r#"{"model":"demo/echo","messages":[{"role":"user","content":"one two"}]}"#;
    Request::post("/v1/chat/completions").header("content-type", "application/json").body(Full::new(Bytes::from(body))).unwrap()
}

async fn text<B>(response: Response<B>) -> String
where
    B: Body<Data = Bytes>,
    B::Error: std::fmt::Debug,
{
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

/// Tower's and tower-http's own layers fit between ours, at every height.
#[tokio::test]
async fn foreign_layers_stand_at_every_height() {
    let keys = CachedKeys::new(MemoryKeys::new(), Pepper::new("pepper-for-tests").unwrap());
    let marked = |name: &'static str| SetResponseHeaderLayer::overriding(HeaderName::from_static(name), HeaderValue::from_static("here"));
    let ledger = MemoryLedger::default();
    let service = ServiceBuilder::new()
        .layer(TraceLayer::new_for_http())
        .layer(marked("x-outermost"))
        .layer(ConcurrencyLimitLayer::new(8))
        .layer(AuthLayer::new(keys).trust_principal(true))
        .layer(MapRequestBodyLayer::new(|body: Full<Bytes>| body))
        .layer(marked("x-below-auth"))
        .layer(NormalizeLayer::new())
        .layer(LoadShedLayer::new())
        .layer(ConcurrencyLimitLayer::new(8))
        .layer(TraceLayer::new_for_http())
        .layer(MeterLayer::new(ledger.clone()))
        .layer(marked("x-below-meter"))
        .layer(TimeoutLayer::new(Duration::from_secs(5)))
        .layer(RouteLayer::new(catalog()))
        .layer(TraceLayer::new_for_http())
        .layer(marked("x-below-route"))
        .layer(TimeoutLayer::new(Duration::from_secs(5)))
        .layer(RetryLayer::new(RetryPolicy::new()))
        .layer(LoadShedLayer::new())
        .layer(ConcurrencyLimitLayer::new(8))
        .layer(marked("x-below-retry"))
        .layer(TranslateLayer::new())
        .layer(TraceLayer::new_for_http())
        .layer(MapResponseBodyLayer::new(|body| body))
        .layer(MapRequestBodyLayer::new(|body: Outgoing| body))
        .layer(marked("x-innermost"))
        .layer(TimeoutLayer::new(Duration::from_secs(5)))
        .service(Transport::local());
    let mut request = ask();
    request.extensions_mut().insert(portcullis::stage::Principal::anonymous());
    let response = service.oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    for name in ["x-outermost", "x-below-auth", "x-below-meter", "x-below-route", "x-below-retry"] {
        assert_eq!(response.headers()[name], "here", "{name}");
    }
    // What a provider's head holds stays below: only what we list comes down.
    assert!(!response.headers().contains_key("x-innermost"));
    assert!(text(response).await.contains("one two"));
    assert_eq!(ledger.records().len(), 1);
}

/// A foreign layer's error is told in the caller's words.
#[tokio::test(start_paused = true)]
async fn a_foreign_timeout_is_a_gateway_timeout() {
    let service = ServiceBuilder::new()
        .layer(NormalizeLayer::new())
        .layer(TimeoutLayer::new(Duration::from_secs(1)))
        .service(service_fn(|_: Request<Call>| std::future::pending::<Result<Response<Full<Bytes>>, BoxError>>()));
    let response = service.oneshot(ask()).await.unwrap();
    assert_eq!(response.status(), 504);
    assert!(text(response).await.contains("timeout"));
}

#[tokio::test]
async fn a_shed_load_is_told_as_overload() {
    // Never ready, so load-shed refuses.
    let full = ConcurrencyLimitLayer::new(0);
    let service = ServiceBuilder::new()
        .layer(NormalizeLayer::new())
        .layer(LoadShedLayer::new())
        .layer(full)
        .service(service_fn(|_: Request<Call>| async { Ok::<_, Infallible>(Response::new(Full::new(Bytes::new()))) }));
    assert_eq!(service.oneshot(ask()).await.unwrap().status(), 503);
}

/// Route, retry and translate fit in one order only, and the error names the builder's line.
#[test]
fn f086_layers_out_of_order_do_not_compile() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/order/*.rs");
}

/// A layer that packs answers holds back what it packs: streams must not look like something to pack.
#[tokio::test]
async fn tr_12_a_layer_that_packs_answers_leaves_streams_alone() {
    let long = "word ".repeat(2_000);
    for (stream, encoding) in [(false, Some("gzip")), (true, None)] {
        let (gateway, _driver) = Gateway::builder(catalog()).open().unmetered().build(Transport::local());
        let service = ServiceBuilder::new().layer(CompressionLayer::new()).service(gateway);
        let body = format!(r#"{{"model":"demo/echo","stream":{stream},"messages":[{{"role":"user","content":"{long}"}}]}}"#);
        let request = Request::post("/v1/chat/completions").header("content-type", "application/json").header("accept-encoding", "gzip");
        let response = service.oneshot(request.body(Full::<Bytes>::from(body)).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers().get("content-encoding").map(|value| value.to_str().unwrap()), encoding);
    }
}
