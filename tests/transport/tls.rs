//! Certificates.

use std::sync::Arc;

use portcullis::fault::{Failure, FaultKind, Phase};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};

use super::{HttpClient, Provider, Reach, Script, call, chat, fault, support::tls, target, text};

async fn reach(provider: &Provider, pem: Option<String>) -> super::Answer {
    let target = target(&provider.url("/v1"), &[chat()], Reach { ca_pem: pem, ..Reach::default() });
    call(&HttpClient::new(), &target).await
}

#[tokio::test]
async fn a_provider_whose_authority_is_trusted_is_spoken_to() {
    let (provider, pem) = tls::provider(tls::Flaw::None).await;
    let target = target(&provider.url("/v1"), &[chat()], Reach { ca_pem: Some(pem), ..Reach::default() });
    let client = HttpClient::new();
    provider.play(Script::sse(["data: 1\n\n", "data: 2\n\n"]));
    assert_eq!(text(call(&client, &target).await).await, "data: 1\n\ndata: 2\n\n");
    assert_eq!(text(call(&client, &target).await).await, "{}");
    assert_eq!(provider.counts().connections, 1);
    provider.play(Script::cut_mid_chunk(["data: 1\n\n"]));
    assert_eq!(super::broken(call(&client, &target).await).await.1.kind(), &FaultKind::Truncated);
}

#[tokio::test]
async fn a_host_brings_its_own_trust() {
    let (provider, pem) = tls::provider(tls::Flaw::None).await;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(pem.as_bytes()).map(Result::unwrap));
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = HttpClient::builder().tls(Arc::new(config)).build();
    let target = target(&provider.url("/v1"), &[chat()], Reach::default());
    assert_eq!(text(call(&client, &target).await).await, "{}");
}

#[tokio::test]
async fn f034_other_certificates_are_refused_and_nothing_is_sent() {
    for flaw in [tls::Flaw::Expired, tls::Flaw::WrongName] {
        let (provider, pem) = tls::provider(flaw).await;
        assert_eq!(fault(reach(&provider, Some(pem)).await), (FaultKind::Upstream(Failure::Connect), Phase::BeforeSend), "{flaw:?}");
        assert_eq!(provider.counts().requests, 0);
    }
    let (provider, _) = tls::provider(tls::Flaw::None).await;
    assert_eq!(fault(reach(&provider, None).await).0, FaultKind::Upstream(Failure::Connect), "an unknown authority");
    assert_eq!(fault(reach(&provider, Some("no certificate".into())).await).0, FaultKind::Upstream(Failure::Connect));
}

#[tokio::test]
async fn f034_a_provider_without_tls_is_not_spoken_to_in_plain_text() {
    let plain = Provider::start().await;
    let target = target(&plain.url("/v1").replace("http:", "https:"), &[chat()], Reach::default());
    plain.connect([Script::raw("HTTP/1.1 400 Bad Request\r\n\r\n").eager()]);
    assert_eq!(fault(call(&HttpClient::new(), &target).await), (FaultKind::Upstream(Failure::Connect), Phase::BeforeSend));
    assert_eq!(plain.counts().requests, 0);
}
