//! Everything but the conversation and its tools.

use super::{Reader, pointer};
use crate::dialect::{
    GATEWAY_MEMBERS,
    conversation::{Effort, OutputFormat, ReasoningConfig, Request},
    openai_chat::{
        losses,
        request::{ChatCompletionRequest, ResponseFormat},
    },
    wire::{StrOr, Unknown},
};

/// Moves the settings from `wire` to `request`.
pub(super) fn read<'a>(wire: &mut ChatCompletionRequest<'a>, request: &mut Request<'a>, reader: &mut Reader<'_>) {
    request.reasoning = reasoning(wire, reader);
    request.output_format_at = "response_format";
    request.output_format = wire.response_format.take().and_then(|format| output_format(*format, reader));

    // Three names of one limit; the first present in this order wins.
    request.max_output_tokens = match (wire.max_completion_tokens, wire.max_output_tokens, wire.max_tokens) {
        (Some(limit), ..) => reader.count(Some(limit), "/max_completion_tokens"),
        (None, Some(limit), _) => reader.count(Some(limit), "/max_output_tokens"),
        (None, None, limit) => reader.count(limit, "/max_tokens"),
    };
    request.stop = match wire.stop.take() {
        None => Vec::new(),
        Some(StrOr::Str(sequence)) => vec![sequence.0],
        Some(StrOr::Or(sequences)) => sequences.into_iter().map(|sequence| sequence.0).collect(),
    };
    request.n = reader.count(wire.n, "/n");

    request.temperature = wire.temperature;
    request.top_p = wire.top_p;
    request.top_k = wire.top_k;
    request.frequency_penalty = wire.frequency_penalty;
    request.presence_penalty = wire.presence_penalty;
    request.logit_bias = wire.logit_bias;
    request.seed = wire.seed;
    request.logprobs = wire.logprobs;
    request.top_logprobs = wire.top_logprobs;

    request.service_tier = wire.service_tier.take().map(|tier| tier.0);
    if let (Some(identifier), Some(user)) = (&wire.safety_identifier, &wire.user)
        && identifier != user
    {
        reader.losses.report_at(&losses::USER, "/user".to_owned());
    }
    request.user = wire.safety_identifier.take().or(wire.user.take()).map(|user| user.0);
    request.metadata = wire.metadata;

    if let Some(options) = &wire.stream_options {
        // Obfuscation pads the chunks of OpenAI's own servers; it means nothing elsewhere.
        let mut unknown = options.unknown.clone();
        unknown.retain(|(name, _)| name != "include_obfuscation");
        reader.unknown(&unknown, "/stream_options");
    }
    if wire.cache_control.is_some() {
        reader.losses.report_at(&losses::UNKNOWN_MEMBER, "/cache_control".to_owned());
    }
    without_a_word(&wire.unknown, reader);
}

/// `reasoning_effort`, OpenRouter's `reasoning` and Anthropic's `thinking` say parts of one thing.
fn reasoning<'a>(wire: &mut ChatCompletionRequest<'a>, reader: &mut Reader<'_>) -> Option<ReasoningConfig> {
    let mut config = ReasoningConfig::default();
    if let Some(effort) = wire.reasoning_effort.take() {
        config.effort = Some(Effort::from_name(&effort));
        config.at.effort = "reasoning_effort";
    }
    if let Some(reasoning) = wire.reasoning.take() {
        config.enabled = reasoning.enabled;
        config.at.enabled = reasoning.enabled.map_or("", |_| "reasoning/enabled");
        if let Some(effort) = reasoning.effort.filter(|_| config.effort.is_none()) {
            config.effort = Some(Effort::from_name(&effort));
            config.at.effort = "reasoning/effort";
        }
        config.budget_tokens = reader.count(reasoning.max_tokens, "/reasoning/max_tokens");
        config.at.budget_tokens = config.budget_tokens.map_or("", |_| "reasoning/max_tokens");
        reader.unknown(&reasoning.unknown, "/reasoning");
    }
    if let Some(thinking) = wire.thinking.take() {
        config.at.enabled = "thinking";
        match thinking.kind.as_deref() {
            Some("enabled") => config.enabled = Some(true),
            Some("adaptive") => {
                config.enabled = Some(true);
                config.adaptive = true;
            }
            Some("disabled") => config.enabled = Some(false),
            Some(_) => reader.wrong("/thinking/type", "expected enabled, adaptive or disabled"),
            None => reader.wrong("/thinking/type", "is missing"),
        }
        if let Some(budget) = reader.count(thinking.budget_tokens, "/thinking/budget_tokens") {
            config.budget_tokens = Some(budget);
            config.at.budget_tokens = "thinking/budget_tokens";
        }
        reader.unknown(&thinking.unknown, "/thinking");
    }
    if config.effort == Some(Effort::None) {
        config.enabled = Some(false);
    }
    (config != ReasoningConfig::default()).then_some(config)
}

fn output_format<'a>(format: ResponseFormat<'a>, reader: &mut Reader<'_>) -> Option<OutputFormat<'a>> {
    reader.unknown(&format.unknown, "/response_format");
    match (format.kind.as_deref(), format.json_schema) {
        (Some("text"), _) => None,
        (Some("json_object"), _) => Some(OutputFormat::JsonObject),
        (Some("json_schema"), Some(schema)) => {
            reader.unknown(&schema.unknown, "/response_format/json_schema");
            if schema.schema.is_some_and(|schema| !schema.get().starts_with('{')) {
                reader.wrong("/response_format/json_schema/schema", "expected an object");
            }
            Some(OutputFormat::JsonSchema {
                name: schema.name.map(|name| name.0),
                description: schema.description.map(|text| text.0),
                schema: schema.schema,
                strict: schema.strict,
            })
        }
        (Some("json_schema"), None) => {
            reader.wrong("/response_format/json_schema", "is missing");
            None
        }
        (Some(_), _) => {
            reader.wrong("/response_format/type", "expected text, json_object or json_schema");
            None
        }
        (None, _) => {
            reader.wrong("/response_format/type", "is missing");
            None
        }
    }
}

/// Reports the top-level members that the hub has no word for. The gateway's own are not the conversation's business.
fn without_a_word(members: &Unknown<'_>, reader: &mut Reader<'_>) {
    for (name, value) in members {
        if value.get() == "null" || GATEWAY_MEMBERS.contains(&&**name) {
            continue;
        }
        let known = losses::ONLY_HERE.iter().find(|only| only.member == name);
        if known.is_some_and(|only| only.harmless == Some(value.get())) {
            continue;
        }
        let loss = known.map_or(&losses::UNKNOWN_MEMBER, |only| only.loss);
        reader.losses.report_at(loss, format!("/{}", pointer(name)));
    }
}
