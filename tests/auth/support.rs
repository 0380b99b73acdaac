//! A store that counts, fails and stalls; a clock that is set by hand.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use portcullis::{
    auth::{
        AuthLayer, CachedKeys, Clock, KeyAdmin, KeyAudit, KeyChange, KeyChanges, KeyFuture, KeyRecord, KeyRegister, KeyRegisterError,
        KeyStore, KeyStoreError, KeyText, KeyUse, MemoryKeys, NewKey, Pepper,
    },
    stage::KeyId,
};
use tokio::sync::Notify;
use tower::{Layer, ServiceExt};

pub const SECRET: &str = "secretBBBB1111secretBBBB1111secretBBBB11";
pub const KEY: &str = "aistats_v1_k_kidAAAA00001_secretBBBB1111secretBBBB1111secretBBBB11";
pub const OTHER: &str = "aistats_v1_k_kidAAAA00002_secretCCCC1111secretCCCC1111secretCCCC11";
pub const MANAGEMENT: &str = "aistats_v1_mk_kidAAAA00003_secretDDDD1111secretDDDD1111secretDDDD11";

pub fn pepper() -> Pepper {
    Pepper::new("pepper-for-tests").unwrap()
}

/// A store in memory that counts what it is asked, and misbehaves on demand.
#[derive(Clone, Default)]
pub struct Store {
    pub keys: MemoryKeys,
    pub state: Arc<State>,
}

#[derive(Default)]
pub struct State {
    pub finds: AtomicUsize,
    pub uses: AtomicUsize,
    /// Answers nothing but errors.
    pub broken: AtomicBool,
    /// Holds the answers of `find`, read already, until told.
    pub held: AtomicBool,
    pub release: Notify,
}

impl Store {
    pub fn finds(&self) -> usize {
        self.state.finds.load(Ordering::SeqCst)
    }

    pub fn breaks(&self, broken: bool) {
        self.state.broken.store(broken, Ordering::SeqCst);
    }

    pub fn holds(&self, held: bool) {
        self.state.held.store(held, Ordering::SeqCst);
    }

    pub fn cached(&self) -> CachedKeys {
        CachedKeys::new(self.clone(), pepper())
    }

    pub fn admin(&self) -> KeyAdmin {
        KeyAdmin::new(self.clone(), pepper())
    }

    fn answer(&self) -> Result<(), KeyStoreError> {
        if self.state.broken.load(Ordering::SeqCst) { Err(KeyStoreError::new("the disk is gone")) } else { Ok(()) }
    }
}

impl KeyStore for Store {
    fn find<'a>(&'a self, kid: &'a KeyId) -> KeyFuture<'a, Result<Option<KeyRecord>, KeyStoreError>> {
        self.state.finds.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            self.answer()?;
            let record = self.keys.find(kid).await;
            if self.state.held.load(Ordering::SeqCst) {
                self.state.release.notified().await;
            }
            record
        })
    }

    fn changes(&self, since: Option<u64>) -> KeyFuture<'_, Result<KeyChanges, KeyStoreError>> {
        Box::pin(async move {
            self.answer()?;
            self.keys.changes(since).await
        })
    }

    fn used(&self, uses: Vec<KeyUse>) -> KeyFuture<'_, Result<(), KeyStoreError>> {
        self.state.uses.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            self.answer()?;
            self.keys.used(uses).await
        })
    }
}

impl KeyRegister for Store {
    fn apply(&self, change: KeyChange) -> KeyFuture<'_, Result<KeyRecord, KeyRegisterError>> {
        self.keys.apply(change)
    }

    fn list<'a>(&'a self, workspace: Option<&'a str>) -> KeyFuture<'a, Result<Vec<KeyRecord>, KeyStoreError>> {
        self.keys.list(workspace)
    }

    fn audit<'a>(&'a self, kid: &'a KeyId) -> KeyFuture<'a, Result<Vec<KeyAudit>, KeyStoreError>> {
        self.keys.audit(kid)
    }
}

/// A store that holds [`KEY`], [`OTHER`] and [`MANAGEMENT`].
pub async fn store() -> Store {
    let store = Store::default();
    for (name, text) in [("ci", KEY), ("other", OTHER), ("admin", MANAGEMENT)] {
        store.admin().insert(NewKey::named(name), text, "test").await.unwrap();
    }
    store
}

/// Whether `keys` lets `text` through.
pub async fn opens(keys: &CachedKeys, text: &str) -> Result<(), &'static str> {
    let key = keys.format().parse(text).unwrap();
    keys.check(key, key.kind()).await.map(drop).map_err(|fault| fault.code())
}

pub fn kid(text: &str) -> KeyId {
    text.split('_').nth(3).unwrap().into()
}

pub async fn create(admin: &KeyAdmin, name: &str) -> (KeyText, KeyRecord) {
    admin.create(NewKey::named(name), "test").await.unwrap()
}

/// What a request with these headers gets from a service behind `layer` that answers with the headers it saw.
pub async fn ask(layer: &AuthLayer, path: &str, headers: &[(&str, &[u8])]) -> Response<Bytes> {
    let mut request = Request::post(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let response = layer.layer(Echo).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
}

/// Answers with the request's headers and extensions.
#[derive(Clone, Debug)]
pub struct Echo;

impl<B> tower::Service<Request<B>> for Echo {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let mut response = Response::new(Full::default());
        *response.headers_mut() = request.headers().clone();
        *response.extensions_mut() = request.extensions().clone();
        std::future::ready(Ok(response))
    }
}

/// A calendar set by hand, in milliseconds.
#[derive(Clone, Default)]
pub struct Calendar(Arc<AtomicU64>);

impl Calendar {
    pub fn at(millis: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
    }

    pub fn set(&self, millis: u64) {
        self.0.store(millis, Ordering::SeqCst);
    }

    pub fn clock(&self) -> impl Clock + use<> {
        let this = self.clone();
        move || Self::at(this.0.load(Ordering::SeqCst))
    }
}
