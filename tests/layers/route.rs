//! From a name to a plan.

use std::sync::{Arc, Mutex};

use http::{Request, Response};
use portcullis::{
    catalog::{Catalog, Catalogs, ModelEntry, Preset, Target, TargetEntry, Timeouts},
    fault::{Fault, FaultKind},
    route::RouteLayer,
    stage::{Principal, Routed, Scopes},
};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_test::mock;

use crate::support::*;

/// Two accounts that speak chat, one that speaks Messages; `big` is at all of them, each at its price.
fn catalog() -> Catalog {
    let at = |provider: &str, model: &str, input, output| TargetEntry::new(provider, model).price(price(input, output));
    Catalog::builder()
        .provider(provider(&Preset::OPENAI, "one", Timeouts::default()))
        .provider(provider(&Preset::OPENAI, "two", Timeouts::default()))
        .provider(provider(&Preset::ANTHROPIC, "three", Timeouts::default()))
        .model(
            ModelEntry::new("maker/big")
                .alias("huge")
                .target(at("one", "big-1", "3", "9"))
                .target(at("two", "big-2", "1", "2"))
                .target(TargetEntry::new("three", "big-3")),
        )
        .model(ModelEntry::new("maker/small").target(at("two", "small-2", "0.1", "0.2")).target(at("one", "small-1", "0", "0")))
        .model(ModelEntry::new("maker/claude").target(TargetEntry::new("three", "claude-sonnet-4-20250514")))
        .model(ModelEntry::new("any/*").target(TargetEntry::new("one", "*")))
        .build()
        .unwrap()
}

/// The plan for a body, as `provider/model`.
async fn plan(catalogs: &Catalogs, path: &str, body: &str, scopes: Option<Scopes>) -> Result<Vec<String>, Fault> {
    let mut call = normalized(post(path, body.to_owned())).await;
    if let Some(scopes) = scopes {
        call.extensions_mut().insert(Principal::builder("team").key("k").scopes(scopes).build());
    }
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keep = kept.clone();
    let inner = service_fn(move |request: Request<Routed>| {
        *keep.lock().unwrap() = request.body().plan.targets.clone();
        async { Ok::<_, Fault>(Response::new(feed([]))) }
    });
    RouteLayer::new(catalogs.clone()).layer(inner).oneshot(call).await?;
    let targets = kept.lock().unwrap();
    Ok(targets.iter().map(|target: &Arc<Target>| format!("{}/{}", target.provider.name, target.model)).collect())
}

async fn planned(more: &str) -> Result<Vec<String>, Fault> {
    plan(&catalog().into(), CHAT, &ask("maker/big", false, more), None).await
}

fn scopes(models: &[&str], providers: &[&str], operations: &[&str]) -> Option<Scopes> {
    let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Some(Scopes { models: list(models), providers: list(providers), operations: list(operations) })
}

#[tokio::test]
async fn preferences_filter_and_order() {
    for (more, expected) in [
        ("", vec!["one/big-1", "two/big-2", "three/big-3"]),
        (r#","provider":{"order":["three","two"]}"#, vec!["three/big-3", "two/big-2", "one/big-1"]),
        (r#","provider":{"order":["nobody","two"]}"#, vec!["two/big-2", "one/big-1", "three/big-3"]),
        (r#","provider":{"only":["two","three"]}"#, vec!["two/big-2", "three/big-3"]),
        (r#","provider":{"ignore":["one"]}"#, vec!["two/big-2", "three/big-3"]),
        (r#","provider":{"only":["one","two"],"ignore":["one"]}"#, vec!["two/big-2"]),
        (r#","provider":{"sort":"price"}"#, vec!["two/big-2", "one/big-1", "three/big-3"]),
        (r#","provider":{"sort":"price","order":["three"]}"#, vec!["three/big-3", "two/big-2", "one/big-1"]),
        // Who has no price is not within one.
        (r#","provider":{"max_price":{"input":"3"}}"#, vec!["one/big-1", "two/big-2"]),
        (r#","provider":{"max_price":{"input":2.5}}"#, vec!["two/big-2"]),
        (r#","provider":{"max_price":{"input":3,"output":"8.999999"}}"#, vec!["two/big-2"]),
        (r#","models":["maker/small"]"#, vec!["one/big-1", "two/big-2", "three/big-3", "two/small-2", "one/small-1"]),
        // The model that was asked for comes first, whoever is preferred.
        (
            r#","models":["maker/small","huge"],"provider":{"order":["two"]}"#,
            vec!["two/big-2", "one/big-1", "three/big-3", "two/small-2", "one/small-1"],
        ),
    ] {
        assert_eq!(planned(more).await.unwrap(), expected, "{more}");
    }
}

#[tokio::test]
async fn a_plan_of_nobody_names_the_wish() {
    for (more, path) in [
        (r#","provider":{"only":["nobody"]}"#, "/provider/only"),
        (r#","provider":{"ignore":["one","two","three"]}"#, "/provider/ignore"),
        (r#","provider":{"max_price":{"input":"0.5"}}"#, "/provider/max_price"),
        (r#","provider":{"max_price":{"inputs":"0.5"}}"#, "/provider/max_price/inputs"),
        (r#","provider":{"max_price":{"input":"cheap"}}"#, "/provider/max_price/input"),
        (r#","provider":{"max_price":{"input":-1}}"#, "/provider/max_price/input"),
        (r#","models":["maker/small","nobody's"]"#, "/models/1"),
    ] {
        let fault = planned(more).await.unwrap_err();
        assert_eq!((fault.verdict().status.as_u16(), fault.details()[0].path.as_str()), (400, path), "{more}");
    }
    let embeddings = |more: &str| format!(r#"{{"model":"maker/claude","input":"x"{more}}}"#);
    let fault = plan(&catalog().into(), "/v1/embeddings", &embeddings(""), None).await.unwrap_err();
    assert_eq!((fault.verdict().status.as_u16(), fault.details()[0].path.as_str()), (400, "/model"));
    let body = embeddings(r#","models":["maker/claude"]"#).replacen("maker/claude", "maker/small", 1);
    let fault = plan(&catalog().into(), "/v1/embeddings", &body, None).await.unwrap_err();
    assert_eq!(fault.details()[0].path, "/models/0");
}

/// Scopes hold for what a name resolved to: no alias, pin, suffix, wildcard or case gets around them.
#[tokio::test]
async fn f010_scopes_hold_on_what_the_name_resolved_to() {
    let small = || scopes(&["maker/small"], &[], &[]);
    let ask_for =
        async |name: &str, scopes| plan(&catalog().into(), CHAT, &ask(name, false, ""), scopes).await.map_err(|fault| fault.code());
    for name in ["maker/small", "small", "one:small-1", "two:small-2", "small:free", "maker/small:cheap"] {
        assert!(ask_for(name, small()).await.is_ok(), "{name}");
    }
    for name in
        ["maker/big", "big", "huge", "one:big-1", "one:big", "huge:cheap", "any/thing", "one:anything", "any/maker/small", "one:any/x"]
    {
        assert_eq!(ask_for(name, small()).await, Err("not_allowed"), "{name}");
    }
    for name in ["Maker/Small", "maker/small ", "nobody", "maker/small:slow", "*", "any/*", "any/", ":small", "one:"] {
        assert_eq!(ask_for(name, small()).await, Err("model_not_found"), "{name}");
    }
    // A fallback is scoped like the model itself.
    let body = ask("maker/small", false, r#","models":["maker/big"]"#);
    assert_eq!(plan(&catalog().into(), CHAT, &body, small()).await.unwrap_err().code(), "not_allowed");
    assert_eq!(ask_for("any/thing", scopes(&["any/*"], &[], &[])).await.unwrap(), ["one/thing"]);
}

#[tokio::test]
async fn providers_and_operations_are_scoped_too() {
    let ask_for = async |body: String, scopes| plan(&catalog().into(), CHAT, &body, scopes).await.map_err(|fault| fault.code());
    let only_two = || scopes(&[], &["two"], &[]);
    assert_eq!(ask_for(ask("maker/big", false, ""), only_two()).await.unwrap(), ["two/big-2"]);
    assert_eq!(ask_for(ask("maker/claude", false, ""), only_two()).await, Err("not_allowed"));
    assert_eq!(ask_for(ask("one:big-1", false, ""), only_two()).await, Err("not_allowed"));
    // A wish reaches no further than the key.
    assert_eq!(ask_for(ask("maker/big", false, r#","provider":{"only":["one"]}"#), only_two()).await, Err("invalid_request"));
    assert_eq!(ask_for(ask("maker/big", false, ""), scopes(&[], &[], &["embeddings"])).await, Err("not_allowed"));
    assert!(ask_for(ask("maker/big", false, ""), scopes(&[], &[], &["chat"])).await.is_ok());
}

#[tokio::test]
async fn suffixes_wish() {
    let ask_for = async |name: &str| plan(&catalog().into(), CHAT, &ask(name, false, ""), None).await;
    assert_eq!(ask_for("small:cheap").await.unwrap(), ["one/small-1", "two/small-2"]);
    assert_eq!(ask_for("small:free").await.unwrap(), ["one/small-1"]);
    assert_eq!(ask_for("big:free").await.unwrap_err().details()[0].path, "/model");
}

#[tokio::test]
async fn a_catalogue_can_be_swapped_while_serving() {
    let catalogs = Catalogs::from(catalog());
    let body = ask("maker/big", false, "");
    assert_eq!(plan(&catalogs, CHAT, &body, None).await.unwrap().len(), 3);
    let other = Catalog::builder()
        .provider(provider(&Preset::OPENAI, "four", Timeouts::default()))
        .model(ModelEntry::new("maker/big").target(TargetEntry::new("four", "big-4")))
        .build()
        .unwrap();
    catalogs.swap(other);
    assert_eq!(plan(&catalogs, CHAT, &body, None).await.unwrap(), ["four/big-4"]);
    catalogs.swap(Catalog::builder().build().unwrap());
    assert_eq!(plan(&catalogs, CHAT, &body, None).await.unwrap_err().code(), "model_not_found");
}

#[tokio::test]
async fn a_hosts_strategy_orders_and_cannot_widen_scopes() {
    let call = normalized(post(CHAT, ask("maker/big", false, r#","provider":{"ignore":["one"]}"#))).await;
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keep = kept.clone();
    let inner = service_fn(move |request: Request<Routed>| {
        *keep.lock().unwrap() = request.body().plan.targets.iter().map(|target| target.provider.name.to_string()).collect();
        async { Ok::<_, Fault>(Response::new(feed([]))) }
    });
    let reversed = |_: &portcullis::stage::CallFacts, _: &portcullis::catalog::Model, targets: &mut Vec<Arc<Target>>| targets.reverse();
    RouteLayer::new(catalog()).strategy(reversed).layer(inner).oneshot(call).await.unwrap();
    assert_eq!(*kept.lock().unwrap(), ["three", "two"]);
}

#[tokio::test]
async fn readiness_and_errors_are_the_inner_services() {
    let (mut route, mut handle) = mock::spawn_layer::<Request<Routed>, Response<Feed>, _>(RouteLayer::new(catalog()));
    handle.allow(0);
    assert!(route.poll_ready().is_pending());
    handle.allow(1);
    assert!(route.poll_ready().is_ready());
    let answer = route.call(call(CHAT, "maker/big", false).await);
    let (_, respond) = handle.next_request().await.unwrap();
    respond.send_error(Fault::from(FaultKind::RateLimited));
    assert_eq!(answer.await.unwrap_err().code(), "rate_limited");

    handle.allow(1);
    assert!(route.poll_ready().is_ready());
    let refused = route.call(call(CHAT, "nobody", false).await);
    assert_eq!(refused.await.unwrap_err().code(), "model_not_found");
    handle.send_error("gone");
    assert!(matches!(route.poll_ready(), std::task::Poll::Ready(Err(_))));
}

#[tokio::test]
async fn f058_a_panic_below_is_passed_on_and_the_layer_goes_on() {
    let inner = service_fn(|request: Request<Routed>| async move {
        assert!(request.body().call.facts().model != "huge", "as it was asked to");
        Ok::<_, Fault>(Response::new(feed([])))
    });
    let route = RouteLayer::new(catalog()).layer(inner);
    let answer = tokio::spawn(route.clone().oneshot(call(CHAT, "huge", false).await));
    assert!(answer.await.unwrap_err().is_panic(), "the meter above makes a fault of it");
    assert!(route.oneshot(call(CHAT, "maker/big", false).await).await.is_ok());
}

#[tokio::test]
async fn f057_left_at_every_await_nothing_is_kept() {
    for polls in 0..4 {
        let alive = Arc::new(());
        let held = alive.clone();
        let inner = service_fn(move |_: Request<Routed>| {
            let held = held.clone();
            async move {
                tokio::task::yield_now().await;
                tokio::task::yield_now().await;
                Ok::<_, Fault>(Response::new(feed([]).held(&held)))
            }
        });
        let mut route = RouteLayer::new(catalog()).layer(inner);
        let done = left_after(polls, route.call(call(CHAT, "maker/big", false).await)).await;
        drop(route);
        assert_eq!(done, polls > 2, "{polls} polls are enough or not");
        assert!(gone(&alive), "after {polls} polls");
    }
}
