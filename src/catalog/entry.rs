//! What a catalogue is made from.

use std::sync::Arc;

use super::{ModelId, Price, ProviderId, Strategy, Timeouts};
use crate::dialect::{Capabilities, Dialect};

/// A model for the catalogue.
///
/// An id that ends in `*` is a wildcard: every name that begins so is a model, and `*` in its targets' models stands for
/// the rest of the name. Its aliases end in `*` too.
///
/// ```
/// use portcullis::catalog::{ModelEntry, TargetEntry};
///
/// let one = ModelEntry::new("openai/gpt-4.1").alias("gpt").target(TargetEntry::new("openai", "gpt-4.1-2025-04-14"));
/// let all = ModelEntry::new("openai/*").target(TargetEntry::new("openai", "*"));
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct ModelEntry {
    pub(super) id: ModelId,
    pub(super) aliases: Vec<ModelId>,
    pub(super) patterns: Vec<Arc<str>>,
    pub(super) strategy: Strategy,
    pub(super) targets: Vec<TargetEntry>,
    pub(super) created: u64,
    pub(super) owned_by: Option<Arc<str>>,
}

/// A target for the catalogue: one model at one provider.
#[derive(Clone, Debug)]
#[must_use]
pub struct TargetEntry {
    pub(super) provider: ProviderId,
    pub(super) model: Arc<str>,
    pub(super) price: Option<Arc<Price>>,
    pub(super) capabilities: Option<Arc<Capabilities>>,
    pub(super) dialect: Option<&'static dyn Dialect>,
    pub(super) timeouts: Option<Timeouts>,
}

impl ModelEntry {
    /// A model without targets.
    pub fn new(id: impl Into<ModelId>) -> Self {
        Self {
            id: id.into(),
            aliases: Vec::new(),
            patterns: Vec::new(),
            strategy: Strategy::default(),
            targets: Vec::new(),
            created: 0,
            owned_by: None,
        }
    }

    /// Another name for it.
    pub fn alias(mut self, alias: impl Into<ModelId>) -> Self {
        self.aliases.push(alias.into());
        self
    }

    /// For a wildcard: names that begin like `pattern` (`gpt-*`) mean it too, and `*` stands for the whole name. Where two
    /// models have one pattern, the first keeps it.
    pub fn pattern(mut self, pattern: impl Into<Arc<str>>) -> Self {
        self.patterns.push(pattern.into());
        self
    }

    /// How its targets are ordered.
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// Somebody who can answer; the first added is the first tried.
    pub fn target(mut self, target: TargetEntry) -> Self {
        self.targets.push(target);
        self
    }

    /// When it was made known, in Unix seconds. Default 0.
    pub fn created(mut self, created: u64) -> Self {
        self.created = created;
        self
    }

    /// Whose model it is. Default: what stands before the first `/` of its id, else its first provider.
    pub fn owned_by(mut self, owner: impl Into<Arc<str>>) -> Self {
        self.owned_by = Some(owner.into());
        self
    }
}

impl TargetEntry {
    /// What `provider` calls `model`.
    pub fn new(provider: impl Into<ProviderId>, model: impl Into<Arc<str>>) -> Self {
        Self { provider: provider.into(), model: model.into(), price: None, capabilities: None, dialect: None, timeouts: None }
    }

    /// What it costs. Without a price its calls cost nothing, and are flagged.
    pub fn price(mut self, price: impl Into<Arc<Price>>) -> Self {
        self.price = Some(price.into());
        self
    }

    /// What it can do. Default: what the provider's preset says of the model.
    pub fn capabilities(mut self, capabilities: impl Into<Arc<Capabilities>>) -> Self {
        self.capabilities = Some(capabilities.into());
        self
    }

    /// The dialect to speak, whatever the caller's. Default: the caller's own where the provider has it.
    pub fn dialect(mut self, dialect: &'static dyn Dialect) -> Self {
        self.dialect = Some(dialect);
        self
    }

    /// Its deadlines. Default: the provider's.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = Some(timeouts);
        self
    }
}
