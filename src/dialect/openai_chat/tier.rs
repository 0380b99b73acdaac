//! The tier that serves a call, in this API's words.

use super::losses;
use crate::dialect::Losses;

/// This API's tiers.
const TIERS: &[&str] = &["auto", "default", "fast", "flex", "priority", "scale"];

/// The tier asked for: Anthropic's `standard_only` is the default one here, others go as they are.
pub(super) fn asked(tier: &str) -> &str {
    if tier == "standard_only" { "default" } else { tier }
}

/// The tier that served: Anthropic's `standard` is the default one here. A client that knows its tiers would not know
/// another's: those are left out.
pub(super) fn word(tier: &str, losses: &mut Losses) -> Option<&'static str> {
    let word = TIERS.iter().copied().find(|known| *known == tier).or((tier == "standard").then_some("default"));
    if word.is_none() {
        losses.report_at(&losses::ANSWER_UNKNOWN_MEMBER, "/service_tier".to_owned());
    }
    word
}
