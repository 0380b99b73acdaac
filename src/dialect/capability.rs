//! What a provider's model can do: data, never lists in code.

/// What one model at one provider takes.
///
/// The catalogue holds these per provider and model pattern; a dialect's request encoder reads them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// The member that limits the output.
    pub length: LengthMember,
    /// The limit to send where the API demands one and the caller gave none.
    pub default_max_output_tokens: u64,
    /// How reasoning is asked for.
    pub reasoning: ReasoningStyle,
    /// Which sampling settings are taken.
    pub sampling: Sampling,
    /// The highest temperature, in tenths.
    pub max_temperature_tenths: u8,
    /// How structured output is asked for.
    pub structured_output: StructuredOutput,
    /// Whether tools may be `strict`.
    pub strict_tools: bool,
    /// Whether `stream_options.include_usage` is understood.
    pub stream_usage: bool,
    /// Whether the `developer` role is understood.
    pub developer_role: bool,
    /// Whether a chat provider takes the model's reasoning back, as `reasoning_content` and `reasoning_details`.
    pub reasoning_replay: bool,
    /// Whether a chat provider takes prompt-cache breakpoints, as `cache_control`.
    pub cache_control: bool,
    /// Whether a chat provider takes several texts in one message as a list of parts, and not as one string alone.
    pub text_parts: bool,
    /// Whether it is known to take images: what the list of models says. None is refused for it.
    pub image_input: bool,
}

/// Chat's two names for the output limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LengthMember {
    /// `max_tokens`.
    MaxTokens,
    /// `max_completion_tokens`.
    MaxCompletionTokens,
    /// Whichever the caller sent.
    AsSent,
}

/// How reasoning is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasoningStyle {
    /// Not at all: the model does not reason on demand.
    None,
    /// By level: `reasoning_effort`.
    Effort,
    /// By a token budget: Anthropic's `thinking.budget_tokens`.
    Budget,
    /// The model decides, guided by a level: Anthropic's `thinking.type: adaptive` with `output_config.effort`.
    Adaptive,
}

/// Which sampling settings are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// All.
    Free,
    /// `temperature` or `top_p`, not both.
    OneOf,
    /// None: a reasoning model.
    Fixed,
}

/// How structured output is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StructuredOutput {
    /// Not natively: by a forced tool call.
    Emulated,
    /// `json_object` only.
    JsonObject,
    /// By schema.
    Schema,
}

impl Capabilities {
    /// A model of which nothing is known: it may take everything, though images are not claimed.
    pub const UNKNOWN: Self = Self {
        length: LengthMember::AsSent,
        default_max_output_tokens: 4096,
        reasoning: ReasoningStyle::Effort,
        sampling: Sampling::Free,
        max_temperature_tenths: 20,
        structured_output: StructuredOutput::Schema,
        strict_tools: true,
        stream_usage: true,
        developer_role: true,
        reasoning_replay: false,
        cache_control: false,
        text_parts: true,
        image_input: false,
    };
}

/// [`Capabilities::UNKNOWN`].
impl Default for Capabilities {
    fn default() -> Self {
        Self::UNKNOWN
    }
}
