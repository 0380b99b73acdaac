//! Providers spoken to in HTTP/2. The other side is hyper here: what is tested is ours.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use portcullis::{
    catalog::HttpVersion,
    fault::{Failure, FaultKind, Phase},
};
use tokio::{net::TcpListener, sync::Notify};
use tokio_rustls::TlsAcceptor;

use super::{HttpClient, Provider, Reach, call, chat, elsewhere, fault, support::tls, target, text};

/// Echoes bodies; counts connections. With TLS, gives its authority.
async fn server(encrypted: bool, serve: usize) -> (String, Option<String>, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (config, pem) = tls::server_config(tls::Flaw::None, &[b"h2"]);
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let (left, over) = (Arc::new(AtomicUsize::new(serve)), Arc::new(Notify::new()));
                let when_over = Arc::clone(&over);
                let service = service_fn(move |request| echo(request, Arc::clone(&left), Arc::clone(&over)));
                let builder = http2::Builder::new(TokioExecutor::new());
                let serving = async move {
                    if encrypted {
                        let _ = builder.serve_connection(TokioIo::new(acceptor.accept(tcp).await.unwrap()), service).await;
                    } else {
                        let _ = builder.serve_connection(TokioIo::new(tcp), service).await;
                    }
                };
                tokio::select! {
                    () = serving => {}
                    () = when_over.notified() => {}
                }
            });
        }
    });
    let scheme = if encrypted { "https" } else { "http" };
    (format!("{scheme}://{address}/v1"), encrypted.then_some(pem), connections)
}

/// Answers `left` requests; the next one takes the connection with it.
async fn echo(request: Request<Incoming>, left: Arc<AtomicUsize>, over: Arc<Notify>) -> Result<Response<Full<Bytes>>, Infallible> {
    if left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err() {
        over.notify_one();
        return std::future::pending().await;
    }
    assert_eq!(request.version(), Version::HTTP_2);
    assert_eq!(request.headers()["authorization"], "Bearer provider-secret");
    assert!(!request.headers().contains_key("host"));
    let body = request.into_body().collect().await.unwrap().to_bytes();
    Ok(Response::new(Full::new(body)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runtime_that_ended_takes_only_its_own_connection_along() {
    let (url, ca_pem, connections) = server(false, 100).await;
    let target = target(&url, &[chat()], Reach { version: HttpVersion::Http2, ca_pem, ..Reach::default() });
    let client = HttpClient::new();
    let first = elsewhere(&client, &target);
    for _ in 0..2 {
        assert_eq!(text(call(&client, &target).await).await, first);
    }
    assert_eq!(connections.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn calls_share_one_connection() {
    for encrypted in [true, false] {
        let (url, ca_pem, connections) = server(encrypted, 100).await;
        let target = target(&url, &[chat()], Reach { version: HttpVersion::Http2, ca_pem, ..Reach::default() });
        let client = HttpClient::new();
        let calls: Vec<_> = (0..20)
            .map(|_| {
                let (client, target) = (client.clone(), Arc::clone(&target));
                tokio::spawn(async move { text(call(&client, &target).await).await })
            })
            .collect();
        for call in calls {
            assert_eq!(call.await.unwrap(), r#"{"model":"fake-1"}"#);
        }
        client.sweep();
        assert_eq!(text(call(&client, &target).await).await, r#"{"model":"fake-1"}"#);
        assert_eq!(connections.load(Ordering::Relaxed), 1);
    }
}

#[tokio::test]
async fn a_lost_connection_is_made_anew_for_the_next_call() {
    let (url, _, connections) = server(false, 1).await;
    let target = target(&url, &[chat()], Reach { version: HttpVersion::Http2, ..Reach::default() });
    let client = HttpClient::new();
    assert!(call(&client, &target).await.is_ok());
    assert_eq!(fault(call(&client, &target).await), (FaultKind::Upstream(Failure::Connection), Phase::BeforeHead));
    assert!(call(&client, &target).await.is_ok());
    assert_eq!(connections.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_provider_that_offers_only_http1_is_not_spoken_to() {
    let (provider, ca_pem) = tls::provider(tls::Flaw::None).await;
    let reach = Reach { version: HttpVersion::Http2, ca_pem: Some(ca_pem), ..Reach::default() };
    let target = target(&provider.url("/v1"), &[chat()], reach);
    assert_eq!(fault(call(&HttpClient::new(), &target).await), (FaultKind::Upstream(Failure::Connect), Phase::BeforeSend));
    let closing = Provider::start().await;
    closing.connect([super::Script::close().eager()]);
    let target = super::target(&closing.url("/v1"), &[chat()], Reach { version: HttpVersion::Http2, ..Reach::default() });
    assert_eq!(fault(call(&HttpClient::new(), &target).await).0, FaultKind::Upstream(Failure::Connection));
}
