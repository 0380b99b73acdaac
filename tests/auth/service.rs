//! The layer as a service: readiness, errors, panics, cancellation.

use std::{
    convert::Infallible,
    future::Future,
    panic::AssertUnwindSafe,
    pin::pin,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::Full;
use portcullis::{auth::AuthLayer, stage::Principal};
use tokio_test::{assert_pending, assert_ready_ok};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_test::mock;

use crate::support::{KEY, Store, ask, store};

type Reply = Response<Full<Bytes>>;

fn request(key: Option<&str>) -> Request<Full<Bytes>> {
    let builder = Request::post("/v1/chat/completions");
    key.into_iter().fold(builder, |builder, key| builder.header("x-api-key", key)).body(Full::from("{}")).unwrap()
}

/// A store that has been asked for [`KEY`] already.
async fn warm() -> (Store, AuthLayer) {
    let store = store().await;
    let layer = AuthLayer::new(store.cached());
    assert_eq!(ask(&layer, "/", &[("x-api-key", KEY.as_bytes())]).await.status(), 200);
    (store, layer)
}

#[tokio::test]
async fn a_refusal_needs_no_inner_service() {
    let (mut auth, mut inner) = mock::spawn_layer::<Request<Full<Bytes>>, Reply, _>(warm().await.1);
    inner.allow(0);
    assert_ready_ok!(auth.poll_ready());
    let response = auth.call(request(None)).await.unwrap();
    assert_eq!(response.status(), 401);
    assert!(inner.poll_request().is_pending());
}

#[tokio::test]
async fn an_accepted_request_waits_for_the_inner_service() {
    let (mut auth, mut inner) = mock::spawn_layer::<Request<Full<Bytes>>, Reply, _>(warm().await.1);
    inner.allow(0);
    assert_ready_ok!(auth.poll_ready());
    let mut call = tokio_test::task::spawn(auth.call(request(Some(KEY))));
    assert_pending!(call.poll());
    assert!(inner.poll_request().is_pending());

    inner.allow(1);
    assert!(call.is_woken());
    assert_pending!(call.poll());
    let (seen, respond) = inner.next_request().await.unwrap();
    assert!(seen.extensions().get::<Principal>().is_some());
    assert!(!seen.headers().contains_key("x-api-key"));
    respond.send_response(Response::new(Full::from("yes")));
    assert_eq!(call.await.unwrap().status(), 200);
}

#[tokio::test]
async fn errors_of_the_inner_service_pass_through() {
    let (mut auth, mut inner) = mock::spawn_layer::<Request<Full<Bytes>>, Reply, _>(warm().await.1);
    assert_ready_ok!(auth.poll_ready());
    let mut call = tokio_test::task::spawn(auth.call(request(Some(KEY))));
    assert_pending!(call.poll());
    inner.next_request().await.unwrap().1.send_error("broken");
    assert_eq!(call.await.unwrap_err().to_string(), "broken");

    // An error of readiness, too.
    inner.send_error("worn out");
    assert_ready_ok!(auth.poll_ready());
    assert_eq!(auth.call(request(Some(KEY))).await.unwrap_err().to_string(), "worn out");
}

#[tokio::test]
async fn f058_a_panic_passes_through_and_hurts_nobody_else() {
    let panics = AtomicBool::new(true);
    let inner = service_fn(|_: Request<Full<Bytes>>| {
        assert!(!panics.swap(false, Ordering::SeqCst), "inner");
        std::future::ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("yes"))))
    });
    let auth = warm().await.1.layer(inner);
    let mut call = pin!(auth.clone().oneshot(request(Some(KEY))));
    let mut context = Context::from_waker(Waker::noop());
    let panicked = std::panic::catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(&mut context)));
    assert!(panicked.is_err());
    assert_eq!(auth.oneshot(request(Some(KEY))).await.unwrap().status(), 200);
}

#[tokio::test]
async fn f057_left_while_the_store_is_asked() {
    let store = store().await;
    store.holds(true);
    let (mut auth, mut inner) = mock::spawn_layer::<Request<Full<Bytes>>, Reply, _>(AuthLayer::new(store.cached()));
    assert_ready_ok!(auth.poll_ready());
    let mut call = tokio_test::task::spawn(auth.call(request(Some(KEY))));
    assert_pending!(call.poll());
    assert_eq!(store.finds(), 1);
    drop(call);
    assert!(inner.poll_request().is_pending());

    // The next caller is none the worse for it.
    store.holds(false);
    let mut call = tokio_test::task::spawn(auth.call(request(Some(KEY))));
    assert_pending!(call.poll());
    assert!(inner.poll_request().is_ready());
}

#[tokio::test]
async fn f057_left_while_the_inner_service_is_not_ready() {
    let (mut auth, mut inner) = mock::spawn_layer::<Request<Full<Bytes>>, Reply, _>(warm().await.1);
    inner.allow(0);
    let mut call = tokio_test::task::spawn(auth.call(request(Some(KEY))));
    assert_pending!(call.poll());
    drop(call);
    inner.allow(1);
    assert!(inner.poll_request().is_pending());
}

#[tokio::test]
async fn f057_left_while_the_inner_service_works() {
    let (mut auth, mut inner) = mock::spawn_layer::<Request<Full<Bytes>>, Reply, _>(warm().await.1);
    let mut call = tokio_test::task::spawn(auth.call(request(Some(KEY))));
    assert_pending!(call.poll());
    let (_, respond) = inner.next_request().await.unwrap();
    drop(call);
    respond.send_response(Response::new(Full::default()));
    assert!(inner.poll_request().is_pending());
}

#[tokio::test]
async fn f001_f022_the_body_of_a_refused_request_is_not_read() {
    struct Untouchable;

    impl Body for Untouchable {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            panic!("the body was read")
        }
    }

    let inner = service_fn(|_: Request<Untouchable>| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) });
    let request = Request::post("/v1/messages").header("expect", "100-continue").body(Untouchable).unwrap();
    let response = warm().await.1.layer(inner).oneshot(request).await.unwrap();
    assert_eq!(response.status(), 401);
}

#[tokio::test]
async fn a_principal_of_the_host_counts_only_if_it_is_trusted() {
    let (store, layer) = warm().await;
    let before = store.finds();
    for (trust, key, status) in [(false, None, 401), (true, None, 200), (true, Some(KEY), 200)] {
        let inner = service_fn(|request: Request<Full<Bytes>>| async move {
            assert_eq!(request.extensions().get::<Principal>().unwrap().workspace(), "theirs");
            assert!(!request.headers().contains_key("x-api-key"), "a key goes no further, checked or not");
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        });
        let mut request = request(key);
        request.extensions_mut().insert(Principal::builder("theirs").build());
        let response = layer.clone().trust_principal(trust).layer(inner).oneshot(request).await.unwrap();
        assert_eq!(response.status(), status, "{trust} {key:?}");
    }
    assert_eq!(store.finds(), before);
}

#[tokio::test]
async fn a_store_that_fails_closes_the_door() {
    let store = store().await;
    store.breaks(true);
    let response = ask(&AuthLayer::new(store.cached()), "/v1/chat/completions", &[("x-api-key", KEY.as_bytes())]).await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "1");
}

#[test]
fn services_are_send_and_cloneable() {
    fn check<T: Clone + Send + Sync + 'static>(_: &T) {}
    let store = Store::default();
    let layer = AuthLayer::new(store.cached());
    check(&layer);
    let mut service = layer.layer(crate::support::Echo);
    check(&service);
    fn send<T: Send>(_: &T) {}
    send(&service.call(request(None)));
}
