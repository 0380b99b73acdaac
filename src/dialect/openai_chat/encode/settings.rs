//! Everything but the conversation and its tools.

use std::borrow::Cow;

use super::Writer;
use crate::dialect::{
    LengthMember, Place, ReasoningStyle, Sampling, StructuredOutput,
    conversation::{Effort, OutputFormat, ReasoningConfig},
    json::{self, Object},
    openai_chat::{losses, tier},
    wire::{Number, Raw},
};

/// How the form of the answer is asked for.
pub(super) enum Output<'o> {
    /// Nothing was asked for.
    Free,
    /// By `response_format`, as it is.
    Native(&'o OutputFormat<'o>),
    /// By JSON mode and, for a schema, by words.
    Instructed(Option<Raw<'o>>),
    /// By a tool whose arguments are the answer.
    Tool(Option<Raw<'o>>),
}

impl<'o> Output<'o> {
    /// The nearest that the provider takes.
    pub(super) fn of(format: Option<&'o OutputFormat<'o>>, taken: StructuredOutput) -> Self {
        let Some(format) = format else { return Self::Free };
        let schema = match format {
            OutputFormat::JsonObject => None,
            OutputFormat::JsonSchema { schema, .. } => *schema,
        };
        match (taken, format) {
            (StructuredOutput::Schema, _) | (StructuredOutput::JsonObject, OutputFormat::JsonObject) => Self::Native(format),
            (StructuredOutput::JsonObject, OutputFormat::JsonSchema { .. }) => Self::Instructed(schema),
            (StructuredOutput::Emulated, _) => Self::Tool(schema),
        }
    }
}

/// Writes the settings.
pub(super) fn write(body: &mut Object<'_>, output: &Output<'_>, writer: &mut Writer<'_>) {
    write_output(body, output, writer);
    if let Some(config) = &writer.request.reasoning {
        write_reasoning(body, config, writer);
    }
    if let Some(limit) = writer.request.max_output_tokens {
        let member = match writer.target.capabilities.length {
            LengthMember::MaxCompletionTokens => "max_completion_tokens",
            // The older name is the one that every compatible server knows.
            LengthMember::MaxTokens | LengthMember::AsSent => "max_tokens",
        };
        body.number(member, limit);
    }
    write_stop(body, writer);
    write_sampling(body, writer);

    let request = writer.request;
    if let Some(n) = request.n {
        body.number("n", n);
    }
    if let Some(logprobs) = request.logprobs {
        body.bool("logprobs", logprobs);
    }
    number(body, "top_logprobs", request.top_logprobs);
    number(body, "seed", request.seed);
    if let Some(tier) = &request.service_tier {
        body.str("service_tier", tier::asked(tier));
    }
    if let Some(user) = &request.user {
        body.str("user", user);
    }
    if let Some(metadata) = request.metadata {
        body.raw("metadata", metadata.get());
    }
}

fn number(body: &mut Object<'_>, name: &str, value: Option<Number<'_>>) {
    if let Some(value) = value {
        body.raw(name, value.text());
    }
}

fn write_output(body: &mut Object<'_>, output: &Output<'_>, writer: &mut Writer<'_>) {
    match output {
        Output::Free => {}
        Output::Native(OutputFormat::JsonObject) => {
            body.raw("response_format", r#"{"type":"json_object"}"#);
        }
        Output::Native(OutputFormat::JsonSchema { name, description, schema, strict }) => {
            let mut format = body.object("response_format");
            format.str("type", "json_schema");
            let mut inner = format.object("json_schema");
            inner.str("name", name.as_deref().unwrap_or("answer"));
            if let Some(description) = description {
                inner.str("description", description);
            }
            if let Some(schema) = schema {
                inner.raw("schema", schema.get());
            }
            if let Some(strict) = strict {
                inner.bool("strict", *strict);
            }
            inner.end();
            format.end();
        }
        Output::Instructed(_) => {
            writer.lost(&losses::OUTPUT_FORMAT, Place::member(writer.request.output_format_at));
            body.raw("response_format", r#"{"type":"json_object"}"#);
        }
        Output::Tool(_) => writer.lost(&losses::OUTPUT_FORMAT, Place::member(writer.request.output_format_at)),
    }
}

/// The level that a budget of tokens comes nearest to.
const BUDGETS: &[(u64, Effort)] = &[(2_048, Effort::Low), (8_192, Effort::Medium), (16_384, Effort::High)];

fn write_reasoning(body: &mut Object<'_>, config: &ReasoningConfig, writer: &mut Writer<'_>) {
    let off = config.enabled == Some(false) || config.effort == Some(Effort::None);
    match writer.target.capabilities.reasoning {
        ReasoningStyle::None if off => {}
        ReasoningStyle::None => config.places().for_each(|place| writer.lost(&losses::REASONING, place)),
        ReasoningStyle::Effort => {
            let effort = effort(config, off, writer);
            body.str("reasoning_effort", effort.name());
        }
        ReasoningStyle::Budget if off => {
            body.raw("thinking", r#"{"type":"disabled"}"#);
        }
        ReasoningStyle::Budget => {
            let mut thinking = body.object("thinking");
            thinking.str("type", "enabled");
            let by_effort = || BUDGETS.iter().find(|(_, level)| Some(level) == config.effort.as_ref()).map(|(budget, _)| *budget);
            if let Some(budget) = config.budget_tokens.or_else(by_effort) {
                thinking.number("budget_tokens", budget);
            }
            thinking.end();
        }
        ReasoningStyle::Adaptive => {
            body.raw("thinking", if off { r#"{"type":"disabled"}"# } else { r#"{"type":"adaptive"}"# });
            if let Some(effort) = config.effort.as_ref().filter(|_| !off) {
                body.str("reasoning_effort", effort.name());
            }
        }
    }
}

/// The level that says what `config` says.
fn effort<'c>(config: &'c ReasoningConfig, off: bool, writer: &mut Writer<'_>) -> Cow<'c, Effort> {
    if off {
        return Cow::Owned(Effort::None);
    }
    if let Some(effort) = &config.effort {
        if config.budget_tokens.is_some() {
            writer.lost(&losses::REASONING_BUDGET, Place::member(config.at.budget_tokens));
        }
        return Cow::Borrowed(effort);
    }
    if let Some(budget) = config.budget_tokens {
        writer.lost(&losses::REASONING_BUDGET, Place::member(config.at.budget_tokens));
        let level = BUDGETS.iter().find(|(most, _)| budget <= *most).map(|(_, level)| level.clone());
        return Cow::Owned(level.unwrap_or(Effort::High));
    }
    if config.adaptive {
        writer.lost(&losses::ADAPTIVE_REASONING, Place::member(config.at.enabled));
    }
    Cow::Owned(Effort::Medium)
}

fn write_stop(body: &mut Object<'_>, writer: &mut Writer<'_>) {
    let stop = &writer.request.stop;
    // Named as the Messages API does: a caller of this dialect itself does not come through here.
    (MOST_STOPS..stop.len()).for_each(|index| writer.lost(&losses::STOP, Place::of("stop_sequences", index)));
    if !stop.is_empty() {
        let mut list = body.array("stop");
        stop.iter().take(MOST_STOPS).for_each(|sequence| json::string(list.item(), sequence));
        list.end();
    }
}

/// The most stop sequences taken.
const MOST_STOPS: usize = 4;

fn write_sampling(body: &mut Object<'_>, writer: &mut Writer<'_>) {
    let request = writer.request;
    let sampling = writer.target.capabilities.sampling;
    let both = sampling == Sampling::OneOf && request.temperature.is_some();
    for (name, value, taken) in [
        ("temperature", request.temperature, true),
        ("top_p", request.top_p, !both),
        ("frequency_penalty", request.frequency_penalty, true),
        ("presence_penalty", request.presence_penalty, true),
    ] {
        let Some(value) = value else { continue };
        if sampling == Sampling::Fixed || !taken {
            writer.lost(&losses::SAMPLING, Place::member(name));
        } else if name == "temperature" {
            write_temperature(body, value, writer);
        } else {
            body.raw(name, value.text());
        }
    }
    if let Some(bias) = request.logit_bias {
        if sampling == Sampling::Fixed {
            writer.lost(&losses::SAMPLING, Place::member("logit_bias"));
        } else {
            body.raw("logit_bias", bias.get());
        }
    }
    if request.top_k.is_some() {
        writer.lost(&losses::TOP_K, Place::member("top_k"));
    }
}

fn write_temperature(body: &mut Object<'_>, value: Number<'_>, writer: &mut Writer<'_>) {
    let highest = writer.target.capabilities.max_temperature_tenths;
    if value.value() * 10.0 > f64::from(highest) {
        writer.lost(&losses::TEMPERATURE, Place::member("temperature"));
        body.raw("temperature", &format!("{}.{}", highest / 10, highest % 10));
    } else {
        body.raw("temperature", value.text());
    }
}
