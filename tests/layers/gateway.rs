//! The assembled service: what it mounts, dispatches, refuses and drains.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use portcullis::{
    api::{RecordFuture, Records},
    auth::{CachedKeys, MemoryKeys, Pepper},
    catalog::{Catalog, ModelEntry, Preset, TargetEntry, Timeouts},
    gateway::{Drained, Driver, Gateway, GatewayBody, GatewayLayer},
    stage::{GenerationId, Outgoing, Principal, Scopes},
};
use serde_json::Value;
use tokio::sync::oneshot;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};
use tower_test::mock;

use crate::{answers::*, support::*};

fn catalog() -> Catalog {
    Catalog::builder()
        .provider(provider(&Preset::OPENAI, "one", Timeouts::default()))
        .provider(provider(&Preset::ANTHROPIC, "two", Timeouts::default()))
        .model(
            ModelEntry::new("maker/a").alias("first").target(TargetEntry::new("one", "a").price(price("3", "15"))).created(1_700_000_000),
        )
        .model(ModelEntry::new("maker/b+c").target(TargetEntry::new("one", "gpt-3.5-turbo")))
        .model(ModelEntry::new("other/d").target(TargetEntry::new("two", "claude-sonnet-4-20250514")))
        .model(ModelEntry::new("any/*").target(TargetEntry::new("one", "*")))
        .build()
        .unwrap()
}

type Sent = Result<Response<Feed>, BoxError>;

/// Answers every request with a stream that says "Hi" and then stalls.
fn stalling(
    alive: &Arc<()>,
) -> impl Service<Request<Outgoing>, Response = Response<Feed>, Error = BoxError, Future = std::future::Ready<Sent>>
+ Clone
+ Send
+ Sync
+ 'static
+ use<> {
    // The transport itself holds nothing.
    let alive = Arc::downgrade(alive);
    service_fn(move |_: Request<Outgoing>| {
        let body = feed([data(openai_events(&["Hi"])[..2].concat()), Step::Stall]).held(&alive.upgrade().unwrap_or_default());
        std::future::ready(Ok(Response::builder().header("content-type", "text/event-stream").body(body).unwrap()))
    })
}

fn open() -> (Gateway, Driver) {
    Gateway::builder(catalog()).open().unmetered().build(stalling(&Arc::new(())))
}

fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(path).body(Full::default()).unwrap()
}

async fn ask_for(gateway: &Gateway, request: Request<Full<Bytes>>) -> Response<GatewayBody> {
    gateway.clone().oneshot(request).await.unwrap()
}

async fn json(response: Response<GatewayBody>) -> Value {
    serde_json::from_str(&text(response.into_body()).await).unwrap()
}

#[tokio::test]
async fn below_a_prefix_and_nowhere_else() {
    let inner = service_fn(|request: Request<Full<Bytes>>| async move {
        Ok::<_, BoxError>(Response::builder().status(299).body(Full::new(Bytes::from(request.uri().to_string()))).unwrap())
    });
    for (prefix, uri, expected) in [
        ("/llm", "/llm/v1/models?limit=1", 200),
        ("/llm/", "/llm/v1/models", 200),
        ("llm", "/llm/v1/models", 200),
        ("/a/b", "/a/b/healthz", 200),
        ("", "/v1/models", 200),
        ("/", "/v1/models", 200),
        ("/llm", "https://host.example/llm/v1/models?limit=1", 200),
        ("/llm", "/llm/v1/chat/completions", 405),
        ("/llm", "/llmx/v1/models", 299),
        ("/llm", "/llm", 299),
        ("/llm", "/llm/", 299),
        ("/llm", "/llm/v1", 299),
        ("/llm", "/llm/v1/nothing?a=b", 299),
        ("/llm", "/llm//v1/models", 299),
        ("/llm", "/v1/models", 299),
        ("/llm", "/LLM/v1/models", 299),
        ("/llm", "/x/llm/v1/models", 299),
        ("", "/v1x/models", 299),
        ("", "/", 299),
    ] {
        let service = GatewayLayer::new(open().0).prefix(prefix).layer(inner);
        let answer = service.oneshot(get(uri)).await.unwrap();
        assert_eq!(answer.status(), expected, "{uri} below `{prefix}`");
        let own = answer.headers().contains_key("x-request-id");
        let said = text(answer.into_body()).await;
        assert_eq!(own, expected != 299);
        match expected {
            299 => assert_eq!(said, uri, "untouched"),
            200 if uri.contains("limit=1") => assert!(said.contains("\"limit\":1"), "the query goes along: {said}"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn the_inner_services_readiness_and_errors_are_its_own() {
    let layer = GatewayLayer::new(open().0);
    let (mut service, mut handle) = mock::spawn_layer::<Request<Full<Bytes>>, Response<Full<Bytes>>, _>(layer);
    handle.allow(0);
    assert!(service.poll_ready().is_pending());
    handle.allow(1);
    assert!(service.poll_ready().is_ready());
    let answer = service.call(get("/elsewhere"));
    handle.next_request().await.unwrap().1.send_error("its own");
    assert_eq!(answer.await.unwrap_err().to_string(), "its own");
    handle.send_error("gone");
    let Poll::Ready(Err(error)) = service.poll_ready() else { panic!("the error is passed on") };
    assert_eq!(error.to_string(), "gone");
}

#[tokio::test]
async fn each_route_goes_where_it_belongs() {
    let keys = CachedKeys::new(MemoryKeys::new(), Pepper::new("pepper-for-tests").unwrap());
    let keyed = Gateway::builder(catalog()).keys(keys).unmetered().build(stalling(&Arc::new(()))).0;
    let open = open().0;
    for (method, path, without_key, anybody) in [
        (Method::GET, "/healthz", 200, 200),
        (Method::GET, "/v1/healthz", 200, 200),
        (Method::GET, "/v1/health", 200, 200),
        (Method::HEAD, "/v1/health", 200, 200),
        (Method::GET, "/v1/models", 401, 200),
        (Method::HEAD, "/v1/models", 401, 200),
        (Method::GET, "/v1/models/first", 401, 200),
        (Method::GET, "/v1/models/nobody", 401, 404),
        (Method::GET, "/v1/gateway/models", 401, 200),
        (Method::GET, "/v1/data/models?model_id=first", 401, 200),
        (Method::GET, "/v1/generations", 401, 400),
        (Method::GET, "/v1/responses/r1", 401, 501),
        (Method::POST, "/v1/responses", 401, 501),
        (Method::POST, "/v1/realtime", 401, 501),
        (Method::POST, "/v1/chat/completions", 401, 400),
        (Method::GET, "/v1/nothing", 404, 404),
        (Method::GET, "/", 404, 404),
        (Method::DELETE, "/v1/models", 405, 405),
        (Method::OPTIONS, "/v1/chat/completions", 405, 405),
        (Method::POST, "/healthz", 405, 405),
    ] {
        for (gateway, status) in [(&keyed, without_key), (&open, anybody)] {
            let request = Request::builder().method(method.clone()).uri(path).body(Full::default()).unwrap();
            let answer = ask_for(gateway, request).await;
            assert_eq!(answer.status(), status, "{method} {path}");
            assert!(answer.headers()["x-request-id"].to_str().unwrap().starts_with("G-"));
            assert_eq!(answer.headers().contains_key("allow"), status == 405);
            let body = json(answer).await;
            assert_eq!(body["status_code"].as_u64().unwrap_or(200), u64::from(status), "{body}");
        }
    }
    assert_eq!((open.running(), keyed.running()), (0, 0));
}

#[tokio::test]
async fn models_in_both_shapes_and_filtered() {
    let gateway = open().0;
    let ids = async |query: &str| {
        let body = json(ask_for(&gateway, get(&format!("/v1/models{query}"))).await).await;
        let ids: Vec<_> = body["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(body["models"].as_array().unwrap().len(), ids.len());
        (ids, body["total"].as_u64().unwrap())
    };
    let list = |ids: &[&str], total| (ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>(), total);
    // A wildcard is no model.
    assert_eq!(ids("").await, list(&["maker/a", "maker/b+c", "other/d"], 3));
    assert_eq!(ids("?limit=1&offset=1").await, list(&["maker/b+c"], 3));
    assert_eq!(ids("?offset=9").await, list(&[], 3));
    assert_eq!(ids("?limit=18446744073709551615&offset=18446744073709551615").await, list(&[], 3));
    assert_eq!(ids("?organisation=other").await, list(&["other/d"], 1));
    assert_eq!(ids("?endpoints=embeddings").await, list(&["maker/a", "maker/b+c"], 2));
    assert_eq!(ids("?endpoints=embeddings,chat&organisation=other,maker").await.1, 3);
    assert_eq!(ids("?input_types=text&output_types=text&params=tools,stop").await.1, 3);
    assert_eq!(ids("?input_types=text,image").await, list(&["other/d"], 1));
    assert_eq!(ids("?output_types=text,audio").await.1, 0);
    for query in ["?limit=x", "?offset=-1", "?limit=99999999999999999999"] {
        assert_eq!(ask_for(&gateway, get(&format!("/v1/models{query}"))).await.status(), 400, "{query}");
    }
    let body = json(ask_for(&gateway, anthropic("/v1/models?limit=2")).await).await;
    assert_eq!(
        (body["first_id"].as_str(), body["last_id"].as_str(), body["has_more"].as_bool()),
        (Some("maker/a"), Some("maker/b+c"), Some(true))
    );
    assert_eq!(body["data"][0]["type"], "model");
    assert_eq!(body["data"][0]["created_at"], "2023-11-14T22:13:20Z");
    assert!(body.get("object").is_none() && body.get("models").is_none());

    for path in ["/v1/models/maker/a", "/v1/models/maker%2Fa", "/v1/models/first", "/v1/models/one:a", "/v1/data/models?model_id=maker%2Fa"]
    {
        let body = json(ask_for(&gateway, get(path)).await).await;
        assert_eq!((body["id"].as_str(), body["object"].as_str()), (Some("maker/a"), Some("model")), "{path}");
        assert_eq!(body["providers"][0]["price"]["input"], "3", "{body}");
    }
    // A plus in a path is a plus; in a query it is a space.
    assert_eq!(json(ask_for(&gateway, get("/v1/models/maker/b+c")).await).await["id"], "maker/b+c");
    assert_eq!(ask_for(&gateway, get("/v1/data/models?model_id=maker/b+c")).await.status(), 404);
    assert_eq!(json(ask_for(&gateway, get("/v1/data/models?model_id=maker/b%2Bc")).await).await["id"], "maker/b+c");
}

/// As Anthropic's client asks.
fn anthropic(path: &str) -> Request<Full<Bytes>> {
    let mut request = get(path);
    request.headers_mut().insert("anthropic-version", "2023-06-01".parse().unwrap());
    request
}

#[tokio::test]
async fn a_list_of_models_is_paged_to_its_end() {
    let gateway = open().0;
    // As the SDK does it: `last_id` is the next page's `after_id` while there are more, and the same backwards.
    for (start, cursor, next, expected) in [
        ("", "after_id", "last_id", ["maker/a", "maker/b+c", "other/d"].as_slice()),
        ("&after_id=maker/a", "after_id", "last_id", &["maker/b+c", "other/d"]),
        ("&before_id=other/d", "before_id", "first_id", &["maker/b+c", "maker/a"]),
    ] {
        let (mut seen, mut query) = (Vec::new(), start.to_owned());
        loop {
            let page = json(ask_for(&gateway, anthropic(&format!("/v1/models?limit=1{query}"))).await).await;
            seen.push(page["data"][0]["id"].as_str().unwrap().to_owned());
            assert!(seen.len() <= expected.len(), "{seen:?}");
            if page["has_more"] == false {
                break;
            }
            query = format!("&{cursor}={}", page[next].as_str().unwrap().replace('+', "%2B"));
        }
        assert_eq!(seen, expected, "{start}");
    }
    let last = json(ask_for(&gateway, anthropic("/v1/models?after_id=other/d")).await).await;
    assert_eq!(last, serde_json::json!({"data": [], "first_id": null, "last_id": null, "has_more": false}));
    for query in ["?after_id=nobody/nothing", "?limit=0", "?limit=1001"] {
        assert_eq!(ask_for(&gateway, anthropic(&format!("/v1/models{query}"))).await.status(), 400, "{query}");
    }
}

#[tokio::test]
async fn a_key_sees_the_models_that_it_may_use() {
    let gateway = open().0;
    let seen = async |scopes: Scopes, path: &str| {
        let mut request = get(path);
        request.extensions_mut().insert(Principal::builder("team").key("k").scopes(scopes).build());
        let answer = ask_for(&gateway, request).await;
        (answer.status().as_u16(), json(answer).await["total"].as_u64())
    };
    let of = |models: &[&str], providers: &[&str]| Scopes {
        models: models.iter().map(|name| (*name).to_owned()).collect(),
        providers: providers.iter().map(|name| (*name).to_owned()).collect(),
        ..Scopes::default()
    };
    assert_eq!(seen(of(&["maker/*"], &[]), "/v1/models").await, (200, Some(2)));
    assert_eq!(seen(of(&[], &["two"]), "/v1/models").await, (200, Some(1)));
    assert_eq!(seen(of(&["other/d"], &[]), "/v1/models/first").await.0, 404);
    assert_eq!(seen(of(&[], &["two"]), "/v1/models/first").await.0, 404);
}

/// A store with one record, of the workspace `team`.
struct Store;

const ID: &str = "G-01ARZ3NDEKTSV4RRFFQ69G5FAV";

impl Records for Store {
    fn find<'a>(&'a self, workspace: &'a str, id: &'a GenerationId) -> RecordFuture<'a> {
        Box::pin(async move {
            match (workspace, id.as_str()) {
                ("broken", _) => Err("no such table".into()),
                ("team", ID) => Ok(Some(Bytes::from_static(br#"{"request_id":"it"}"#))),
                _ => Ok(None),
            }
        })
    }
}

#[tokio::test]
async fn f009_a_record_is_its_workspaces_own() {
    let stored = Gateway::builder(catalog()).open().unmetered().records(Store).build(stalling(&Arc::new(()))).0;
    let other = "G-01ARZ3NDEKTSV4RRFFQ69G5FAW";
    let status = async |gateway: &Gateway, workspace: &str, path: String| {
        let mut request = get(&path);
        request.extensions_mut().insert(Principal::builder(workspace.to_owned()).build());
        ask_for(gateway, request).await.status().as_u16()
    };
    for (workspace, id, expected) in
        [("team", ID, 200), ("other", ID, 404), ("team", other, 404), ("team", "G-1", 404), ("broken", ID, 503)]
    {
        for path in [format!("/v1/generations?id={id}"), format!("/v1/generation?x=1&id={id}"), format!("/v1/generations/{id}")] {
            assert_eq!(status(&stored, workspace, path.clone()).await, expected, "{path} for {workspace}");
        }
    }
    assert_eq!(status(&stored, "team", "/v1/generations".into()).await, 400);
    assert_eq!(ask_for(&stored, get(&format!("/v1/generations/{ID}"))).await.status(), 404, "nobody's workspace is not everybody's");
    assert_eq!(status(&open().0, "team", format!("/v1/generations/{ID}")).await, 501, "no store");
}

#[tokio::test(start_paused = true)]
async fn f059_a_drain_refuses_calls_and_waits_for_the_running_ones() {
    let alive = Arc::new(());
    let (gateway, driver) = Gateway::builder(catalog()).open().unmetered().drain(secs(20)).build(stalling(&alive));
    let (shutdown, stopped) = oneshot::channel::<()>();
    let driver = tokio::spawn(driver.run(async {
        let _ = stopped.await;
    }));
    let running = ask_for(&gateway, post(CHAT, ask("maker/a", true, ""))).await;
    assert_eq!((running.status().as_u16(), gateway.running()), (200, 1));
    shutdown.send(()).unwrap();
    tokio::time::sleep(secs(1)).await;
    for (path, status) in [(CHAT, 503), (MESSAGES, 529)] {
        let refused = ask_for(&gateway, post(path, ask("maker/a", true, ""))).await;
        assert_eq!((refused.status().as_u16(), gateway.running()), (status, 1));
    }
    // Questions are still answered, not least whether it is alive.
    for path in ["/healthz", "/v1/models", "/v1/health"] {
        assert_eq!(ask_for(&gateway, get(path)).await.status(), 200);
    }
    assert!(!driver.is_finished());
    drop(running);
    assert_eq!(driver.await.unwrap(), Drained::Clean);
    assert!(gone(&alive));
}

#[tokio::test(start_paused = true)]
async fn f059_a_drain_ends_in_time() {
    let alive = Arc::new(());
    let (gateway, driver) = Gateway::builder(catalog()).open().unmetered().drain(secs(20)).build(stalling(&alive));
    let running = ask_for(&gateway, post(CHAT, ask("maker/a", true, ""))).await;
    let mut quiet = ask_for(&gateway, post(CHAT, ask("maker/a", true, ""))).await.into_body();
    quiet.frame().await.unwrap().unwrap();
    let (drained, took) = timed(driver.run(std::future::ready(()))).await;
    // A second more, for what is ended to be let go of.
    assert_eq!((drained, took), (Drained::Aborted { left: 2 }, 21));
    assert!(gone(&alive), "the providers' sides are let go, whoever polls");
    assert!(text(running.into_body()).await.contains("\"error\""));
    drop(quiet);
    assert_eq!(gateway.running(), 0);
}

#[tokio::test(start_paused = true)]
async fn chores_are_done_in_time_and_a_last_time() {
    let done = Arc::new(Mutex::new([0; 3]));
    let count = |at: usize| {
        let done = done.clone();
        move || {
            done.lock().unwrap()[at] += 1;
            async move { assert_ne!(at, 1, "the chore panicked") }
        }
    };
    let calls = AtomicU32::new(0);
    let refuses = move || {
        assert!(calls.fetch_add(1, Ordering::Relaxed) > 1, "the chore panicked at once");
        std::future::ready(())
    };
    let (_gateway, driver) = Gateway::builder(catalog())
        .open()
        .unmetered()
        .every(secs(10), count(0))
        .every(secs(10), count(1))
        .every(secs(10), refuses)
        .every(Duration::ZERO, count(2))
        .build(stalling(&Arc::new(())));
    assert_eq!(driver.run(tokio::time::sleep(secs(25))).await, Drained::Clean);
    let done = *done.lock().unwrap();
    // At 0, 10, 20 s and at the end; one that panics is done again, and takes nobody along.
    assert_eq!(done[..2], [4, 4]);
    assert!(done[2] > 20_000, "no period is a millisecond");
}

/// Deadlines are kept although a chore hangs or panics, and nobody polls the answer.
#[tokio::test(start_paused = true)]
async fn f054_the_driver_keeps_the_deadlines() {
    let alive = Arc::new(());
    let (gateway, driver) = Gateway::builder(catalog())
        .open()
        .unmetered()
        .every(secs(5), std::future::pending::<()>)
        .every(secs(5), || async { panic!("the chore panicked") })
        .build(stalling(&alive));
    let driver = tokio::spawn(driver.run(std::future::pending()));
    let unread = ask_for(&gateway, post(CHAT, ask("maker/a", true, ""))).await;
    tokio::time::sleep(secs(31)).await;
    assert!(gone(&alive) && !driver.is_finished());
    drop(unread);
    assert_eq!(gateway.running(), 0);
    assert!(gateway.health().vitals().iter().all(|target| target.running == 0 && target.failures == 0));
    driver.abort();
}

#[tokio::test(start_paused = true)]
async fn f057_a_gateway_left_at_every_await_counts_nobody() {
    for polls in 0..12 {
        let alive = Arc::new(());
        let held = alive.clone();
        let transport = service_fn(move |_: Request<Outgoing>| {
            let events = openai_events(&["Hi"]);
            let body = feed(events.into_iter().flat_map(|event| [Step::Yield, data(event)])).held(&held);
            async move {
                tokio::task::yield_now().await;
                Ok::<_, BoxError>(Response::builder().header("content-type", "text/event-stream").body(body).unwrap())
            }
        });
        let (gateway, _driver) = Gateway::builder(catalog()).open().unmetered().build(transport);
        let idle = Arc::strong_count(&alive);
        let body = feed([data(ask("maker/a", true, "")), Step::Yield]);
        let work = async {
            let request = Request::post(CHAT).body(body).unwrap();
            let Ok(answer) = gateway.clone().call(request).await;
            assert_eq!(gateway.running(), 1);
            let mut body = answer.into_body();
            while let Some(frame) = body.frame().await {
                frame.unwrap();
            }
            Ok::<_, Infallible>(())
        };
        left_after(polls, work).await;
        assert_eq!((gateway.running(), Arc::strong_count(&alive)), (0, idle), "after {polls} polls");
        assert!(gateway.health().vitals().iter().all(|target| target.running == 0), "after {polls} polls");
    }
}

/// Without a meter, too, a panic is an answer: 500, or a body that breaks off.
#[tokio::test]
async fn f058_a_panic_is_an_answer() {
    let answers = |body: Feed| Ok(Response::builder().header("content-type", "text/event-stream").body(body).unwrap());
    let content = || data(openai_events(&["Hi"])[..2].concat());
    for at in ["call", "future", "held body", "body"] {
        let transport = service_fn(move |_: Request<Outgoing>| {
            assert_ne!(at, "call", "the transport panicked");
            async move {
                assert_ne!(at, "future", "the transport panicked");
                let held = at == "held body";
                let answer: Sent = answers(if held { feed([Step::Panic]) } else { feed([content(), Step::Yield, Step::Panic]) });
                answer
            }
        });
        let gateway = Gateway::builder(catalog()).open().unmetered().build(transport).0;
        let answer = ask_for(&gateway, post(MESSAGES, ask("maker/a", true, ""))).await;
        if at == "body" {
            assert_eq!(answer.status(), 200);
            assert!(answer.into_body().collect().await.is_err());
        } else {
            assert_eq!(answer.status(), 500, "{at}");
            assert_eq!(json(answer).await["error"]["type"], "api_error");
        }
        assert_eq!(gateway.running(), 0);
        assert!(gateway.health().vitals().iter().all(|target| target.running == 0));
    }
}
