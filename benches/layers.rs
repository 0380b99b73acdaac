//! What does each layer add to the service behind it?
//!
//! `cargo bench --bench layers`. Each layer alone is called by `oneshot`, as hosts call services, in front of an inner
//! service that is ready and answers at once; the answer's body is read to its end. `bare` is that inner service by
//! itself: subtract it. `gateway` is all of them as `Gateway::builder` puts them together, keys and books included, in
//! front of a provider in the same process, and so is `gateway_stream`, which relays a hundred pieces. No socket is
//! opened. Allocations are counted beside the times.

mod samples;

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use divan::{AllocProfiler, Bencher};
use http::{HeaderValue, Request, Response, header};
use http_body::Body;
use http_body_util::Full;
use portcullis::{
    auth::{AuthLayer, CachedKeys, KeyAdmin, MemoryKeys, NewKey, Pepper},
    catalog::{ApiKey, Catalog, Meter, ModelEntry, Preset, Price, Rate, TargetEntry, Tier},
    gateway::Gateway,
    meter::MeterLayer,
    normalize::NormalizeLayer,
    retry::{RetryLayer, RetryPolicy},
    route::RouteLayer,
    stage::{Attempt, Call, KeyKind, Routed},
    translate::TranslateLayer,
    transport::Transport,
};
use tokio::runtime::Runtime;
use tower::{BoxError, Layer, Service, ServiceExt};

use self::samples::{Api, Ask, frames::Frames};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

#[divan::bench]
fn bare(bencher: Bencher<'_, '_>) {
    run(bencher, Answer::whole(Api::Chat), || ask(Api::Chat, GPT, false));
}

/// From the key's text to a principal, the key in memory.
#[divan::bench]
fn auth(bencher: Bencher<'_, '_>) {
    let service = AuthLayer::new(keys(&runtime())).layer(Answer::whole(Api::Chat));
    run(bencher, service, || ask(Api::Chat, GPT, false));
}

/// From the body's bytes to a call.
#[divan::bench]
fn normalize(bencher: Bencher<'_, '_>) {
    run(bencher, NormalizeLayer::new().layer(Answer::whole(Api::Chat)), || ask(Api::Chat, GPT, false));
}

/// A call's books opened, and closed into a record that nobody keeps.
#[divan::bench]
fn meter(bencher: Bencher<'_, '_>) {
    let call = called(Api::Chat, GPT);
    run(bencher, MeterLayer::new(()).layer(Answer::whole(Api::Chat)), || call.again());
}

/// From a model's name to a plan.
#[divan::bench]
fn route(bencher: Bencher<'_, '_>) {
    let call = called(Api::Chat, GPT);
    run(bencher, RouteLayer::new(catalog()).layer(Answer::whole(Api::Chat)), || call.again());
}

/// One attempt, which succeeds.
#[divan::bench]
fn retry(bencher: Bencher<'_, '_>) {
    let routed = routed(Api::Chat, GPT);
    run(bencher, RetryLayer::new(RetryPolicy::new()).layer(Answer::whole(Api::Chat)), || routed.again());
}

/// Request and answer in the caller's own words.
#[divan::bench]
fn translate(bencher: Bencher<'_, '_>) {
    let attempt = attempted(Api::Chat, GPT);
    run(bencher, TranslateLayer::new().layer(Answer::whole(Api::Chat)), || attempt.again());
}

/// Request and answer in another's.
#[divan::bench]
fn translate_across(bencher: Bencher<'_, '_>) {
    let attempt = attempted(Api::Chat, CLAUDE);
    run(bencher, TranslateLayer::new().layer(Answer::whole(Api::Messages)), || attempt.again());
}

#[divan::bench]
fn gateway(bencher: Bencher<'_, '_>) {
    let service = assembled(&runtime(), Answer::whole(Api::Chat));
    run(bencher, service, || ask(Api::Chat, GPT, false));
}

#[divan::bench]
fn gateway_across(bencher: Bencher<'_, '_>) {
    let service = assembled(&runtime(), Answer::whole(Api::Messages));
    run(bencher, service, || ask(Api::Chat, CLAUDE, false));
}

#[divan::bench]
fn bare_stream(bencher: Bencher<'_, '_>) {
    run(bencher, Answer::stream(Api::Chat), || ask(Api::Chat, GPT, true));
}

#[divan::bench]
fn gateway_stream(bencher: Bencher<'_, '_>) {
    let service = assembled(&runtime(), Answer::stream(Api::Chat));
    run(bencher, service, || ask(Api::Chat, GPT, true));
}

#[divan::bench]
fn gateway_stream_across(bencher: Bencher<'_, '_>) {
    let service = assembled(&runtime(), Answer::stream(Api::Messages));
    run(bencher, service, || ask(Api::Chat, CLAUDE, true));
}

/// Calls `service` and reads its answer, over and over. Only that is timed: not the making of the request.
fn run<S, T, B>(bencher: Bencher<'_, '_>, service: S, request: impl Fn() -> Request<T>)
where
    S: Service<Request<T>, Response = Response<B>> + Clone,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes>,
{
    let runtime = runtime();
    // Timers are made, and dropped before anybody waits for them.
    let _inside = runtime.enter();
    bencher.with_inputs(|| (service.clone(), request())).bench_local_values(|(service, request)| {
        let response = now(service.oneshot(request)).unwrap_or_else(|error| panic!("{}", error.into()));
        assert!(response.status().is_success(), "{}", response.status());
        let mut body = pin!(response.into_body());
        let mut bytes = 0;
        while let Some(frame) = now(std::future::poll_fn(|cx| body.as_mut().poll_frame(cx))) {
            bytes += frame.ok().and_then(|frame| frame.into_data().ok()).expect("data").len();
        }
        bytes
    });
}

/// All layers, over a provider in this process.
fn assembled(runtime: &Runtime, provider: Answer) -> Gateway {
    let transport = Transport::local().provider("openai", provider.clone()).provider("anthropic", provider);
    let (gateway, driver) = Gateway::builder(catalog()).keys(keys(runtime)).ledger(()).build(transport);
    // Nothing here lives long enough to need it.
    drop(driver);
    gateway
}

/// A model at each provider, with its price.
fn catalog() -> Catalog {
    let account = |preset: &'static Preset, name: &str| preset.account(name).api_key(ApiKey::new("sk-bench")).build().expect("an account");
    let rate = |text, meter| Rate::parse(text, meter).expect("a price");
    let price = || {
        Arc::new(Price::flat(
            Tier::default().rate(Meter::Input, rate("0.15", Meter::Input)).rate(Meter::Output, rate("0.60", Meter::Output)),
        ))
    };
    Catalog::builder()
        .provider(account(&Preset::OPENAI, "openai"))
        .provider(account(&Preset::ANTHROPIC, "anthropic"))
        .model(ModelEntry::new(GPT).target(TargetEntry::new("openai", GPT).price(price())))
        .model(ModelEntry::new(CLAUDE).target(TargetEntry::new("anthropic", CLAUDE).price(price())))
        .build()
        .expect("a catalogue")
}

/// One key, in memory for longer than a bench.
fn keys(runtime: &Runtime) -> CachedKeys {
    let pepper = || Pepper::new("pepper-for-benches").expect("long enough");
    let store = MemoryKeys::new();
    now(KeyAdmin::new(store.clone(), pepper()).insert(NewKey::named("bench"), KEY, "bench")).expect("a key");
    let keys = CachedKeys::new(store, pepper()).fresh_for(std::time::Duration::from_secs(3600));
    runtime.block_on(keys.check(keys.format().parse(KEY).expect("a key"), KeyKind::Inference)).expect("it opens");
    keys
}

fn ask(api: Api, model: &str, stream: bool) -> Request<Full<Bytes>> {
    let request = Request::post(api.path()).header(header::AUTHORIZATION, format!("Bearer {KEY}")).header(header::HOST, "localhost");
    let body = Full::new(Bytes::from(api.request(model, Ask::Ten, stream)));
    request.header(header::CONTENT_TYPE, "application/json").body(body).expect("sound")
}

/// What a layer hands to the one below it.
fn called(api: Api, model: &str) -> Kept<Call> {
    Kept::of(|catch| {
        now(NormalizeLayer::new().layer(catch).oneshot(ask(api, model, false))).map(drop).unwrap_or_else(|never| match never {})
    })
}

fn routed(api: Api, model: &str) -> Kept<Routed> {
    let call = called(api, model);
    Kept::of(|catch| now(RouteLayer::new(catalog()).layer(catch).oneshot(call.again())).map(drop).expect("a plan"))
}

fn attempted(api: Api, model: &str) -> Kept<Attempt> {
    let routed = routed(api, model);
    let runtime = runtime();
    let _inside = runtime.enter();
    Kept::of(|catch| now(RetryLayer::new(RetryPolicy::new()).layer(catch).oneshot(routed.again())).map(drop).expect("an attempt"))
}

/// A request that a layer made.
struct Kept<T>(Request<T>);

impl<T: Clone + Send + 'static> Kept<T> {
    /// Has `send` call a service that keeps what it gets.
    fn of(send: impl FnOnce(Catch<T>)) -> Self {
        let kept = Arc::new(Mutex::new(None));
        send(Catch(kept.clone()));
        let request = kept.lock().expect("nobody panicked").take();
        Self(request.expect("it was called"))
    }

    fn again(&self) -> Request<T> {
        self.0.clone()
    }
}

/// Keeps the request it gets.
struct Catch<T>(Arc<Mutex<Option<Request<T>>>>);

impl<T> Clone for Catch<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Service<Request<T>> for Catch<T> {
    type Response = Response<Full<Bytes>>;
    type Error = BoxError;
    type Future = Ready<Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<T>) -> Self::Future {
        *self.0.lock().expect("nobody panicked") = Some(request);
        ready(Ok(Response::new(Full::default())))
    }
}

/// Answers anything at once, always the same.
#[derive(Clone)]
struct Answer {
    media: &'static str,
    body: Frames,
}

impl Answer {
    fn whole(api: Api) -> Self {
        Self { media: "application/json", body: Frames::new([api.answer()]) }
    }

    fn stream(api: Api) -> Self {
        Self { media: "text/event-stream", body: Frames::new(api.stream(100)) }
    }
}

impl<T> Service<Request<T>> for Answer {
    type Response = Response<Frames>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<T>) -> Self::Future {
        let mut response = Response::new(self.body.clone());
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(self.media));
        ready(Ok(response))
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime")
}

/// The output of a future that has nothing to wait for.
fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

const GPT: &str = "gpt-4o-mini";
const CLAUDE: &str = "claude-sonnet-4-20250514";
const KEY: &str = "aistats_v1_k_kidAAAA00001_secretBBBB1111secretBBBB1111secretBBBB11";
