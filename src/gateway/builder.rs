//! Puts the layers into their order.

use std::{
    convert::Infallible,
    fmt,
    marker::PhantomData,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower::{BoxError, Layer, ServiceBuilder};
use tower_service::Service;

use super::{
    body::{GatewayBody, InFlight},
    dispatch::Dispatch,
    driver::{Chore, Driver},
    service::{Gateway, GatewayRequest, Keyed, Shared},
    template::Template,
};
use crate::{
    api::{Api, Records},
    auth::{AuthLayer, CachedKeys},
    catalog::Catalogs,
    meter::{Ledger, MeterLayer},
    normalize::NormalizeLayer,
    retry::{RetryLayer, RetryPolicy},
    route::RouteLayer,
    stage::{Health, Outgoing, Watchdog},
    translate::TranslateLayer,
};

/// Nobody has said yet who may call: [`keys`](GatewayBuilder::keys) or [`open`](GatewayBuilder::open).
#[derive(Debug)]
pub enum NeedsAuth {}
/// Nobody has said yet where records go: [`ledger`](GatewayBuilder::ledger) or [`unmetered`](GatewayBuilder::unmetered).
#[derive(Debug)]
pub enum NeedsLedger {}
/// It was said.
#[derive(Debug)]
pub enum Ready {}

/// Assembles a [`Gateway`] and its [`Driver`].
#[must_use]
pub struct GatewayBuilder<Auth = NeedsAuth, Records = NeedsLedger> {
    parts: Parts,
    state: PhantomData<fn() -> (Auth, Records)>,
}

struct Parts {
    catalogs: Catalogs,
    keys: Option<CachedKeys>,
    ledger: Option<Arc<dyn Ledger>>,
    records: Option<Arc<dyn Records>>,
    normalize: NormalizeLayer,
    meter: Box<dyn FnOnce(MeterLayer) -> MeterLayer + Send>,
    retry: RetryPolicy,
    translate: TranslateLayer,
    chores: Vec<(Duration, Box<dyn Chore>)>,
    drain: Duration,
}

/// How often the key stores are asked what changed: a paused key stops working within a second.
const KEYS_EVERY: Duration = Duration::from_millis(250);

impl GatewayBuilder {
    pub(super) fn new(catalogs: Catalogs) -> Self {
        let parts = Parts {
            catalogs,
            keys: None,
            ledger: None,
            records: None,
            normalize: NormalizeLayer::new(),
            meter: Box::new(|layer| layer),
            retry: RetryPolicy::new(),
            translate: TranslateLayer::new(),
            chores: Vec::new(),
            drain: Duration::from_secs(30),
        };
        Self { parts, state: PhantomData }
    }
}

impl<L> GatewayBuilder<NeedsAuth, L> {
    /// Whoever holds one of `keys` may call.
    pub fn keys(mut self, keys: CachedKeys) -> GatewayBuilder<Ready, L> {
        let asked = keys.clone();
        self.parts.keys = Some(keys);
        self.into_state().every(KEYS_EVERY, move || {
            let keys = asked.clone();
            async move {
                // It says itself, once, when the store does not answer.
                let _ = keys.refresh().await;
            }
        })
    }

    /// Everybody may call, anonymously or as the [`Principal`](crate::stage::Principal) that the host puts into the extensions.
    pub fn open(self) -> GatewayBuilder<Ready, L> {
        self.into_state()
    }
}

impl<A> GatewayBuilder<A, NeedsLedger> {
    /// Each call's record goes to `ledger`.
    pub fn ledger(mut self, ledger: impl Ledger) -> GatewayBuilder<A, Ready> {
        self.parts.ledger = Some(Arc::new(ledger));
        self.into_state()
    }

    /// Calls leave no record.
    pub fn unmetered(self) -> GatewayBuilder<A, Ready> {
        self.into_state()
    }
}

impl<A, L> GatewayBuilder<A, L> {
    /// Where `/v1/generations` reads records.
    pub fn records(mut self, records: impl Records) -> Self {
        self.parts.records = Some(Arc::new(records));
        self
    }

    /// How requests are read. Default: [`NormalizeLayer::new`].
    pub fn normalize(mut self, layer: NormalizeLayer) -> Self {
        self.parts.normalize = layer;
        self
    }

    /// Changes how calls are metered.
    pub fn meter(mut self, change: impl FnOnce(MeterLayer) -> MeterLayer + Send + 'static) -> Self {
        self.parts.meter = Box::new(change);
        self
    }

    /// How often and how long to try. Default: [`RetryPolicy::new`].
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.parts.retry = policy;
        self
    }

    /// How calls are translated. Default: [`TranslateLayer::new`]. Its watchdog becomes the driver's.
    pub fn translate(mut self, layer: TranslateLayer) -> Self {
        self.parts.translate = layer;
        self
    }

    /// Work that the driver does each `period` (a millisecond at least), and once more when it ends.
    pub fn every(mut self, period: Duration, chore: impl Chore) -> Self {
        self.parts.chores.push((period.max(Duration::from_millis(1)), Box::new(chore)));
        self
    }

    /// How long running answers may go on once a shutdown began. Default: 30 s.
    pub fn drain(mut self, deadline: Duration) -> Self {
        self.parts.drain = deadline;
        self
    }

    fn into_state<A2, L2>(self) -> GatewayBuilder<A2, L2> {
        GatewayBuilder { parts: self.parts, state: PhantomData }
    }
}

impl GatewayBuilder<Ready, Ready> {
    /// The gateway, sending its requests through `transport`, and the driver to spawn.
    pub fn build<T, B>(self, transport: T) -> (Gateway, Driver)
    where
        T: Service<Request<Outgoing>, Response = Response<B>> + Clone + Send + Sync + 'static,
        T::Error: Into<BoxError> + 'static,
        T::Future: Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let Parts { catalogs, keys, ledger, records, normalize, meter, retry, translate, chores, drain } = self.parts;
        let (health, watchdog) = (Health::new(), Watchdog::new());
        let api = Arc::new(Api { catalogs: catalogs.clone(), health: health.clone(), records });
        let routed = ServiceBuilder::new()
            .layer(RouteLayer::new(catalogs))
            .layer(RetryLayer::new(retry).health(health))
            .layer(translate.watchdog(watchdog.clone()))
            .service(transport);
        // The one fork in the stack: with a meter or without.
        let keyed = match ledger {
            Some(ledger) => keyed(keys, &api, normalize.layer(Template::new(meter(MeterLayer::new(ledger)).layer(routed)))),
            None => keyed(keys, &api, normalize.layer(Template::new(routed))),
        };
        let shared = Shared { api, in_flight: InFlight::default(), draining: AtomicBool::new(false), aborted: Arc::default(), watchdog };
        let gateway = Gateway { keyed, shared: Arc::new(shared) };
        let driver = Driver::new(gateway.clone(), chores, drain);
        (gateway, driver)
    }
}

/// The way through auth, if there are keys.
fn keyed<C, B>(keys: Option<CachedKeys>, api: &Arc<Api>, calls: C) -> Keyed
where
    C: Service<GatewayRequest, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
    C::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let dispatch = Dispatch { api: api.clone(), calls };
    match keys {
        Some(keys) => erased(AuthLayer::new(keys).layer(dispatch)),
        None => erased(dispatch),
    }
}

/// Hides a service's types: the one place where a call's future and body are erased.
fn erased<S, B>(service: S) -> Keyed
where
    S: Service<GatewayRequest, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    use tower::ServiceExt;
    let service = service.map_response(|response: Response<B>| response.map(GatewayBody::new));
    Arc::new(move |request| Box::pin(service.clone().call(request)))
}

impl<A, L> fmt::Debug for GatewayBuilder<A, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewayBuilder").field("catalogs", &self.parts.catalogs).finish_non_exhaustive()
    }
}
