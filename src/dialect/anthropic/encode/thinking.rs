//! How much to think: effort or budget, and what else has to give way.

use super::{Message, messages::tool_turn_without_thinking, output::Output};
use crate::dialect::{
    Losses, Place, ReasoningStyle, Target,
    anthropic::losses,
    conversation::{Effort, ReasoningConfig, Request},
    json::Object,
};

/// The least budget that the API takes.
const LEAST_BUDGET: u64 = 1024;

/// What is asked for, with the `max_tokens` that leaves room for it.
#[derive(Debug)]
pub struct Plan {
    /// The output limit, thinking included.
    pub max_tokens: u64,
    thinking: Thinking,
    effort: Option<Box<str>>,
}

/// The `thinking` member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thinking {
    /// Not there: as the model does by itself.
    Unsaid,
    Disabled,
    Enabled {
        budget_tokens: u64,
    },
    Adaptive,
}

impl Plan {
    /// Whether the model is asked to think.
    pub fn thinks(&self) -> bool {
        matches!(self.thinking, Thinking::Enabled { .. } | Thinking::Adaptive)
    }

    fn silent(request: &Request<'_>, target: &Target<'_>) -> Self {
        let max_tokens = request.max_output_tokens.unwrap_or(target.capabilities.default_max_output_tokens);
        Self { max_tokens, thinking: Thinking::Unsaid, effort: None }
    }
}

/// Decides how `request` is to think at `target`. `forced` says that an output tool is forced on the model.
pub fn plan(request: &Request<'_>, target: &Target<'_>, messages: &[Message<'_, '_>], forced: bool, losses: &mut Losses) -> Plan {
    let mut plan = Plan::silent(request, target);
    let Some(config) = &request.reasoning else { return plan };
    let style = target.capabilities.reasoning;
    let unwanted = config.enabled == Some(false) || (config.enabled.is_none() && config.effort == Some(Effort::None));
    if style == ReasoningStyle::None {
        if !unwanted {
            config.places().for_each(|place| losses.report(&losses::REASONING_UNKNOWN, place));
        }
        return plan;
    }
    if matches!(style, ReasoningStyle::Effort | ReasoningStyle::Adaptive) {
        plan.effort = effort(config, losses);
    }
    if unwanted {
        plan.thinking = Thinking::Disabled;
        return plan;
    }
    match style {
        // By effort alone, unless thinking itself is asked for.
        ReasoningStyle::Effort if config.adaptive => plan.thinking = Thinking::Adaptive,
        ReasoningStyle::Effort if config.budget_tokens.is_none() => return plan,
        ReasoningStyle::Adaptive => {
            if config.budget_tokens.is_some() {
                losses.report(&losses::REASONING_BUDGET, Place::member(config.at.budget_tokens));
            }
            plan.thinking = Thinking::Adaptive;
        }
        ReasoningStyle::None | ReasoningStyle::Effort | ReasoningStyle::Budget => plan.budget(config, request.max_output_tokens, losses),
    }
    let unfit = matches!(plan.thinking, Thinking::Enabled { .. }) && tool_turn_without_thinking(messages);
    if plan.thinks() && (unfit || forced) {
        config.places().for_each(|place| losses.report(&losses::REASONING_OFF, place));
        return Plan { thinking: Thinking::Disabled, ..Plan::silent(request, target) };
    }
    plan
}

impl Plan {
    /// A budget below `max_tokens`: the caller's limit stands, ours makes room.
    fn budget(&mut self, config: &ReasoningConfig, limit: Option<u64>, losses: &mut Losses) {
        let wanted = config.budget_tokens.unwrap_or_else(|| budget_of(config, losses));
        let mut budget_tokens = wanted.max(LEAST_BUDGET);
        match limit {
            None if budget_tokens >= self.max_tokens => self.max_tokens = self.max_tokens.saturating_add(budget_tokens),
            Some(limit) if limit <= LEAST_BUDGET => {
                config.places().for_each(|place| losses.report(&losses::REASONING_OFF, place));
                self.thinking = Thinking::Disabled;
                return;
            }
            // A quarter is left to answer in.
            Some(limit) if budget_tokens >= limit => budget_tokens = (limit / 4 * 3).max(LEAST_BUDGET),
            _ => {}
        }
        if config.budget_tokens.is_some_and(|asked| asked != budget_tokens) {
            losses.report(&losses::REASONING_BUDGET, Place::member(config.at.budget_tokens));
        }
        self.thinking = Thinking::Enabled { budget_tokens };
    }
}

/// Writes `thinking` and `output_config`.
pub fn write(plan: &Plan, output: &Output<'_>, body: &mut Object<'_>) {
    if plan.thinking != Thinking::Unsaid {
        let mut thinking = body.object("thinking");
        match plan.thinking {
            Thinking::Unsaid => {}
            Thinking::Disabled => _ = thinking.word("type", "disabled"),
            Thinking::Enabled { budget_tokens } => _ = thinking.word("type", "enabled").number("budget_tokens", budget_tokens),
            Thinking::Adaptive => _ = thinking.word("type", "adaptive"),
        }
        thinking.end();
    }
    if plan.effort.is_some() || output.schema().is_some() {
        let mut config = body.object("output_config");
        if let Some(effort) = &plan.effort {
            config.str("effort", effort);
        }
        if let Some(schema) = output.schema() {
            let mut format = config.object("format");
            format.word("type", "json_schema").raw("schema", schema);
            format.end();
        }
        config.end();
    }
}

/// The effort as the API names it: `low`, `medium`, `high`, `xhigh`, `max`, or a newer one as it came.
fn effort(config: &ReasoningConfig, losses: &mut Losses) -> Option<Box<str>> {
    match config.effort.as_ref()? {
        Effort::None => None,
        Effort::Minimal => {
            losses.report(&losses::REASONING_EFFORT, Place::member(config.at.effort));
            Some(Effort::Low.name().into())
        }
        named => Some(named.name().into()),
    }
}

/// The budget that stands for an effort.
fn budget_of(config: &ReasoningConfig, losses: &mut Losses) -> u64 {
    match &config.effort {
        Some(Effort::None | Effort::Minimal) => LEAST_BUDGET,
        Some(Effort::Low) => 2048,
        Some(Effort::Medium) | None => 8192,
        Some(Effort::High) => 16_384,
        Some(Effort::XHigh | Effort::Max) => 32_768,
        Some(Effort::Other(_)) => {
            losses.report(&losses::REASONING_EFFORT, Place::member(config.at.effort));
            8192
        }
    }
}
