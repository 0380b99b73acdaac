//! From a call to a plan. Pure.

use std::sync::Arc;

use super::Strategy;
use crate::{
    catalog::{Catalog, Meter, Rate, Resolution, Suffix, Target},
    fault::{Fault, FaultKind},
    stage::{CallFacts, Operation, Plan, Preferences, Principal, Scopes, Sort},
};

/// Plans `call` for `principal`.
///
/// # Errors
/// Unknown, not allowed, or nobody left.
pub(super) fn plan(catalog: &Catalog, strategy: &dyn Strategy, call: &CallFacts, principal: Option<&Principal>) -> Result<Plan, Fault> {
    let wishes = &call.preferences;
    let scopes = principal.map(Principal::scopes);
    let allowed = |allowed: bool, what: &dyn Fn() -> String| {
        if allowed { Ok(()) } else { Err(Fault::new(FaultKind::NotAllowed { what: what() })) }
    };
    if let Some(scopes) = scopes {
        allowed(scopes.allows_operation(call.operation), &|| call.operation.name().to_owned())?;
    }
    let mut targets: Vec<Arc<Target>> = Vec::new();
    // Where each is asked for; `None` is `/model`.
    let places = std::iter::once(None).chain((0..).map(Some));
    for (name, place) in std::iter::once(&call.model).chain(&wishes.models).zip(places) {
        let found = catalog.resolve(name).ok_or_else(|| match place {
            None => FaultKind::UnknownModel { model: printable(name) }.into(),
            place => Fault::invalid(path_of(place), format!("model `{}` is not known here", printable(name))),
        })?;
        if let Some(scopes) = scopes {
            allowed(scopes.allows_model(&found.model.id), &|| format!("model `{}`", found.model.id))?;
        }
        let mut own = found.model.targets.clone();
        strategy.order(call, &found.model, &mut own);
        let mut own = filtered(own, &found, place, call, scopes)?;
        sort(&mut own, wishes, found.suffix);
        // Models keep the order in which they were asked for.
        first_named(&mut own, &wishes.order);
        own.retain(|target| !targets.iter().any(|known| Arc::ptr_eq(known, target)));
        if targets.is_empty() {
            targets = own;
        } else {
            targets.append(&mut own);
        }
    }
    if targets.is_empty() {
        return Err(nobody(call));
    }
    Ok(Plan { targets, fallbacks: wishes.allow_fallbacks.unwrap_or(true) })
}

/// The path of a model's name: `/model`, or one of `/models`.
fn path_of(place: Option<usize>) -> String {
    place.map_or_else(|| "/model".to_owned(), |at| format!("/models/{at}"))
}

/// The targets that can answer, may be used, and are wished for. `place` is where the model is asked for.
fn filtered(
    mut targets: Vec<Arc<Target>>,
    found: &Resolution,
    place: Option<usize>,
    call: &CallFacts,
    scopes: Option<&Scopes>,
) -> Result<Vec<Arc<Target>>, Fault> {
    let wishes = &call.preferences;
    let able = |target: &Arc<Target>| match call.operation {
        Operation::Chat => !target.provider.dialects.is_empty(),
        _ => target.provider.openai_operations,
    };
    targets.retain(able);
    if targets.is_empty() {
        let message = format!("no provider of this model offers {}", call.operation.name());
        return Err(Fault::invalid(path_of(place), message));
    }
    if let Some(scopes) = scopes {
        targets.retain(|target| scopes.allows_provider(&target.provider.name));
    }
    if targets.is_empty() {
        return Err(FaultKind::NotAllowed { what: format!("any provider of model `{}`", found.model.id) }.into());
    }
    let named = |names: &[String], target: &Target| names.iter().any(|name| name == target.provider.name.as_str());
    let wished = |target: &Target| {
        let free = found.suffix != Some(Suffix::Free) || costs_nothing(target);
        let only = wishes.only.is_empty() || named(&wishes.only, target);
        Ok(free && only && !named(&wishes.ignore, target) && affordable(target, wishes)?)
    };
    let mut wrong = None;
    targets.retain(|target| match wished(target) {
        Ok(wished) => wished,
        Err(fault) => {
            wrong.get_or_insert(fault);
            false
        }
    });
    wrong.map_or(Ok(targets), Err)
}

/// Whether `target` is within the caller's highest prices; one without a price is not.
fn affordable(target: &Target, wishes: &Preferences) -> Result<bool, Fault> {
    for (name, most) in &wishes.max_price {
        let path = || format!("/provider/max_price/{name}");
        let meter: Meter = name.parse().map_err(|()| Fault::invalid(path(), "no such meter"))?;
        let most = Rate::parse(most, meter).map_err(|error| Fault::invalid(path(), error.to_string()))?;
        if dearest(target, meter).is_none_or(|rate| rate > most) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A target's highest rate: how long a prompt is counts only once it was asked.
fn dearest(target: &Target, meter: Meter) -> Option<Rate> {
    target.price.as_ref()?.tiers.iter().map(|tier| tier.rate_of(meter)).max()?
}

/// A target's rate for a small call.
fn rate(target: &Target, meter: Meter) -> Option<Rate> {
    target.price.as_ref()?.tier(0)?.rate_of(meter)
}

fn costs_nothing(target: &Target) -> bool {
    [Meter::Input, Meter::Output].into_iter().all(|meter| rate(target, meter) == Some(Rate(0)))
}

/// Orders by what the caller or the name's suffix wishes.
fn sort(targets: &mut [Arc<Target>], wishes: &Preferences, suffix: Option<Suffix>) {
    if wishes.sort == Some(Sort::Price) || suffix == Some(Suffix::Cheap) {
        // An answer is mostly a third of what is asked; what has no price comes last.
        let blend =
            |target: &Arc<Target>| Some(rate(target, Meter::Input)?.0.saturating_mul(3).saturating_add(rate(target, Meter::Output)?.0));
        targets.sort_by_key(|target| blend(target).map_or((true, 0), |price| (false, price)));
    }
}

/// Puts the providers named in `order` before the others, which stay in their own order.
fn first_named(targets: &mut [Arc<Target>], order: &[String]) {
    if !order.is_empty() {
        let rank = |target: &Arc<Target>| order.iter().position(|name| name == target.provider.name.as_str());
        targets.sort_by_key(|target| rank(target).map_or((1, 0), |rank| (0, rank)));
    }
}

/// Says which wish left nobody.
fn nobody(call: &CallFacts) -> Fault {
    let wishes = &call.preferences;
    let path = match wishes {
        _ if !wishes.only.is_empty() => "/provider/only",
        _ if !wishes.ignore.is_empty() => "/provider/ignore",
        _ if !wishes.max_price.is_empty() => "/provider/max_price",
        _ => "/model",
    };
    Fault::invalid(path, "leaves no provider to answer")
}

/// A name of the caller's for a message: short, and of printable characters.
fn printable(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(128).collect()
}
