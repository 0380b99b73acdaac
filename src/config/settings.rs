//! What a configuration says beside its catalogue.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use super::document::{Field, Section};
use crate::{
    auth::{KeyFormat, NewKey, Pepper},
    catalog::{ApiKey, Timeouts},
    stage::{Fidelity, Scopes},
};

/// `[auth]`: who may call.
#[derive(Clone, Debug, Default)]
pub struct AuthConfig {
    /// Whether callers need a key.
    pub mode: AuthMode,
    /// The secret that keys are hashed with; `None`: made and kept in the state folder.
    pub pepper: Option<Pepper>,
    /// Keys that are always there.
    pub keys: Vec<FixedKey>,
}

/// Whether callers need a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuthMode {
    /// They do.
    #[default]
    Keys,
    /// Everybody is anonymous. For loopback addresses only.
    Open,
}

/// A key of the configuration.
#[derive(Clone, Debug)]
pub struct FixedKey {
    /// What it is.
    pub key: NewKey,
    /// Its text, in the gateway's format.
    pub text: ApiKey,
}

/// `[retry]`: how hard a call tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryConfig {
    /// Attempts per call, fallbacks included. Default 3.
    pub attempts: u32,
    /// The deadlines of calls, where a provider or model has none of its own.
    pub timeouts: Timeouts,
    /// How long a stream may be held back for its first content. Default 10 s.
    pub hold: Duration,
}

/// `[answers]`: what answers carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswersConfig {
    /// Whether provider, cost and `meta` stand in bodies. Default: yes.
    pub annotate: bool,
    /// How losses are treated where the caller does not say. Default: reported.
    pub fidelity: Fidelity,
}

/// `[limits]`: what a caller may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitsConfig {
    /// The largest request body, in bytes. Default 32 MiB.
    pub body: u64,
    /// Open connections. Default 10,000.
    pub connections: usize,
    /// The time for a request's head. Default 10 s.
    pub head: Duration,
    /// The time between two parts of a request's body. Default 15 s.
    pub body_idle: Duration,
    /// The time for a request's body. Default 120 s.
    pub body_total: Duration,
    /// The time without progress after which a connection whose peer does not read is closed. Default 30 s.
    pub write_stall: Duration,
    /// The time that running answers have at a shutdown. Default 30 s.
    pub drain: Duration,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self { attempts: 3, timeouts: Timeouts::default(), hold: Duration::from_secs(10) }
    }
}

impl Default for AnswersConfig {
    fn default() -> Self {
        Self { annotate: true, fidelity: Fidelity::Report }
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            body: 32 << 20,
            connections: 10_000,
            head: Duration::from_secs(10),
            body_idle: Duration::from_secs(15),
            body_total: Duration::from_secs(120),
            write_stall: Duration::from_secs(30),
            drain: Duration::from_secs(30),
        }
    }
}

impl AuthConfig {
    pub(super) fn read(root: &mut Section<'_, '_>, listen: Option<SocketAddr>) -> Self {
        let mut auth = Self::default();
        let Some(mut section) = root.take("auth").and_then(|field| field.section()) else { return auth };
        if let Some(field) = section.take("mode") {
            auth.mode = field.parse("\"keys\" or \"open\"", AuthMode::named).unwrap_or_default();
            if auth.mode == AuthMode::Open && listen.is_some_and(|address| !address.ip().is_loopback()) {
                field.fail("\"open\" is for loopback addresses only, and `listen` is another");
            }
        }
        auth.pepper = section.take("pepper").and_then(|field| pepper(&field));
        let keys = section.take("keys").map(|field| field.list()).unwrap_or_default();
        let mut kids = BTreeSet::new();
        auth.keys = keys.iter().filter_map(|field| FixedKey::read(field, &mut kids)).collect();
        section.finish();
        auth
    }
}

impl AuthMode {
    fn named(name: &str) -> Option<Self> {
        match name {
            "keys" => Some(Self::Keys),
            "open" => Some(Self::Open),
            _ => None,
        }
    }
}

impl FixedKey {
    fn read(field: &Field<'_, '_>, kids: &mut BTreeSet<String>) -> Option<Self> {
        let mut section = field.section()?;
        let name = section.need("name").and_then(|field| field.text());
        let text = section.need("key").and_then(|field| key_text(&field, kids));
        let workspace = section.take("workspace").and_then(|field| field.text());
        let mut list = |key| section.take(key).map(|field| field.texts()).unwrap_or_default();
        let scopes = Scopes { models: list("models"), providers: list("providers"), operations: list("operations") };
        section.finish();
        Some(Self { key: NewKey { workspace, scopes, ..NewKey::named(name?) }, text: text? })
    }
}

fn pepper(field: &Field<'_, '_>) -> Option<Pepper> {
    Pepper::new(field.secret()?).map_err(|weak| field.fail(weak.to_string())).ok()
}

fn key_text(field: &Field<'_, '_>, kids: &mut BTreeSet<String>) -> Option<ApiKey> {
    let text = field.secret()?;
    let Some(key) = KeyFormat::default().parse(&text) else {
        field.fail("this is not a key in the gateway's format: aistats_v1_k_<12 letters or digits>_<secret>");
        return None;
    };
    if !kids.insert(key.kid().to_owned()) {
        field.fail("another key has this id");
        return None;
    }
    Some(ApiKey::new(text))
}

impl RetryConfig {
    pub(super) fn read(root: &mut Section<'_, '_>) -> Self {
        let mut retry = Self::default();
        let Some(mut section) = root.take("retry").and_then(|field| field.section()) else { return retry };
        if let Some(attempts) = section.take("attempts").and_then(|field| field.integer(1, 10)) {
            retry.attempts = u32::try_from(attempts).unwrap_or(retry.attempts);
        }
        if let Some(timeouts) = timeouts(&mut section, retry.timeouts) {
            retry.timeouts = timeouts;
        }
        set(&mut retry.hold, section.take("hold").and_then(|field| field.duration()));
        section.finish();
        retry
    }
}

impl AnswersConfig {
    pub(super) fn read(root: &mut Section<'_, '_>) -> Self {
        let mut answers = Self::default();
        let Some(mut section) = root.take("answers").and_then(|field| field.section()) else { return answers };
        set(&mut answers.annotate, section.take("annotate").and_then(|field| field.boolean()));
        let fidelity = |name: &str| match name {
            "report" => Some(Fidelity::Report),
            "strict" => Some(Fidelity::Strict),
            _ => None,
        };
        let field = section.take("fidelity");
        set(&mut answers.fidelity, field.and_then(|field| field.parse("\"report\" or \"strict\"", fidelity)));
        section.finish();
        answers
    }
}

impl LimitsConfig {
    pub(super) fn read(root: &mut Section<'_, '_>) -> Self {
        let mut limits = Self::default();
        let Some(mut section) = root.take("limits").and_then(|field| field.section()) else { return limits };
        set(&mut limits.body, section.take("body").and_then(|field| field.size()));
        let connections = section.take("connections").and_then(|field| field.integer(1, 1_000_000));
        set(&mut limits.connections, connections.and_then(|count| usize::try_from(count).ok()));
        let mut deadline = |key| section.take(key).and_then(|field| field.deadline());
        set(&mut limits.head, deadline("head"));
        set(&mut limits.body_idle, deadline("body_idle"));
        set(&mut limits.body_total, deadline("body_total"));
        set(&mut limits.write_stall, deadline("write_stall"));
        set(&mut limits.drain, section.take("drain").and_then(|field| field.duration()));
        section.finish();
        limits
    }
}

/// The deadlines of a section that has its own: `base`, with what it says instead.
pub(super) fn timeouts(section: &mut Section<'_, '_>, base: Timeouts) -> Option<Timeouts> {
    let mut section = section.take("timeouts")?.section()?;
    let mut timeouts = base;
    let mut deadline = |key| section.take(key).and_then(|field| field.deadline());
    set(&mut timeouts.connect, deadline("connect"));
    set(&mut timeouts.first_byte, deadline("first_byte"));
    set(&mut timeouts.idle, deadline("idle"));
    set(&mut timeouts.total, deadline("total"));
    section.finish();
    Some(timeouts)
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}
