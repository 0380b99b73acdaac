//! One place requests go to, and the connections to it that are at rest.

use std::{
    hash::{Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::{
    HeaderValue, Uri,
    uri::{Authority, Scheme},
};
use rustls::ClientConfig;
use tokio::{
    runtime::{self, Handle},
    time::Instant,
};
use tower::BoxError;

use super::{
    dial::{Dial, Stream},
    http2::Multiplexed,
    line::Line,
    tls,
};
use crate::{
    catalog::{HttpOrigin, HttpVersion},
    fault::{Failure, Fault, FaultKind, Timeout},
};

/// A runtime that is running, by an id that may be another's once it has ended: its connections are closed by then.
pub(super) type Runtime = Option<runtime::Id>;

/// The runtime that this runs on.
pub(super) fn here() -> Runtime {
    Handle::try_current().ok().map(|handle| handle.id())
}

/// What makes two requests share connections.
#[derive(Clone)]
pub(super) struct Key {
    /// A connection lives on the runtime that opened it: elsewhere each of its events would cross over, and it ends with it.
    runtime: Runtime,
    https: bool,
    /// As written: an `Authority` compares without regard to case, byte by byte, and it always comes from the same
    /// configuration.
    authority: Authority,
    version: HttpVersion,
    proxy: Option<Uri>,
    ca_pem: Option<Arc<[u8]>>,
}

impl Key {
    /// Where `uri` leads, the way that `origin` says.
    pub(super) fn new(uri: &Uri, origin: &HttpOrigin) -> Result<Self, Fault> {
        let nowhere = || Fault::new(FaultKind::Internal).with_source("a provider's URI names no http(s) host");
        let https = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(nowhere()),
        };
        let authority = uri.authority().ok_or_else(nowhere)?.clone();
        Ok(Self { runtime: here(), https, authority, version: origin.version, proxy: origin.proxy.clone(), ca_pem: origin.ca_pem.clone() })
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.runtime == other.runtime
            && self.https == other.https
            && self.authority.as_str() == other.authority.as_str()
            && self.version == other.version
            && self.proxy == other.proxy
            && self.ca_pem == other.ca_pem
    }
}

impl Eq for Key {}

/// The rest hardly ever differs where these agree.
impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.authority.as_str().hash(state);
        self.runtime.hash(state);
    }
}

/// How many connections rest, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) max_idle: usize,
    pub(super) idle_timeout: Duration,
}

/// One place requests go to.
pub(super) struct Origin {
    runtime: Runtime,
    /// The `host` header of its requests.
    pub(super) host: HeaderValue,
    pub(super) multiplexed: Multiplexed,
    dial: Dial,
    limits: Limits,
    /// The last to come is the first to go: the others may grow old.
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    line: Box<Line>,
    since: Instant,
}

impl Origin {
    pub(super) fn new(key: &Key, limits: Limits, tls: &ClientConfig) -> Result<Self, BoxError> {
        let connector = match (key.https, &key.ca_pem) {
            (false, _) => None,
            (true, None) => Some(tls::connector(tls.clone(), key.version)),
            (true, Some(pem)) => Some(tls::connector(tls::config(Some(pem))?, key.version)),
        };
        // What stands before an `@` is nobody's business.
        let host = key.authority.as_str().rsplit('@').next().unwrap_or_default();
        Ok(Self {
            runtime: key.runtime,
            host: HeaderValue::from_str(host)?,
            multiplexed: Multiplexed::default(),
            dial: Dial::new(&key.authority, key.proxy.as_ref(), connector)?,
            limits,
            idle: Mutex::default(),
        })
    }

    /// Connects within `limit`, TLS included.
    pub(super) async fn dial(&self, limit: Duration) -> Result<Stream, Fault> {
        match tokio::time::timeout(limit, self.dial.connect()).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(Fault::new(FaultKind::Upstream(Failure::Connect)).with_source(error)),
            Err(_) => Err(Fault::new(FaultKind::Timeout(Timeout::Connect))),
        }
    }

    /// A connection at rest.
    pub(super) fn checkout(&self) -> Option<Box<Line>> {
        let now = Instant::now();
        loop {
            let Idle { line, since } = self.idle().pop()?;
            if now.duration_since(since) >= self.limits.idle_timeout {
                // Those below rest longer still. Sockets are closed outside the lock.
                let old = std::mem::take(&mut *self.idle());
                drop(old);
                return None;
            }
            if line.is_ready() {
                return Some(line);
            }
        }
    }

    /// Takes a connection whose answer was read to its end, if another request can be sent on it. A call may have been waited
    /// for on another runtime than the one it was made on, and opened its connection there.
    pub(super) fn checkin(&self, mut line: Box<Line>) {
        if line.runtime == self.runtime && line.rest() {
            let since = Instant::now();
            let mut idle = self.idle();
            if idle.len() < self.limits.max_idle {
                idle.push(Idle { line, since });
            }
        }
    }

    /// Whether it has a connection.
    pub(super) fn is_used(&self) -> bool {
        !self.idle().is_empty() || self.multiplexed.is_open()
    }

    /// Closes what rests too long or was closed by the other side.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        let mut closed = Vec::new();
        let mut idle = self.idle();
        for mut resting in std::mem::take(&mut *idle) {
            if now.duration_since(resting.since) < self.limits.idle_timeout && resting.line.is_alive() {
                idle.push(resting);
            } else {
                closed.push(resting);
            }
        }
        drop(idle);
        drop(closed);
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
