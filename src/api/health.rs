//! How the providers are doing.

use bytes::BytesMut;

use super::Body;
use crate::{
    catalog::Catalog,
    dialect::json,
    stage::{Breaker, Health},
};

/// `/v1/health`: each provider's targets that were called, with breaker, latency and load.
pub(super) fn report(catalog: &Catalog, health: &Health) -> Body {
    let vitals = health.vitals();
    let mut out = BytesMut::new();
    let mut body = json::Object::begin(&mut out);
    // A provider that left the catalogue troubles nobody.
    let troubled = vitals
        .iter()
        .any(|target| target.breaker != Breaker::Closed && catalog.providers().any(|known| known.name.as_str() == &*target.provider));
    body.str("status", if troubled { "degraded" } else { "ok" });
    let mut providers = body.array("providers");
    let mut names: Vec<&str> = catalog.providers().map(|provider| provider.name.as_str()).collect();
    names.sort_unstable();
    for name in names {
        let own = || vitals.iter().filter(|target| &*target.provider == name);
        let mut provider = providers.object();
        let open = own().any(|target| target.breaker != Breaker::Closed);
        provider.str("provider", name).str("status", if open { "degraded" } else { "ok" });
        let mut targets = provider.array("targets");
        for target in own() {
            let mut object = targets.object();
            object.str("model", &target.model).str("breaker", target.breaker.name());
            for (name, latency) in [("p50_ms", target.p50), ("p95_ms", target.p95)] {
                match latency {
                    Some(latency) => object.number(name, u64::try_from(latency.as_millis()).unwrap_or(u64::MAX)),
                    None => object.raw(name, "null"),
                };
            }
            let succeeded = target.calls.saturating_sub(target.failures);
            match (u64::from(succeeded) * 1000).checked_div(u64::from(target.calls)) {
                Some(permille) => object.raw("success_rate", &format!("{}.{:03}", permille / 1000, permille % 1000)),
                None => object.raw("success_rate", "null"),
            };
            object.number("calls", u64::from(target.calls)).number("load", u64::from(target.running));
            object.end();
        }
        targets.end();
        provider.end();
    }
    providers.end();
    body.end();
    out.into()
}
