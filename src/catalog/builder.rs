//! Making a catalogue, and refusing a wrong one.

use std::{collections::hash_map::Entry, sync::Arc};

use foldhash::HashMap;

use super::{
    Catalog, CatalogError, Model, ModelEntry, ModelId, ModelProblem, Provider, ProviderId, Target, TargetEntry, preset, resolve::Wildcard,
};

/// Makes a [`Catalog`].
#[derive(Debug, Default)]
#[must_use]
pub struct CatalogBuilder {
    providers: Vec<Arc<Provider>>,
    models: Vec<ModelEntry>,
}

impl CatalogBuilder {
    /// Adds a provider.
    pub fn provider(mut self, provider: impl Into<Arc<Provider>>) -> Self {
        self.providers.push(provider.into());
        self
    }

    /// Adds a model.
    pub fn model(mut self, model: ModelEntry) -> Self {
        self.models.push(model);
        self
    }

    /// The catalogue. Takes time linear in its size.
    ///
    /// # Errors
    /// The first thing that is wrong, and where.
    pub fn build(self) -> Result<Catalog, CatalogError> {
        let mut catalog = Catalog::default();
        for provider in self.providers {
            let name = provider.name.clone();
            if catalog.providers.insert(name.clone(), provider).is_some() {
                return Err(CatalogError::DuplicateProvider { provider: name });
            }
        }
        let models = self.models;
        for (position, entry) in models.iter().enumerate() {
            add(&mut catalog, entry).map_err(|problem| CatalogError::Model { position, id: entry.id.clone(), problem })?;
        }
        add_aliases(&mut catalog, &models)?;
        add_bare_names(&mut catalog);
        catalog.wildcards.finish();
        Ok(catalog)
    }
}

/// Adds a model by its id, and its targets for pins.
fn add(catalog: &mut Catalog, entry: &ModelEntry) -> Result<(), ModelProblem> {
    let wild = check_names(entry)?;
    if entry.targets.is_empty() {
        return Err(ModelProblem::NoTargets);
    }
    let targets = entry.targets.iter().enumerate().map(|(index, target)| join(catalog, &entry.id, index, target));
    let targets = targets.collect::<Result<Vec<_>, _>>()?;
    let owner = || match entry.id.as_str().split_once('/') {
        Some((owner, _)) => owner.into(),
        None => targets.first().map_or_else(|| "".into(), |target| target.provider.kind.clone()),
    };
    let model = Arc::new(Model {
        id: entry.id.clone(),
        aliases: entry.aliases.clone(),
        strategy: entry.strategy,
        created: entry.created,
        owned_by: entry.owned_by.clone().unwrap_or_else(owner),
        targets,
    });
    if wild {
        let fixed = entry.targets.iter().map(|target| target.capabilities.clone()).collect();
        let wildcard = Wildcard { model: model.clone(), capabilities: fixed, whole: false };
        if !catalog.wildcards.insert(entry.id.as_str(), wildcard.clone()) {
            return Err(ModelProblem::DuplicateId);
        }
        for pattern in &entry.patterns {
            // The first model keeps a pattern.
            catalog.wildcards.insert(pattern, Wildcard { whole: true, ..wildcard.clone() });
        }
        catalog.wild.push(model);
        return Ok(());
    }
    let Entry::Vacant(vacant) = catalog.names.entry(entry.id.clone()) else {
        return Err(ModelProblem::DuplicateId);
    };
    vacant.insert(model.clone());
    for target in &model.targets {
        let pins = catalog.pins.entry(target.provider.name.clone()).or_default();
        pins.entry(target.model.clone()).or_insert_with(|| model.only(target));
    }
    catalog.models.push(model);
    Ok(())
}

/// Whether the model is a wildcard.
fn check_names(entry: &ModelEntry) -> Result<bool, ModelProblem> {
    let wild = entry.id.as_str().ends_with('*');
    let check = |name: &str, star: bool| {
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ModelProblem::Name { name: name.into() });
        }
        let stars = name.matches('*').count();
        let well = if star { stars == 1 && name.ends_with('*') } else { stars == 0 };
        if well { Ok(()) } else { Err(ModelProblem::Wildcard { name: name.into() }) }
    };
    check(entry.id.as_str(), wild)?;
    entry.aliases.iter().try_for_each(|alias| check(alias.as_str(), wild))?;
    entry.patterns.iter().try_for_each(|pattern| check(pattern, true))?;
    for target in &entry.targets {
        // A target's `*` may stand anywhere, as in `models/*-latest`.
        let (stars, plain) = (target.model.matches('*').count(), target.model.replacen('*', "x", 1));
        if stars > usize::from(wild) {
            return Err(ModelProblem::Wildcard { name: target.model.clone() });
        }
        check(&plain, false)?;
    }
    Ok(wild)
}

/// Joins a target with its provider.
fn join(catalog: &Catalog, id: &ModelId, index: usize, entry: &TargetEntry) -> Result<Arc<Target>, ModelProblem> {
    let Some(provider) = catalog.providers.get(&entry.provider) else {
        return Err(ModelProblem::UnknownProvider { target: index, provider: entry.provider.clone() });
    };
    if let Some(dialect) = entry.dialect
        && !provider.dialects.iter().any(|spoken| spoken.name() == dialect.name())
    {
        return Err(ModelProblem::Dialect { target: index, dialect: dialect.name() });
    }
    let by_preset = || Arc::new(preset::capabilities(&provider.kind, &entry.model));
    Ok(Arc::new(Target {
        provider: provider.clone(),
        model: entry.model.clone(),
        id: id.clone(),
        price: entry.price.clone(),
        capabilities: entry.capabilities.clone().unwrap_or_else(by_preset),
        dialect: entry.dialect,
        timeouts: entry.timeouts.unwrap_or(provider.timeouts),
    }))
}

/// Adds aliases, once every id is known.
fn add_aliases(catalog: &mut Catalog, models: &[ModelEntry]) -> Result<(), CatalogError> {
    for (position, entry) in models.iter().enumerate() {
        for (index, alias) in entry.aliases.iter().enumerate() {
            let free = match catalog.names.get(&entry.id).cloned() {
                Some(model) => match catalog.names.entry(alias.clone()) {
                    Entry::Vacant(vacant) => {
                        vacant.insert(model);
                        true
                    }
                    Entry::Occupied(_) => false,
                },
                None => catalog.wildcards.alias(entry.id.as_str(), alias.as_str()),
            };
            if !free {
                let problem = ModelProblem::AliasTaken { alias: index, name: alias.clone() };
                return Err(CatalogError::Model { position, id: entry.id.clone(), problem });
            }
        }
    }
    Ok(())
}

/// Adds the bare names that mean one model only, where no model has them as its id or alias.
fn add_bare_names(catalog: &mut Catalog) {
    let mut bare: HashMap<&str, Option<&Arc<Model>>> = HashMap::default();
    for (name, model) in &catalog.names {
        let Some((_, after_first)) = name.as_str().split_once('/') else { continue };
        let after_last = after_first.rsplit_once('/').map(|(_, last)| last);
        for part in [Some(after_first), after_last].into_iter().flatten().filter(|part| !part.is_empty()) {
            let one = bare.entry(part).or_insert(Some(model));
            if one.is_some_and(|one| !Arc::ptr_eq(one, model)) {
                *one = None;
            }
        }
    }
    let found: Vec<_> = bare
        .into_iter()
        .filter(|(name, _)| !catalog.names.contains_key(*name))
        .filter_map(|(name, model)| Some((ModelId::from(name), model?.clone())))
        .collect();
    catalog.names.extend(found);
}

impl Catalog {
    /// Starts a catalogue.
    pub fn builder() -> CatalogBuilder {
        CatalogBuilder::default()
    }

    /// The provider called `name`.
    pub fn provider(&self, name: &str) -> Option<&Arc<Provider>> {
        self.providers.get(name)
    }

    /// The providers, in no order.
    pub fn providers(&self) -> impl ExactSizeIterator<Item = &Arc<Provider>> {
        self.providers.values()
    }

    /// The models that have a name of their own, in the configured order.
    pub fn models(&self) -> impl ExactSizeIterator<Item = &Arc<Model>> {
        self.models.iter()
    }

    /// The models of many names, in the configured order: `*` stands in their ids and targets.
    pub fn wildcards(&self) -> impl ExactSizeIterator<Item = &Arc<Model>> {
        self.wild.iter()
    }
}

impl Model {
    /// The same model, at one of its targets only.
    pub(super) fn only(self: &Arc<Self>, target: &Arc<Target>) -> Arc<Self> {
        if self.targets.len() == 1 { self.clone() } else { Arc::new(Self { targets: vec![target.clone()], ..(**self).clone() }) }
    }
}

/// Providers by name.
pub(super) type Providers = HashMap<ProviderId, Arc<Provider>>;
