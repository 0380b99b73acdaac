//! Through an HTTP proxy.

use portcullis::fault::{Failure, FaultKind, Phase};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use super::{HttpClient, Provider, Reach, Script, call, chat, fault, support::tls, target, text};

/// A proxy that tunnels, and the heads that it was sent.
async fn proxy() -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (heads, received) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let heads = heads.clone();
            tokio::spawn(async move {
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    head.push(char::from(near.read_u8().await.unwrap()));
                }
                let to = head.split(' ').nth(1).unwrap().to_owned();
                heads.send(head).unwrap();
                let mut far = TcpStream::connect(to).await.unwrap();
                near.write_all(b"HTTP/1.1 200 Established\r\n\r\n").await.unwrap();
                let _ = copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    (format!("http://ann:p%40ss@{address}"), received)
}

#[tokio::test]
async fn a_tunnel_is_asked_for_and_kept() {
    let (proxy, mut heads) = proxy().await;
    let (provider, pem) = tls::provider(tls::Flaw::None).await;
    let reach = Reach { proxy: Some(proxy), ca_pem: Some(pem), ..Reach::default() };
    let target = target(&provider.url("/v1"), &[chat()], reach);
    let client = HttpClient::new();
    for _ in 0..2 {
        assert_eq!(text(call(&client, &target).await).await, "{}");
    }
    let head = heads.recv().await.unwrap();
    assert!(head.starts_with(&format!("CONNECT {} HTTP/1.1\r\n", provider.address())), "{head}");
    assert!(head.contains("Proxy-Authorization: Basic YW5uOnBAc3M="), "{head}");
    assert!(!head.contains("provider-secret"));
    assert!(heads.try_recv().is_err(), "the tunnel was used twice");
    assert!(!provider.received()[0].head().to_lowercase().contains("proxy-"));
}

#[tokio::test]
async fn a_proxy_that_refuses_is_a_failed_connection() {
    let provider = Provider::start().await;
    let unwilling = Provider::answering(|_| Script::json(407, "{}")).await;
    let reach = Reach { proxy: Some(unwilling.url("")), ..Reach::default() };
    let target = target(&provider.url("/v1"), &[chat()], reach);
    assert_eq!(fault(call(&HttpClient::new(), &target).await), (FaultKind::Upstream(Failure::Connect), Phase::BeforeSend));
    assert_eq!((provider.counts().connections, unwilling.counts().connections), (0, 1));
}
