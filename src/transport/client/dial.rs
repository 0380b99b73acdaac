//! From an address to a connected, and where asked encrypted, stream.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{
    HeaderValue, Uri,
    uri::{Authority, PathAndQuery, Scheme},
};
use hyper_util::client::legacy::connect::{HttpConnector, proxy::Tunnel};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tower::{BoxError, ServiceExt};

use crate::socket::poll_write_slices;

/// How to reach one origin.
pub(super) struct Dial {
    /// Scheme, host and port; the port is always named, since a proxy must be told.
    address: Uri,
    proxy: Option<Proxy>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

struct Proxy {
    address: Uri,
    authorization: Option<HeaderValue>,
}

impl Dial {
    pub(super) fn new(authority: &Authority, proxy: Option<&Uri>, tls: Option<TlsConnector>) -> Result<Self, BoxError> {
        let host = authority.host();
        let (scheme, port) = if tls.is_some() { (Scheme::HTTPS, 443) } else { (Scheme::HTTP, 80) };
        let port = authority.port_u16().unwrap_or(port);
        let address = Uri::builder().scheme(scheme).authority(format!("{host}:{port}")).path_and_query("/").build()?;
        let tls = match tls {
            Some(connector) => {
                let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
                Some((connector, ServerName::try_from(bare.to_owned())?))
            }
            None => None,
        };
        Ok(Self { address, proxy: proxy.map(Proxy::new).transpose()?, tls })
    }

    /// Connects: through the proxy if there is one, with TLS if the scheme says so. Sets no deadline.
    pub(super) async fn connect(&self) -> Result<Stream, BoxError> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_keepalive(Some(std::time::Duration::from_secs(60)));
        // TLS is added here, on top.
        connector.enforce_http(false);
        let tcp = match &self.proxy {
            None => connector.oneshot(self.address.clone()).await?,
            Some(proxy) => {
                let mut tunnel = Tunnel::new(proxy.address.clone(), connector);
                if let Some(authorization) = &proxy.authorization {
                    tunnel = tunnel.with_auth(authorization.clone());
                }
                tunnel.oneshot(self.address.clone()).await?
            }
        };
        let tcp = tcp.into_inner();
        let io = match &self.tls {
            None => Io::Plain(tcp),
            Some((connector, name)) => Io::Tls(Box::new(connector.connect(name.clone(), tcp).await?)),
        };
        Ok(Stream { io, heard: Heard::default() })
    }
}

impl Proxy {
    fn new(uri: &Uri) -> Result<Self, BoxError> {
        let authority = uri.authority().filter(|_| uri.scheme() == Some(&Scheme::HTTP)).ok_or("a proxy is named as http://host:port")?;
        let (user, host) = match authority.as_str().rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority.as_str()),
        };
        let authorization = match user {
            Some(user) => {
                let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(unescape(user))))?;
                value.set_sensitive(true);
                Some(value)
            }
            None => None,
        };
        let address = Uri::builder().scheme(Scheme::HTTP).authority(host).path_and_query(PathAndQuery::from_static("/")).build()?;
        Ok(Self { address, authorization })
    }
}

/// Undoes percent-escapes; what is no escape stays.
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        match (first, tail) {
            (b'%', [high, low, after @ ..]) if digit(high).is_some() && digit(low).is_some() => {
                out.push(digit(high).unwrap_or_default() << 4 | digit(low).unwrap_or_default());
                rest = after;
            }
            _ => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    out
}

/// Whether anything was read from a stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard(Arc<AtomicBool>);

impl Heard {
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn forget(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// A connected stream that knows whether anything was read from it.
pub(super) struct Stream {
    io: Io,
    heard: Heard,
}

enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    pub(super) fn heard(&self) -> Heard {
        self.heard.clone()
    }

    /// Whether TLS settled on HTTP/2; without TLS nobody can say.
    pub(super) fn negotiated_http2(&self) -> Option<bool> {
        match &self.io {
            Io::Plain(_) => None,
            Io::Tls(tls) => Some(tls.get_ref().1.alpn_protocol() == Some(b"h2")),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = match &mut self.io {
            Io::Plain(io) => Pin::new(io).poll_read(cx, buf),
            Io::Tls(io) => Pin::new(io).poll_read(cx, buf),
        };
        if buf.filled().len() > before {
            self.heard.0.store(true, Ordering::Relaxed);
        }
        read
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Plain(io) => Pin::new(io).poll_write(cx, buf),
            Io::Tls(io) => Pin::new(io).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Plain(io) => poll_write_slices(Pin::new(io), cx, bufs),
            Io::Tls(io) => Pin::new(io).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Plain(io) => io.is_write_vectored(),
            Io::Tls(io) => io.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(io) => Pin::new(io).poll_flush(cx),
            Io::Tls(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(io) => Pin::new(io).poll_shutdown(cx),
            Io::Tls(io) => Pin::new(io).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxys_credential_leaves_its_address() {
        let proxy = Proxy::new(&Uri::from_static("http://ann:p%40ss%zz@proxy.test:3128")).unwrap();
        assert_eq!(proxy.address, Uri::from_static("http://proxy.test:3128/"));
        let authorization = proxy.authorization.unwrap();
        assert!(authorization.is_sensitive());
        let encoded = authorization.to_str().unwrap().strip_prefix("Basic ").unwrap();
        assert_eq!(STANDARD.decode(encoded).unwrap(), b"ann:p@ss%zz");
    }

    #[test]
    fn a_proxy_is_reached_without_tls() {
        assert!(Proxy::new(&Uri::from_static("https://proxy.test:3128")).is_err());
        assert!(Proxy::new(&Uri::from_static("proxy.test:3128")).is_err());
    }

    #[test]
    fn an_address_names_its_port() {
        let dial = |authority| Dial::new(&Authority::from_static(authority), None, None).unwrap().address;
        assert_eq!(dial("api.test"), Uri::from_static("http://api.test:80/"));
        assert_eq!(dial("user@api.test:8080"), Uri::from_static("http://api.test:8080/"));
        assert_eq!(dial("[::1]:8080"), Uri::from_static("http://[::1]:8080/"));
    }
}
