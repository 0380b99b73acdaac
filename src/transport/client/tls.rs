//! Whose certificates are trusted.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio_rustls::TlsConnector;
use tower::BoxError;

use crate::catalog::HttpVersion;

/// A configuration that trusts the web's certificate authorities, and `extra`, which is PEM text.
///
/// The crypto provider is named, never the process's default: that one belongs to the host, who may have none.
pub(super) fn config(extra: Option<&[u8]>) -> Result<ClientConfig, BoxError> {
    let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    if let Some(pem) = extra {
        let before = roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            roots.add(certificate?)?;
        }
        if roots.len() == before {
            return Err("the provider's CA text holds no certificate".into());
        }
    }
    Ok(ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// A connector that offers `version` and nothing else.
pub(super) fn connector(mut config: ClientConfig, version: HttpVersion) -> TlsConnector {
    config.alpn_protocols = match version {
        HttpVersion::Http1 => vec![b"http/1.1".to_vec()],
        HttpVersion::Http2 => vec![b"h2".to_vec()],
    };
    TlsConnector::from(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_without_a_certificate_is_refused() {
        assert!(config(Some(b"not a certificate")).is_err());
        assert!(config(None).is_ok());
    }
}
