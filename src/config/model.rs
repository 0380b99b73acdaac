//! `[[models]]`.

use std::collections::BTreeMap;

use super::{
    document::{Field, Section},
    provider::{self, Named},
    settings,
};
use crate::catalog::{CatalogBuilder, CatalogError, Meter, ModelEntry, ModelProblem, Preset, Price, Strategy, TargetEntry, Tier, Timeouts};

/// Where each model of the file stands, by its position.
pub(super) struct Places<'d, 'a>(Vec<Place<'d, 'a>>);

struct Place<'d, 'a> {
    model: Field<'d, 'a>,
    id: Field<'d, 'a>,
    aliases: Vec<Field<'d, 'a>>,
    targets: Vec<TargetPlace<'d, 'a>>,
}

struct TargetPlace<'d, 'a> {
    provider: Field<'d, 'a>,
    model: Field<'d, 'a>,
}

/// What a model's targets are read with.
struct Known<'d> {
    providers: BTreeMap<&'d str, &'static Preset>,
    default: Timeouts,
}

/// Adds the models to the catalogue. `None` if the file has none. `created` is when they were made known.
pub(super) fn read<'d, 'a>(
    root: &mut Section<'d, 'a>,
    providers: &[Named<'d>],
    default: Timeouts,
    created: u64,
    mut catalog: CatalogBuilder,
) -> (CatalogBuilder, Option<Places<'d, 'a>>) {
    let Some(models) = root.take("models") else { return (catalog, None) };
    let providers = providers.iter().map(|provider| (provider.name, provider.preset)).collect();
    let known = Known { providers, default };
    let mut places = Vec::new();
    for field in models.list() {
        if let Some((entry, place)) = model(field, &known) {
            catalog = catalog.model(entry.created(created));
            places.push(place);
        }
    }
    (catalog, Some(Places(places)))
}

impl Places<'_, '_> {
    /// Complains where the catalogue's error belongs.
    pub(super) fn fail(&self, error: &CatalogError) {
        let CatalogError::Model { position, problem, .. } = error else { return };
        let Some(place) = self.0.get(*position) else { return };
        let target = |index: &usize| place.targets.get(*index);
        let field = match problem {
            ModelProblem::AliasTaken { alias, .. } => place.aliases.get(*alias),
            ModelProblem::Dialect { target: index, .. } => target(index).map(|target| &target.model),
            ModelProblem::UnknownProvider { target: index, .. } => target(index).map(|target| &target.provider),
            ModelProblem::Name { name } | ModelProblem::Wildcard { name } => place.called(name),
            ModelProblem::NoTargets => Some(&place.model),
            ModelProblem::DuplicateId => Some(&place.id),
        };
        field.unwrap_or(&place.id).fail(problem.to_string());
    }
}

impl<'d, 'a> Place<'d, 'a> {
    /// The alias or target model that is `name`.
    fn called(&self, name: &str) -> Option<&Field<'d, 'a>> {
        let models = self.targets.iter().map(|target| &target.model);
        std::iter::once(&self.id).chain(&self.aliases).chain(models).find(|field| field.text().as_deref() == Some(name))
    }
}

fn model<'d, 'a>(field: Field<'d, 'a>, known: &Known<'_>) -> Option<(ModelEntry, Place<'d, 'a>)> {
    let mut section = field.section()?;
    let id = section.need("id");
    let name = id.as_ref().and_then(Field::text);
    let aliases = section.take("aliases").map(|field| field.list()).unwrap_or_default();
    let strategy = section.take("strategy").and_then(|field| strategy(&field));
    let owner = section.take("owned_by").and_then(|field| field.text());
    let timeouts = settings::timeouts(&mut section, known.default);
    let targets = section.need("targets").map(|field| field.list());
    let targets: Option<Vec<_>> = targets.map(|list| list.iter().filter_map(|field| target(field, known, timeouts)).collect());
    section.finish();

    let (id, (entries, places)) = (id?, targets?.into_iter().unzip::<_, _, Vec<_>, Vec<_>>());
    let mut entry = ModelEntry::new(name?).strategy(strategy.unwrap_or_default());
    if let Some(owner) = owner {
        entry = entry.owned_by(owner);
    }
    entry = aliases.iter().filter_map(Field::text).fold(entry, ModelEntry::alias);
    entry = entries.into_iter().fold(entry, ModelEntry::target);
    Some((entry, Place { model: field, id, aliases, targets: places }))
}

fn target<'d, 'a>(field: &Field<'d, 'a>, known: &Known<'_>, model: Option<Timeouts>) -> Option<(TargetEntry, TargetPlace<'d, 'a>)> {
    let mut section = field.section()?;
    let provider = section.need("provider");
    let model_field = section.need("model");
    let names = provider.as_ref().and_then(Field::text).zip(model_field.as_ref().and_then(Field::text));
    let preset = names.as_ref().and_then(|(provider, _)| known.providers.get(provider.as_str()));
    // Weights are for a strategy that looks at them.
    section.take("weight").and_then(|field| field.integer(0, 1_000_000));
    let price = section.take("price").and_then(|field| price(&field));
    let dialect = section.take("dialect").and_then(|field| provider::dialect(&field, preset?));
    let own = settings::timeouts(&mut section, model.unwrap_or(known.default)).or(model);
    section.finish();

    let (provider_name, model_name) = names?;
    let mut entry = TargetEntry::new(provider_name, model_name);
    if let Some(price) = price {
        entry = entry.price(price);
    }
    if let Some(dialect) = dialect {
        entry = entry.dialect(dialect);
    }
    if let Some(timeouts) = own {
        entry = entry.timeouts(timeouts);
    }
    Some((entry, TargetPlace { provider: provider?, model: model_field? }))
}

fn strategy(field: &Field<'_, '_>) -> Option<Strategy> {
    let name = field.text()?;
    match name.as_str() {
        "priority" => return Some(Strategy::Priority),
        "weighted" | "cheapest" | "fastest" | "least_busy" | "sticky" => {
            field.fail(format!("`{name}` is not built yet; built is priority"))
        }
        _ => return field.parse("a strategy; known is priority", |_| None),
    }
    None
}

/// A price per meter, or a list of tiers by prompt size.
fn price(field: &Field<'_, '_>) -> Option<Price> {
    let mut section = field.section()?;
    let Some(tiers) = section.take("tiers") else {
        let tier = rates(&mut section, Tier::default());
        section.finish();
        return Some(Price::flat(tier));
    };
    section.finish();
    let mut price = Price::default();
    let list = tiers.list();
    for (index, field) in list.iter().enumerate() {
        let Some(mut section) = field.section() else { continue };
        let limit = section.take("up_to");
        let up_to = limit.as_ref().and_then(|limit| limit.integer(1, i64::MAX as u64));
        let before = price.tiers.last().and_then(|tier| tier.up_to);
        if let (Some(limit), Some(before), Some(now)) = (&limit, before, up_to)
            && now <= before
        {
            limit.fail("tiers ascend: this is not above the one before");
        }
        if up_to.is_none() && limit.is_none() && index + 1 < list.len() {
            section.fail("only the last tier goes without `up_to`");
        }
        let mut tier = rates(&mut section, Tier::default());
        tier.up_to = up_to;
        price.tiers.push(tier);
        section.finish();
    }
    if list.is_empty() {
        tiers.fail("a price has at least one tier");
    }
    Some(price)
}

fn rates(section: &mut Section<'_, '_>, tier: Tier) -> Tier {
    Meter::ALL.into_iter().fold(tier, |tier, meter| match section.take(meter.name()).and_then(|field| field.rate(meter)) {
        Some(rate) => tier.rate(meter, rate),
        None => tier,
    })
}
