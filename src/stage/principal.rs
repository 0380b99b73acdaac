//! Who is calling.

use std::{borrow::Borrow, collections::BTreeMap, fmt, sync::Arc, time::SystemTime};

use serde::{Deserialize, Serialize};

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

/// A key's id: of our own keys, the 12 characters before the secret.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(Arc<str>);

/// What a key is for. One kind never passes for the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// Calling models, reading one's own records.
    #[default]
    Inference,
    /// Administering keys.
    Management,
}

/// What a key may use. Empty lists mean all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scopes {
    /// Models, by id; `openai/*` allows all that start so.
    pub models: Vec<String>,
    /// Providers, by configured name.
    pub providers: Vec<String>,
    /// Operations, by name.
    pub operations: Vec<String>,
}

/// How much a key may use. `None` means no limit; windows are calendar days, ISO weeks and months in UTC.
///
/// They are kept with the key and travel with its [`Principal`]; no layer of this version enforces them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Requests in any minute.
    pub requests_per_minute: Option<u64>,
    /// Tokens, in and out, in any minute.
    pub tokens_per_minute: Option<u64>,
    /// Requests in a day.
    pub requests_per_day: Option<u64>,
    /// Requests in a week.
    pub requests_per_week: Option<u64>,
    /// Requests in a month.
    pub requests_per_month: Option<u64>,
    /// Spend in a day, in billionths of a dollar.
    pub nanos_per_day: Option<u64>,
    /// Spend in a week, in billionths of a dollar.
    pub nanos_per_week: Option<u64>,
    /// Spend in a month, in billionths of a dollar.
    pub nanos_per_month: Option<u64>,
}

/// Makes a [`Principal`].
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use]
pub struct PrincipalBuilder {
    workspace: Arc<str>,
    key: Option<KeyId>,
    name: Option<Arc<str>>,
    kind: KeyKind,
    expires: Option<SystemTime>,
    scopes: Scopes,
    limits: Limits,
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

    /// The workspace, to keep.
    pub(crate) fn shared_workspace(&self) -> &Arc<str> {
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

    /// What its key is for.
    pub fn kind(&self) -> KeyKind {
        self.0.kind
    }

    /// When its key stops to work, if ever.
    pub fn expires(&self) -> Option<SystemTime> {
        self.0.expires
    }

    /// What it may use.
    pub fn scopes(&self) -> &Scopes {
        &self.0.scopes
    }

    /// How much it may use.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
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

    /// What its key is for. Default: inference.
    pub fn kind(mut self, kind: KeyKind) -> Self {
        self.kind = kind;
        self
    }

    /// When its key stops to work. Default: never.
    pub fn expires(mut self, expires: Option<SystemTime>) -> Self {
        self.expires = expires;
        self
    }

    /// What it may use. Default: everything.
    pub fn scopes(mut self, scopes: Scopes) -> Self {
        self.scopes = scopes;
        self
    }

    /// How much it may use. Default: no limits.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
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

impl KeyKind {
    /// Its name in stores and records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inference => "inference",
            Self::Management => "management",
        }
    }
}

impl KeyId {
    /// The id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for KeyId {
    fn borrow(&self) -> &str {
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
