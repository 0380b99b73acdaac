//! Certificates, and providers that speak TLS.

use std::{io, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::provider::{Io, Provider, Wrapping};

/// What is wrong with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing.
    None,
    /// Its time is over.
    Expired,
    /// It is somebody else's.
    WrongName,
}

/// A server's configuration for `127.0.0.1`, and the PEM text of the authority that signed its certificate.
pub fn server_config(flaw: Flaw, alpn: &[&[u8]]) -> (ServerConfig, String) {
    let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate");

    let name = if flaw == Flaw::WrongName { "127.0.0.2" } else { "127.0.0.1" };
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    if flaw == Flaw::Expired {
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    }
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, &authority).expect("a certificate");
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has them")
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(certificate.der().to_vec())],
            PrivateKeyDer::try_from(key.serialize_der()).expect("a key"),
        )
        .expect("a pair");
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    (config, authority.pem())
}

/// A fake provider behind TLS, and the PEM text of its authority.
pub async fn provider(flaw: Flaw) -> (Provider, String) {
    let (config, pem) = server_config(flaw, &[b"http/1.1"]);
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let wrap = move |tcp: TcpStream| {
        let accepting = acceptor.accept(tcp);
        let wrapped: Wrapping = Box::pin(async move { accepting.await.map(|tls| Box::new(tls) as Box<dyn Io>) });
        wrapped
    };
    (Provider::wrapped(Box::new(wrap)).await, pem)
}

impl Io for TlsStream<TcpStream> {
    fn reset_on_drop(&self) -> io::Result<()> {
        self.get_ref().0.set_zero_linger()
    }
}
