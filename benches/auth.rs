//! What does it cost to know who is calling?
//!
//! `cargo bench --bench auth`; the allocations are counted beside the time.

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    pin::pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use divan::{AllocProfiler, Bencher, black_box};
use http::{Request, Response, header};
use http_body_util::Empty;
use portcullis::{
    auth::{AuthLayer, CachedKeys, KeyAdmin, KeyFormat, MemoryKeys, NewKey, Pepper},
    stage::KeyKind,
};
use tower::{Layer, Service};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// The shape alone.
#[divan::bench]
fn parse(bencher: Bencher<'_, '_>) {
    let format = KeyFormat::default();
    bencher.bench(|| format.parse(black_box(KEY)));
}

/// The secret as it is stored.
#[divan::bench]
fn hash(bencher: Bencher<'_, '_>) {
    let pepper = pepper();
    bencher.bench(|| pepper.hash(black_box(SECRET)));
}

/// A key in memory, from text to principal.
#[divan::bench]
fn check(bencher: Bencher<'_, '_>) {
    let keys = keys();
    bencher.bench(|| now(keys.check(keys.format().parse(black_box(KEY)).expect("a key"), KeyKind::Inference)));
}

/// The same through the layer, with the request's headers and id.
#[divan::bench]
fn layer(bencher: Bencher<'_, '_>) {
    let mut service = AuthLayer::new(keys()).layer(Nothing);
    bencher.with_inputs(request).bench_local_values(|request| now(service.call(request)));
}

/// What the layer is measured against: the bare service.
#[divan::bench]
fn bare(bencher: Bencher<'_, '_>) {
    let mut service = Nothing;
    bencher.with_inputs(request).bench_local_values(|request| now(service.call(request)));
}

/// A caller without a key.
#[divan::bench]
fn refused(bencher: Bencher<'_, '_>) {
    let mut service = AuthLayer::new(keys()).layer(Nothing);
    bencher
        .with_inputs(|| Request::post("/v1/chat/completions").body(Empty::<Bytes>::new()).expect("sound"))
        .bench_local_values(|request| now(service.call(request)));
}

/// Keys with one of them in memory. A minute is longer than a bench.
fn keys() -> CachedKeys {
    let store = MemoryKeys::new();
    now(KeyAdmin::new(store.clone(), pepper()).insert(NewKey::named("bench"), KEY, "bench")).expect("a key");
    let keys = CachedKeys::new(store, pepper()).fresh_for(std::time::Duration::from_secs(3600));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(keys.check(keys.format().parse(KEY).expect("a key"), KeyKind::Inference)).expect("it opens");
    keys
}

fn pepper() -> Pepper {
    Pepper::new("pepper-for-benches").expect("long enough")
}

fn request() -> Request<Empty<Bytes>> {
    let request = Request::post("/v1/chat/completions").header(header::AUTHORIZATION, format!("Bearer {KEY}"));
    request.header(header::CONTENT_TYPE, "application/json").header(header::HOST, "localhost").body(Empty::new()).expect("sound")
}

/// Answers nothing, at once.
#[derive(Clone)]
struct Nothing;

impl<B> Service<Request<B>> for Nothing {
    type Response = Response<Empty<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        ready(Ok(Response::new(Empty::new())))
    }
}

/// The output of a future that has nothing to wait for.
fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

const KEY: &str = "aistats_v1_k_kidAAAA00001_secretBBBB1111secretBBBB1111secretBBBB11";
const SECRET: &str = "secretBBBB1111secretBBBB1111secretBBBB11";
