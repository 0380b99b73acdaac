//! What Chat Completions cannot say, and what it alone can.
//!
//! Entries *into* this dialect name it as the one that cannot carry. Entries *out of* it (`only_here`) are of members
//! that no other dialect has a word for: they name none, and are met where a caller's request is read.

use crate::dialect::{Fate, Loss, Side};

use super::NAME;

/// Every entry.
pub(super) static ALL: &[&Loss] = &[
    &ADAPTIVE_REASONING,
    &ALLOWED_TOOLS,
    &ANSWER_CITATION,
    &ANSWER_FINISH_REASON,
    &ANSWER_STOP_SEQUENCE,
    &ANSWER_UNKNOWN_BLOCK,
    &ANSWER_UNKNOWN_MEMBER,
    &AUDIO_OUTPUT,
    &CACHE_CONTROL,
    &CITATIONS,
    &DEVELOPER_ROLE,
    &DOCUMENT_CONTEXT,
    &DOCUMENT_SOURCE,
    &DOCUMENT_TEXT,
    &EMPTY_TOOL_NAME,
    &IMAGE_SOURCE,
    &MODERATION,
    &ORPHAN_TOOL_RESULT,
    &OUTPUT_FORMAT,
    &PARTICIPANT_NAME,
    &PREDICTION,
    &PREFILL,
    &PROMPT_CACHE,
    &REASONING,
    &REASONING_BUDGET,
    &REASONING_REPLAY,
    &REASONING_TOKEN,
    &RENAMED_TOOL,
    &SAMPLING,
    &STOP,
    &STORE,
    &STRICT_TOOL,
    &TEMPERATURE,
    &TOOL_RESULT_ERROR,
    &TOOL_RESULT_MEDIA,
    &TOP_K,
    &UNKNOWN_BLOCK,
    &UNKNOWN_MEMBER,
    &UNKNOWN_REPLAY,
    &UNKNOWN_TOOL,
    &USER,
    &VERBOSITY,
    &WEB_SEARCH,
];

/// A top-level member that no other dialect has a word for.
pub(super) struct OnlyHere {
    /// Its name.
    pub(super) member: &'static str,
    /// The value that loses nothing, being what happens anyway.
    pub(super) harmless: Option<&'static str>,
    /// Its entry.
    pub(super) loss: &'static Loss,
}

/// The members that no other dialect has a word for.
pub(super) static ONLY_HERE: &[OnlyHere] = &[
    OnlyHere { member: "audio", harmless: None, loss: &AUDIO_OUTPUT },
    OnlyHere { member: "modalities", harmless: Some("[\"text\"]"), loss: &AUDIO_OUTPUT },
    OnlyHere { member: "moderation", harmless: None, loss: &MODERATION },
    OnlyHere { member: "prediction", harmless: None, loss: &PREDICTION },
    OnlyHere { member: "prompt_cache_key", harmless: None, loss: &PROMPT_CACHE },
    OnlyHere { member: "prompt_cache_options", harmless: None, loss: &PROMPT_CACHE },
    OnlyHere { member: "prompt_cache_retention", harmless: None, loss: &PROMPT_CACHE },
    OnlyHere { member: "store", harmless: Some("false"), loss: &STORE },
    OnlyHere { member: "verbosity", harmless: Some("\"medium\""), loss: &VERBOSITY },
    OnlyHere { member: "web_search_options", harmless: None, loss: &WEB_SEARCH },
];

const MESSAGES: &[&str] = &["anthropic-messages"];

const fn request(id: &'static str, from: &'static [&'static str], what: &'static str, fate: Fate, why: &'static str) -> Loss {
    Loss { id, side: Side::Request, to: NAME, from, what, fate, why }
}

const fn answer(id: &'static str, from: &'static [&'static str], what: &'static str, fate: Fate, why: &'static str) -> Loss {
    Loss { id, side: Side::Answer, to: NAME, from, what, fate, why }
}

const fn only_here(id: &'static str, what: &'static str, fate: Fate, why: &'static str) -> Loss {
    Loss { id, side: Side::Request, to: "*", from: &[NAME], what, fate, why }
}

use Fate::{Approximated, Dropped, Refused, Renamed};

// Requests: only here.

pub(super) static ALLOWED_TOOLS: Loss = only_here(
    "openai-chat.only.allowed_tools",
    "`tool_choice.allowed_tools`",
    Approximated,
    "the tools that are not allowed are left out of the request",
);
pub(super) static AUDIO_OUTPUT: Loss =
    only_here("openai-chat.only.audio", "`audio`, `modalities`", Dropped, "no other chat dialect answers in sound");
pub(super) static MODERATION: Loss =
    only_here("openai-chat.only.moderation", "`moderation`", Dropped, "no other dialect moderates a call on the way");
pub(super) static PARTICIPANT_NAME: Loss = only_here(
    "openai-chat.only.instruction_name",
    "`name` of a system or developer message",
    Dropped,
    "instructions have no author elsewhere",
);
pub(super) static PREDICTION: Loss =
    only_here("openai-chat.only.prediction", "`prediction`", Dropped, "no other dialect takes a predicted output; the answer is the same");
pub(super) static PROMPT_CACHE: Loss = only_here(
    "openai-chat.only.prompt_cache",
    "`prompt_cache_key`, `prompt_cache_options`, `prompt_cache_retention`",
    Dropped,
    "other dialects cache by breakpoints or by themselves",
);
pub(super) static STORE: Loss =
    only_here("openai-chat.only.store", "`store`", Dropped, "answers are stored by the provider that made them");
pub(super) static UNKNOWN_MEMBER: Loss =
    only_here("openai-chat.only.unknown", "a member this crate does not know", Dropped, "its meaning is not known");
pub(super) static USER: Loss =
    only_here("openai-chat.only.user", "`user` beside another `safety_identifier`", Dropped, "there is one id of the end user elsewhere");
pub(super) static VERBOSITY: Loss = only_here("openai-chat.only.verbosity", "`verbosity`", Dropped, "no other dialect has such a setting");
pub(super) static WEB_SEARCH: Loss =
    only_here("openai-chat.only.web_search_options", "`web_search_options`", Dropped, "search is a tool elsewhere, with another answer");

// Requests: into Chat Completions.

pub(super) static CACHE_CONTROL: Loss =
    request("openai-chat.request.cache_control", &[], "a prompt-cache breakpoint", Dropped, "the provider caches prompts by itself");
pub(super) static CITATIONS: Loss =
    request("openai-chat.request.citations", MESSAGES, "citations, replayed or asked for", Dropped, "messages have no place for citations");
pub(super) static DEVELOPER_ROLE: Loss =
    request("openai-chat.request.developer_role", &[], "the role `developer`", Approximated, "the provider knows `system` only");
pub(super) static DOCUMENT_CONTEXT: Loss = request(
    "openai-chat.request.document_context",
    MESSAGES,
    "a document's `context`",
    Approximated,
    "it becomes a text part before the document",
);
pub(super) static DOCUMENT_SOURCE: Loss = request(
    "openai-chat.request.document_source",
    &[],
    "a document at a URL",
    Refused,
    "a file part holds data or an id of the provider's own store",
);
pub(super) static ADAPTIVE_REASONING: Loss = request(
    "openai-chat.request.adaptive_reasoning",
    &[],
    "reasoning as much as the model sees fit",
    Approximated,
    "effort is a level here: medium",
);
pub(super) static DOCUMENT_TEXT: Loss =
    request("openai-chat.request.document_text", MESSAGES, "a document of plain text", Approximated, "it becomes a text part");
pub(super) static PREFILL: Loss = request(
    "openai-chat.request.prefill",
    MESSAGES,
    "a last turn of the assistant's, to be continued",
    Approximated,
    "the provider may answer anew instead",
);
pub(super) static UNKNOWN_REPLAY: Loss = request(
    "openai-chat.request.unknown_replay",
    &[],
    "a server tool's call or result, replayed",
    Dropped,
    "a message has no place for what only another dialect knows",
);
pub(super) static EMPTY_TOOL_NAME: Loss =
    request("openai-chat.request.empty_tool_name", &[], "a call without a tool's name, and its result", Dropped, "a name is required");
pub(super) static IMAGE_SOURCE: Loss =
    request("openai-chat.request.image_source", &[], "an image in a file store", Refused, "an image is a URL or data here");
pub(super) static ORPHAN_TOOL_RESULT: Loss =
    request("openai-chat.request.orphan_result", &[], "a tool result without its call", Dropped, "a tool message must answer a call");
pub(super) static OUTPUT_FORMAT: Loss = request(
    "openai-chat.request.output_format",
    &[],
    "the answer's JSON Schema",
    Approximated,
    "the provider takes no schema: JSON is asked for",
);
pub(super) static REASONING: Loss =
    request("openai-chat.request.reasoning", &[], "how to reason", Dropped, "the provider's model does not reason on demand");
pub(super) static REASONING_BUDGET: Loss = request(
    "openai-chat.request.reasoning_budget",
    &[],
    "a budget of reasoning tokens",
    Approximated,
    "effort is a level here: up to 2,048 tokens low, up to 8,192 medium, more high",
);
pub(super) static REASONING_REPLAY: Loss =
    request("openai-chat.request.reasoning_replay", &[], "the model's earlier reasoning", Dropped, "the provider does not take it back");
pub(super) static REASONING_TOKEN: Loss = request(
    "openai-chat.request.reasoning_token",
    &[],
    "a signature or hidden reasoning of another issuer",
    Dropped,
    "an opaque token goes to nobody but its issuer",
);
pub(super) static RENAMED_TOOL: Loss =
    request("openai-chat.request.tool_name", &[], "a tool's name", Renamed, "names are up to 64 letters, digits, `_` and `-`");
pub(super) static SAMPLING: Loss =
    request("openai-chat.request.sampling", &[], "sampling settings", Dropped, "the provider's model has fixed ones");
pub(super) static STOP: Loss = request("openai-chat.request.stop", &[], "stop sequences past the fourth", Dropped, "up to four are taken");
pub(super) static STRICT_TOOL: Loss =
    request("openai-chat.request.strict_tool", &[], "`strict` of a tool", Dropped, "the provider does not take it");
pub(super) static TEMPERATURE: Loss = request(
    "openai-chat.request.temperature",
    &[],
    "a temperature past the provider's highest",
    Approximated,
    "it is cut to the highest taken",
);
pub(super) static TOOL_RESULT_ERROR: Loss =
    request("openai-chat.request.tool_result_error", MESSAGES, "`is_error` of a tool result", Dropped, "the result's text has to tell");
pub(super) static TOOL_RESULT_MEDIA: Loss = request(
    "openai-chat.request.tool_result_media",
    MESSAGES,
    "an image or document in a tool result",
    Approximated,
    "tool messages hold text: it follows in a user message",
);
pub(super) static TOP_K: Loss = request("openai-chat.request.top_k", &[], "`top_k`", Dropped, "there is no such setting");
pub(super) static UNKNOWN_BLOCK: Loss =
    request("openai-chat.request.unknown_block", &[], "a part that only the caller's dialect knows", Refused, "the model would not see it");
pub(super) static UNKNOWN_TOOL: Loss = request(
    "openai-chat.request.unknown_tool",
    &[],
    "a tool that only the caller's dialect knows",
    Refused,
    "the provider could not run it",
);

// Answers: into Chat Completions.

pub(super) static ANSWER_CITATION: Loss = answer(
    "openai-chat.answer.citation",
    MESSAGES,
    "a citation",
    Approximated,
    "annotations are `url_citation`s: of a citation of a document, only the title stays",
);
pub(super) static ANSWER_FINISH_REASON: Loss = answer(
    "openai-chat.answer.finish_reason",
    &[],
    "why the answer ended, more exactly",
    Approximated,
    "there are `stop`, `length`, `tool_calls` and `content_filter`",
);
pub(super) static ANSWER_STOP_SEQUENCE: Loss =
    answer("openai-chat.answer.stop_sequence", MESSAGES, "which stop sequence was met", Dropped, "`stop` says only that one was");
pub(super) static ANSWER_UNKNOWN_BLOCK: Loss = answer(
    "openai-chat.answer.unknown_block",
    &[],
    "a server tool's call or result, or another block that only the provider's dialect knows",
    Dropped,
    "client tools are the only ones a message can show",
);
pub(super) static ANSWER_UNKNOWN_MEMBER: Loss = answer(
    "openai-chat.answer.unknown_member",
    &[],
    "a member that only the provider's dialect knows",
    Dropped,
    "its meaning is not known",
);
