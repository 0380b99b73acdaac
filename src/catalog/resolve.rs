//! From a name to a model.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use foldhash::HashMap;

use super::{Model, ModelId, ProviderId, Target, builder::Providers, preset};
use crate::dialect::Capabilities;

/// What can be asked, of whom, and what it costs: an immutable snapshot.
///
/// A name is looked for in this order: a model's id, an alias, a bare name that only one model has (`gpt-4.1` finds
/// `openai/gpt-4.1`), the longest wildcard (`openai/*`), a pin (`openai:gpt-4.1`, where what stands before the first colon
/// is a provider), and, where the whole is unknown, the rest before a [`Suffix`]. Ids may hold colons themselves.
///
/// ```
/// use portcullis::catalog::{Catalog, ModelEntry, Preset, TargetEntry};
///
/// let catalog = Catalog::builder()
///     .provider(Preset::DEMO.account("demo").build()?)
///     .model(ModelEntry::new("demo/echo").alias("parrot").target(TargetEntry::new("demo", "echo")))
///     .build()?;
/// for name in ["demo/echo", "parrot", "echo", "demo:echo", "echo:fast"] {
///     let found = catalog.resolve(name).expect("each names the same model");
///     assert_eq!(found.model.id.as_str(), "demo/echo");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Default)]
pub struct Catalog {
    pub(super) providers: Providers,
    /// The models in their configured order.
    pub(super) models: Vec<Arc<Model>>,
    /// Models by id, alias and bare name: each name is here once, so the order of the search is the order of insertion.
    pub(super) names: HashMap<ModelId, Arc<Model>>,
    /// Configured targets by provider and the provider's model name.
    pub(super) pins: HashMap<ProviderId, HashMap<Arc<str>, Arc<Model>>>,
    /// The models of many names, in their configured order.
    pub(super) wild: Vec<Arc<Model>>,
    pub(super) wildcards: Wildcards,
    /// Models that were made for a name, so that a second call finds the same targets.
    made: Mutex<HashMap<Box<str>, Resolution>>,
}

/// What a name means.
#[derive(Clone, Debug)]
pub struct Resolution {
    /// The model.
    pub model: Arc<Model>,
    /// What the name's suffix wishes.
    pub suffix: Option<Suffix>,
    /// Whether the name fixed the provider: `provider:model`.
    pub pinned: bool,
}

/// A wish at the end of a model's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Suffix {
    /// `:cheap`: the cheapest target first.
    Cheap,
    /// `:fast`: the fastest target first. Taken off the name; no order by speed is built yet, so it changes none.
    Fast,
    /// `:free`: only targets that cost nothing.
    Free,
}

/// Models of many names.
#[derive(Debug, Default)]
pub(super) struct Wildcards {
    /// By the part before the `*`.
    by_prefix: HashMap<Box<str>, Wildcard>,
    /// The lengths that prefixes have, longest first.
    lengths: Vec<usize>,
}

/// A model of many names: `*` in its id and its targets' models stands for a part of the name.
#[derive(Clone, Debug)]
pub(super) struct Wildcard {
    pub(super) model: Arc<Model>,
    /// Per target, what it can do, where somebody said so.
    pub(super) capabilities: Arc<[Option<Arc<Capabilities>>]>,
    /// Whether `*` stands for the whole name, or for what follows the prefix.
    pub(super) whole: bool,
}

/// How many made models a catalogue keeps.
const MADE: usize = 1024;
/// The longest name for which a model is made.
const LONGEST: usize = 256;

impl Catalog {
    /// The model that `name` means.
    pub fn resolve(&self, name: &str) -> Option<Resolution> {
        self.find(name).or_else(|| {
            let (stem, suffix) = Suffix::split(name)?;
            self.find(stem).map(|found| Resolution { suffix: Some(suffix), ..found })
        })
    }

    fn find(&self, name: &str) -> Option<Resolution> {
        if let Some(model) = self.names.get(name) {
            return Some(Resolution::of(model.clone()));
        }
        if let Some(found) = self.made().get(name) {
            return Some(found.clone());
        }
        let sound = name.len() <= LONGEST && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'*');
        let found = sound.then(|| self.wild(name).map(Resolution::of).or_else(|| self.pinned(name)))??;
        let mut made = self.made();
        if made.len() >= MADE {
            made.clear();
        }
        made.insert(name.into(), found.clone());
        Some(found)
    }

    /// The model of the longest wildcard that `name` begins like.
    fn wild(&self, name: &str) -> Option<Arc<Model>> {
        let (wildcard, rest) = self.wildcards.find(name)?;
        let rest = if wildcard.whole { name } else { rest };
        let id = ModelId::from(wildcard.model.id.as_str().replacen('*', rest, 1));
        // A model that was configured with this id has its own price: it is not made anew.
        Some(self.names.get(&id).cloned().unwrap_or_else(|| Arc::new(wildcard.make(id, rest))))
    }

    /// The model at a provider: as configured, else by what the name after the colon means, else as it stands.
    fn pinned(&self, name: &str) -> Option<Resolution> {
        let (provider, rest) = name.split_once(':').filter(|(_, rest)| !rest.is_empty())?;
        let provider = self.providers.get(provider)?;
        let configured = self.pins.get(&provider.name).and_then(|pins| pins.get(rest)).cloned();
        let there = |model: Arc<Model>| {
            let target = model.targets.iter().find(|target| target.provider.name == provider.name)?;
            Some(model.only(target))
        };
        let named = |name: &str| self.names.get(name).cloned().or_else(|| self.wild(name)).and_then(there);
        let id = format!("{}/{rest}", provider.name);
        let model = configured.or_else(|| named(rest)).or_else(|| named(&id)).unwrap_or_else(|| {
            let id = ModelId::from(id);
            let target = Target {
                provider: provider.clone(),
                model: rest.into(),
                id: id.clone(),
                price: None,
                capabilities: Arc::new(preset::capabilities(&provider.kind, rest)),
                dialect: None,
                timeouts: provider.timeouts,
            };
            let (targets, owned_by) = (vec![Arc::new(target)], provider.kind.clone());
            Arc::new(Model { id, aliases: Vec::new(), strategy: Default::default(), targets, created: 0, owned_by })
        });
        Some(Resolution { pinned: true, ..Resolution::of(model) })
    }

    fn made(&self) -> std::sync::MutexGuard<'_, HashMap<Box<str>, Resolution>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resolution {
    fn of(model: Arc<Model>) -> Self {
        Self { model, suffix: None, pinned: false }
    }
}

impl Suffix {
    /// Takes a known suffix off a name.
    fn split(name: &str) -> Option<(&str, Self)> {
        let (stem, suffix) = name.rsplit_once(':')?;
        let suffix = match suffix {
            "cheap" => Self::Cheap,
            "fast" => Self::Fast,
            "free" => Self::Free,
            _ => return None,
        };
        Some((stem, suffix))
    }
}

impl Wildcards {
    /// Adds a wildcard, if its prefix is free.
    pub(super) fn insert(&mut self, pattern: &str, wildcard: Wildcard) -> bool {
        let prefix = pattern.trim_end_matches('*');
        if self.by_prefix.contains_key(prefix) {
            return false;
        }
        self.by_prefix.insert(prefix.into(), wildcard);
        true
    }

    /// Adds another name to the wildcard with `id`, if it is free.
    pub(super) fn alias(&mut self, id: &str, alias: &str) -> bool {
        match self.by_prefix.get(id.trim_end_matches('*')).cloned() {
            Some(wildcard) => self.insert(alias, wildcard),
            None => false,
        }
    }

    /// Says that all are in.
    pub(super) fn finish(&mut self) {
        self.lengths = self.by_prefix.keys().map(|prefix| prefix.len()).collect();
        self.lengths.sort_unstable_by(|a, b| b.cmp(a));
        self.lengths.dedup();
    }

    fn find<'a, 'n>(&'a self, name: &'n str) -> Option<(&'a Wildcard, &'n str)> {
        self.lengths.iter().find_map(|length| {
            let (prefix, rest) = name.split_at_checked(*length)?;
            let wildcard = self.by_prefix.get(prefix)?;
            (!rest.is_empty()).then_some((wildcard, rest))
        })
    }
}

impl Wildcard {
    /// The model called `id`, where `*` stands for `rest`.
    fn make(&self, id: ModelId, rest: &str) -> Model {
        let targets = self.model.targets.iter().zip(self.capabilities.iter()).map(|(target, fixed)| {
            let model: Arc<str> = target.model.replacen('*', rest, 1).into();
            let by_preset = || Arc::new(preset::capabilities(&target.provider.kind, &model));
            let capabilities = fixed.clone().unwrap_or_else(by_preset);
            Arc::new(Target { id: id.clone(), model, capabilities, ..(**target).clone() })
        });
        Model { targets: targets.collect(), aliases: Vec::new(), id: id.clone(), ..(*self.model).clone() }
    }
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalog").field("providers", &self.providers.len()).field("models", &self.models.len()).finish_non_exhaustive()
    }
}
