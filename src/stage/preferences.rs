//! What a caller prefers, beyond the dialect's own settings.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A caller's wishes: the gateway's own members of the body, and the headers that say the same.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Preferences {
    /// Providers to try first, by configured name, in this order.
    pub order: Vec<String>,
    /// The only providers to use.
    pub only: Vec<String>,
    /// Providers not to use.
    pub ignore: Vec<String>,
    /// What to order the rest by.
    pub sort: Option<Sort>,
    /// The most to pay, in USD, per meter's name: a target above it, or without a price, is left out.
    pub max_price: BTreeMap<String, String>,
    /// Whether other targets may be tried when the first fails. Default: yes.
    pub allow_fallbacks: Option<bool>,
    /// Whether targets that would lose something of the request are left out.
    pub require_parameters: bool,
    /// Models to try after the one asked for.
    pub models: Vec<String>,
    /// The session this call belongs to. Read and kept for a host's own layers and strategies; ours do not act on it yet.
    pub session_id: Option<String>,
    /// How losses are treated.
    pub fidelity: Option<Fidelity>,
    /// Key-value pairs for the record.
    pub metadata: BTreeMap<String, String>,
}

/// What to order targets by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Sort {
    /// Cheapest first.
    Price,
}

/// How a request is treated that a target cannot carry whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fidelity {
    /// It is sent, and what was lost is reported.
    #[default]
    Report,
    /// The target is passed over; with none left, a 400 names the places.
    Strict,
}
