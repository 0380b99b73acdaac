//! What a caller asks for.

use std::borrow::Cow;

use crate::dialect::{
    Place,
    wire::{Number, Raw},
};

/// Who made an opaque token, and so who alone may see it again: `anthropic`, `openai`.
pub type Issuer<'a> = Cow<'a, str>;

/// A chat request.
#[derive(Clone, Debug, Default)]
pub struct Request<'a> {
    /// The model to ask, as the provider names it.
    pub model: Cow<'a, str>,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// System and developer instructions, in order.
    pub instructions: Vec<Instruction<'a>>,
    /// The conversation, in order. Neighbours may have the same role.
    pub turns: Vec<Turn<'a>>,
    /// The tools the model may call.
    pub tools: Vec<Tool<'a>>,
    /// Which tool to call.
    pub tool_choice: Option<ToolChoice<'a>>,
    /// Whether several tools may be called in one turn.
    pub parallel_tool_calls: Option<bool>,
    /// How and how much to reason.
    pub reasoning: Option<ReasoningConfig>,
    /// The form of the answer.
    pub output_format: Option<OutputFormat<'a>>,
    /// The member that said the form, by its path: `output_config/format`.
    pub output_format_at: &'static str,
    /// The most output tokens, reasoning included.
    pub max_output_tokens: Option<u64>,
    /// Sequences that end the answer.
    pub stop: Vec<Cow<'a, str>>,
    /// Sampling temperature.
    pub temperature: Option<Number<'a>>,
    /// Nucleus sampling.
    pub top_p: Option<Number<'a>>,
    /// Sampling from the `k` likeliest tokens.
    pub top_k: Option<Number<'a>>,
    /// Penalty for tokens by how often they stand already.
    pub frequency_penalty: Option<Number<'a>>,
    /// Penalty for tokens that stand already.
    pub presence_penalty: Option<Number<'a>>,
    /// Bias per token id: a JSON object.
    pub logit_bias: Option<Raw<'a>>,
    /// Whether to return log probabilities.
    pub logprobs: Option<bool>,
    /// How many alternatives per token to return log probabilities for.
    pub top_logprobs: Option<Number<'a>>,
    /// Sampling seed.
    pub seed: Option<Number<'a>>,
    /// How many choices to make.
    pub n: Option<u64>,
    /// The processing tier asked for, as the caller's API names it.
    pub service_tier: Option<Cow<'a, str>>,
    /// A stable id of the end user.
    pub user: Option<Cow<'a, str>>,
    /// Key-value pairs kept with the call: a JSON object.
    pub metadata: Option<Raw<'a>>,
}

/// A system or developer instruction.
#[derive(Clone, Debug)]
pub struct Instruction<'a> {
    /// Its text.
    pub text: Cow<'a, str>,
    /// `true` where the caller said "developer" rather than "system".
    pub developer: bool,
    /// The number of turns that stood before it; 0 for the usual place.
    pub after: usize,
    /// A prompt-cache breakpoint at its end.
    pub cache: Option<CacheMarker<'a>>,
    /// Where it stood.
    pub place: Place,
}

/// Whose words a turn is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The caller's side: its words and its tools' results.
    User,
    /// The model's side: its words, reasoning and calls.
    Assistant,
}

/// One message.
#[derive(Clone, Debug)]
pub struct Turn<'a> {
    /// Whose words these are.
    pub role: Role,
    /// A participant's name.
    pub name: Option<Cow<'a, str>>,
    /// What it holds, in order.
    pub blocks: Vec<Block<'a>>,
    /// Where it stood.
    pub place: Place,
}

/// One piece of a turn.
#[derive(Clone, Debug)]
pub struct Block<'a> {
    /// What it is.
    pub kind: BlockKind<'a>,
    /// A prompt-cache breakpoint at its end.
    pub cache: Option<CacheMarker<'a>>,
    /// Where it stood.
    pub place: Place,
}

/// What a block is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum BlockKind<'a> {
    /// Plain text.
    Text {
        /// The text.
        text: Cow<'a, str>,
        /// Citations in the caller's own form: a JSON array.
        citations: Option<Raw<'a>>,
    },
    /// The model's reasoning, replayed.
    Reasoning(Reasoning<'a>),
    /// An image.
    Image {
        /// Its bytes or where they are.
        media: Media<'a>,
        /// How closely to look: `auto`, `low`, `high`.
        detail: Option<Cow<'a, str>>,
    },
    /// Sound.
    Audio(Media<'a>),
    /// A document, such as a PDF.
    Document {
        /// Its bytes or where they are.
        media: Media<'a>,
        /// Its title or file name.
        title: Option<Cow<'a, str>>,
        /// Text beside the document that is not cited.
        context: Option<Cow<'a, str>>,
        /// Whether the model is to cite it.
        citations: Option<bool>,
    },
    /// A tool call the model made.
    ToolCall {
        /// Its id.
        id: Cow<'a, str>,
        /// The tool's name.
        name: Cow<'a, str>,
        /// The arguments as the model wrote them: usually a JSON object's text, perhaps empty or broken.
        arguments: Cow<'a, str>,
        /// Whether it is a call of a freeform tool, its arguments plain text.
        freeform: bool,
    },
    /// What a tool gave back.
    ToolResult {
        /// The call's id.
        call_id: Cow<'a, str>,
        /// What it gave: text, images, documents.
        content: Vec<Block<'a>>,
        /// Whether the tool failed, where the caller said so.
        is_error: Option<bool>,
    },
    /// The model's refusal, replayed.
    Refusal(Cow<'a, str>),
    /// Something only the caller's own dialect knows.
    Unknown {
        /// That dialect's name.
        dialect: &'static str,
        /// Its `type` there.
        kind: Cow<'a, str>,
        /// The block's JSON text.
        raw: Raw<'a>,
    },
}

/// A piece of a model's reasoning, replayed or received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reasoning<'a> {
    /// The readable text; empty if all of it is hidden.
    pub text: Cow<'a, str>,
    /// A token that proves the text to its issuer.
    pub signature: Option<Cow<'a, str>>,
    /// The hidden part, readable by its issuer alone.
    pub redacted: Option<Cow<'a, str>>,
    /// Who made the signature or the hidden part; `None` if there is neither.
    pub issuer: Option<Issuer<'a>>,
}

/// A medium's bytes or where they are.
#[derive(Clone, Debug)]
pub struct Media<'a> {
    /// The media type, where the caller said it or the bytes show it.
    pub media_type: Option<Cow<'a, str>>,
    /// Where the bytes are.
    pub source: MediaSource<'a>,
}

impl Media<'_> {
    /// The media type without its parameters.
    pub fn essence(&self) -> Option<&str> {
        self.media_type.as_deref()?.split(';').next().map(str::trim_ascii_end)
    }
}

/// Where a medium's bytes are.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum MediaSource<'a> {
    /// Here, in standard base64.
    Base64(Cow<'a, str>),
    /// At a URL that the provider fetches.
    Url(Cow<'a, str>),
    /// In the provider's own file store.
    File(Cow<'a, str>),
    /// Here, as text (a text document).
    Text(Cow<'a, str>),
}

/// A prompt-cache breakpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheMarker<'a> {
    /// How long to keep it, as written (`5m`, `1h`); `None` for the provider's default.
    pub ttl: Option<Cow<'a, str>>,
}

/// A tool the model may call.
#[derive(Clone, Debug)]
pub struct Tool<'a> {
    /// What kind it is.
    pub kind: ToolKind<'a>,
    /// A prompt-cache breakpoint after it.
    pub cache: Option<CacheMarker<'a>>,
    /// Where it stood.
    pub place: Place,
}

/// What kind of tool it is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ToolKind<'a> {
    /// A function with JSON arguments, run by the caller.
    Function {
        /// Its name.
        name: Cow<'a, str>,
        /// What it does.
        description: Option<Cow<'a, str>>,
        /// Its arguments' JSON Schema: an object, as written.
        parameters: Option<Raw<'a>>,
        /// Whether arguments must match the schema exactly.
        strict: Option<bool>,
    },
    /// A tool that only the caller's own dialect knows: built-in, or run by the provider.
    Unknown {
        /// That dialect's name.
        dialect: &'static str,
        /// Its `type` there.
        kind: Cow<'a, str>,
        /// The tool's JSON text.
        raw: Raw<'a>,
    },
}

/// Which tool to call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ToolChoice<'a> {
    /// As the model pleases.
    Auto,
    /// None.
    None,
    /// At least one, whichever.
    Required,
    /// This one.
    Function(Cow<'a, str>),
}

/// How and how much to reason. What was not said is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReasoningConfig {
    /// Whether to reason at all; `None` leaves it to the model.
    pub enabled: Option<bool>,
    /// Whether the model decides how much (Anthropic's `adaptive`).
    pub adaptive: bool,
    /// How hard to think.
    pub effort: Option<Effort>,
    /// The most reasoning tokens.
    pub budget_tokens: Option<u64>,
    /// Where the caller said so.
    pub at: ReasoningPlaces,
}

impl ReasoningConfig {
    /// Every place of the request that says something of it, the switch first.
    pub fn places(&self) -> impl Iterator<Item = Place> + use<> {
        let ReasoningPlaces { enabled, effort, budget_tokens } = self.at;
        // A member is told with the one it stands in, as Messages' budget stands in its switch; chat's stands beside.
        let inside = move |member: &str, outer: &str| {
            !outer.is_empty() && member.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let effort = if inside(effort, enabled) { "" } else { effort };
        let budget_tokens = if inside(budget_tokens, enabled) || inside(budget_tokens, effort) { "" } else { budget_tokens };
        [enabled, effort, budget_tokens].into_iter().filter(|member| !member.is_empty()).map(Place::member)
    }
}

/// Where a caller said how to reason: members, each by its path, `thinking/budget_tokens`. Empty is nowhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReasoningPlaces {
    /// Whether.
    pub enabled: &'static str,
    /// How hard.
    pub effort: &'static str,
    /// How much at most.
    pub budget_tokens: &'static str,
}

/// How hard to think: the union of what the APIs name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effort {
    /// Not at all.
    None,
    /// As little as possible.
    Minimal,
    /// Little.
    Low,
    /// The usual.
    Medium,
    /// Much.
    High,
    /// More than `high`.
    XHigh,
    /// As much as there is.
    Max,
    /// A level this crate does not know.
    Other(Box<str>),
}

impl Effort {
    /// Reads the level's name.
    pub fn from_name(name: &str) -> Self {
        match name {
            "none" => Self::None,
            "minimal" => Self::Minimal,
            "low" => Self::Low,
            "medium" => Self::Medium,
            "high" => Self::High,
            "xhigh" => Self::XHigh,
            "max" => Self::Max,
            other => Self::Other(other.into()),
        }
    }

    /// The level's name.
    pub fn name(&self) -> &str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::XHigh => "xhigh",
            Self::Max => "max",
            Self::Other(name) => name,
        }
    }
}

/// The form of the answer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum OutputFormat<'a> {
    /// Any JSON object.
    JsonObject,
    /// JSON after a schema.
    JsonSchema {
        /// The schema's name.
        name: Option<Cow<'a, str>>,
        /// What the answer is for.
        description: Option<Cow<'a, str>>,
        /// The JSON Schema, as written.
        schema: Option<Raw<'a>>,
        /// Whether the answer must match exactly.
        strict: Option<bool>,
    },
}
