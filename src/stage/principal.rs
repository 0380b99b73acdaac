//! Who is calling.

use std::{collections::BTreeMap, fmt, sync::Arc};

use super::Operation;
use crate::catalog::{ModelId, ProviderId};

/// Who is calling, as auth found out or the host says. Cheap to clone.
///
/// Absent from the extensions means anonymous: no key, the default workspace, everything allowed.
///
/// ```
/// use portcullis::stage::Principal;
///
/// let principal = Principal::builder("team-a").key("k1").name("ci").build();
/// assert_eq!(principal.workspace(), "team-a");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Principal(Arc<PrincipalBuilder>);

/// A key's id.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(Arc<str>);

/// What a key may use. Empty lists mean all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes {
    /// Models, by id; `openai/*` allows all that start so.
    pub models: Vec<String>,
    /// Providers, by configured name.
    pub providers: Vec<String>,
    /// Operations, by name.
    pub operations: Vec<String>,
}

/// Makes a [`Principal`].
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use]
pub struct PrincipalBuilder {
    workspace: Arc<str>,
    key: Option<KeyId>,
    name: Option<Arc<str>>,
    scopes: Scopes,
    metadata: BTreeMap<String, String>,
}

/// The workspace of callers that have none.
const DEFAULT_WORKSPACE: &str = "default";

impl Principal {
    /// A caller of `workspace`.
    pub fn builder(workspace: impl Into<Arc<str>>) -> PrincipalBuilder {
        PrincipalBuilder { workspace: workspace.into(), ..PrincipalBuilder::default() }
    }

    /// The caller of whom nothing is known.
    pub fn anonymous() -> Self {
        Self::builder(DEFAULT_WORKSPACE).build()
    }

    /// The workspace, whose records and objects it sees.
    pub fn workspace(&self) -> &str {
        &self.0.workspace
    }

    /// The key it came with.
    pub fn key(&self) -> Option<&KeyId> {
        self.0.key.as_ref()
    }

    /// The key's name.
    pub fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    /// What it may use.
    pub fn scopes(&self) -> &Scopes {
        &self.0.scopes
    }

    /// What its owner attached to it.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.0.metadata
    }
}

impl PrincipalBuilder {
    /// The key it came with.
    pub fn key(mut self, key: impl Into<KeyId>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// The key's name.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// What it may use. Default: everything.
    pub fn scopes(mut self, scopes: Scopes) -> Self {
        self.scopes = scopes;
        self
    }

    /// A key-value pair for the records of its calls.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// The principal.
    pub fn build(self) -> Principal {
        Principal(Arc::new(self))
    }
}

impl Scopes {
    /// Whether `operation` is allowed.
    pub fn allows_operation(&self, operation: Operation) -> bool {
        self.operations.is_empty() || self.operations.iter().any(|name| name == operation.name())
    }

    /// Whether `model` is allowed, by the id that a name resolved to.
    pub fn allows_model(&self, model: &ModelId) -> bool {
        let matches = |scope: &String| match scope.strip_suffix('*') {
            Some(prefix) => model.as_str().starts_with(prefix),
            None => scope == model.as_str(),
        };
        self.models.is_empty() || self.models.iter().any(matches)
    }

    /// Whether `provider` is allowed.
    pub fn allows_provider(&self, provider: &ProviderId) -> bool {
        self.providers.is_empty() || self.providers.iter().any(|name| name == provider.as_str())
    }
}

impl KeyId {
    /// The id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<T: Into<Arc<str>>> From<T> for KeyId {
    fn from(id: T) -> Self {
        Self(id.into())
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
