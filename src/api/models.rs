//! Which models there are.

use std::sync::Arc;

use bytes::BytesMut;
use http::request::Parts;

use super::{Answer, page::Page, query};
use crate::{
    catalog::{Catalog, Meter, Model, Picodollars},
    dialect::json::{Array, Object},
    fault::{Fault, FaultKind},
    stage::{Operation, Principal},
};

/// Answers `/v1/models` and its aliases; `?model_id=` asks for one.
pub(super) fn list(catalog: &Catalog, parts: &Parts, principal: Option<&Principal>) -> Answer {
    if let Some(id) = query::value(&parts.uri, "model_id") {
        return single(catalog, &id, parts, principal);
    }
    let anthropic_client = is_anthropic(parts);
    let asked = if anthropic_client { Page::by_cursor(&parts.uri) } else { Page::numbered(&parts.uri) }?;
    let filter = Filter::of(parts);
    let all: Vec<&Arc<Model>> =
        catalog.models().filter(|model| is_concrete(model) && may_see(principal, model) && filter.matches(model)).collect();
    let (page, has_more) = asked.of(&all, |model| model.id.as_str())?;
    let page = || page.iter().map(|model| &***model);
    let mut out = BytesMut::new();
    let mut body = Object::begin(&mut out);
    if anthropic_client {
        list_of(body.array("data"), page(), anthropic);
        for (name, model) in [("first_id", page().next()), ("last_id", page().next_back())] {
            match model {
                Some(model) => body.str(name, model.id.as_str()),
                None => body.raw(name, "null"),
            };
        }
        body.bool("has_more", has_more);
    } else {
        let total = all.len();
        body.str("object", "list");
        list_of(body.array("data"), page(), openai);
        // Not asked for, the limit is what there is.
        body.bool("ok", true).number("limit", asked.limit.unwrap_or(total) as u64);
        body.number("offset", asked.offset as u64).number("total", total as u64);
        list_of(body.array("models"), page(), full);
    }
    body.end();
    Ok(out.into())
}

/// Answers `/v1/models/{id}`.
pub(super) fn one(catalog: &Catalog, parts: &Parts, principal: Option<&Principal>) -> Answer {
    let id = parts.uri.path().strip_prefix("/v1/models/").unwrap_or_default();
    single(catalog, &query::path(id), parts, principal)
}

fn single(catalog: &Catalog, id: &str, parts: &Parts, principal: Option<&Principal>) -> Answer {
    let found = catalog.resolve(id).filter(|found| may_see(principal, &found.model));
    let model = found.ok_or_else(|| Fault::new(FaultKind::UnknownModel { model: id.chars().take(256).collect() }))?.model;
    let mut out = BytesMut::new();
    let mut body = Object::begin(&mut out);
    if is_anthropic(parts) {
        anthropic(&mut body, &model);
    } else {
        openai(&mut body, &model);
        details(&mut body, &model);
    }
    body.end();
    Ok(out.into())
}

/// The filters of a list's query.
struct Filter {
    endpoint: Option<String>,
    organisation: Option<String>,
    input_type: Option<String>,
    output_type: Option<String>,
    params: Option<String>,
}

impl Filter {
    fn of(parts: &Parts) -> Self {
        let value = |name| query::value(&parts.uri, name);
        Self {
            endpoint: value("endpoints"),
            organisation: value("organisation"),
            input_type: value("input_types"),
            output_type: value("output_types"),
            params: value("params"),
        }
    }

    fn matches(&self, model: &Model) -> bool {
        let any_of = |wanted: &Option<String>, has: &[&str]| {
            wanted.as_ref().is_none_or(|wanted| wanted.split(',').map(str::trim).any(|wanted| has.contains(&wanted)))
        };
        let all_of = |wanted: &Option<String>, has: &[&str]| {
            wanted.as_ref().is_none_or(|wanted| wanted.split(',').map(str::trim).all(|wanted| has.contains(&wanted)))
        };
        any_of(&self.endpoint, &endpoints(model))
            && any_of(&self.organisation, &[&model.owned_by])
            && all_of(&self.input_type, input_types(model))
            && all_of(&self.output_type, OUTPUT_TYPES)
            && all_of(&self.params, PARAMS)
    }
}

/// What one of its targets takes.
fn input_types(model: &Model) -> &'static [&'static str] {
    if model.targets.iter().any(|target| target.capabilities.image_input) { &["text", "image"] } else { &["text"] }
}

/// What the catalogue knows of every chat model.
const OUTPUT_TYPES: &[&str] = &["text"];
const PARAMS: &[&str] = &["max_tokens", "response_format", "stop", "stream", "temperature", "tool_choice", "tools", "top_p"];

/// The operations that a provider of the model offers.
fn endpoints(model: &Model) -> Vec<&'static str> {
    let chat = model.targets.iter().any(|target| !target.provider.dialects.is_empty());
    let others = model.targets.iter().any(|target| target.provider.openai_operations);
    let mut list = Vec::new();
    list.extend(chat.then_some(Operation::Chat.name()));
    if others {
        list.extend([Operation::Embeddings, Operation::Images, Operation::Moderations].map(Operation::name));
    }
    list
}

fn is_concrete(model: &Model) -> bool {
    !model.id.as_str().contains('*')
}

fn may_see(principal: Option<&Principal>, model: &Model) -> bool {
    principal.is_none_or(|principal| {
        let scopes = principal.scopes();
        scopes.allows_model(&model.id) && model.targets.iter().any(|target| scopes.allows_provider(&target.provider.name))
    })
}

/// Whether an Anthropic client asks.
fn is_anthropic(parts: &Parts) -> bool {
    parts.headers.contains_key("anthropic-version")
}

fn list_of<'m>(mut list: Array<'_>, models: impl Iterator<Item = &'m Model>, write: fn(&mut Object<'_>, &Model)) {
    for model in models {
        let mut object = list.object();
        write(&mut object, model);
        object.end();
    }
    list.end();
}

/// OpenAI's `Model`.
fn openai(object: &mut Object<'_>, model: &Model) {
    object.str("id", model.id.as_str()).str("object", "model").number("created", model.created).str("owned_by", &model.owned_by);
}

/// Anthropic's `ModelInfo`.
fn anthropic(object: &mut Object<'_>, model: &Model) {
    let created = jiff::Timestamp::from_second(i64::try_from(model.created).unwrap_or_default()).unwrap_or_default();
    object.str("type", "model").str("id", model.id.as_str()).str("display_name", model.id.as_str());
    // What a configuration names is in use.
    object.str("created_at", &created.to_string()).str("lifecycle", "active");
}

/// All that may be told.
fn full(object: &mut Object<'_>, model: &Model) {
    object.str("id", model.id.as_str()).number("created", model.created);
    details(object, model);
}

fn details(object: &mut Object<'_>, model: &Model) {
    object.str("organisation", &model.owned_by);
    strings(object.array("aliases"), model.aliases.iter().map(|alias| alias.as_str()));
    strings(object.array("endpoints"), endpoints(model).into_iter());
    strings(object.array("input_types"), input_types(model).iter().copied());
    strings(object.array("output_types"), OUTPUT_TYPES.iter().copied());
    let mut providers = object.array("providers");
    for target in &model.targets {
        let mut provider = providers.object();
        provider.str("provider", target.provider.name.as_str()).str("model", &target.model);
        let mut price = provider.object("price");
        for (meter, rate) in target
            .price
            .iter()
            .filter_map(|price| price.tier(0))
            .flat_map(|tier| Meter::ALL.into_iter().filter_map(|meter| tier.rate_of(meter).map(|rate| (meter, rate))))
        {
            let unit = if meter.per_million() { 1_000_000 } else { 1 };
            price.str(meter.name(), &Picodollars(u128::from(rate.0) * unit).to_string());
        }
        price.end();
        provider.end();
    }
    providers.end();
}

fn strings<'t>(mut list: Array<'_>, texts: impl Iterator<Item = &'t str>) {
    for text in texts {
        crate::dialect::json::string(list.item(), text);
    }
    list.end();
}
