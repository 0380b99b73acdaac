//! What is lost on the way into Messages, and what a Messages caller can say that the hub has no word for.

use super::NAME;
use crate::dialect::{Fate, Loss, Side};

/// Every entry of this dialect.
pub static LOSSES: &[&Loss] = &[
    &AUDIO,
    &BLOCK_MEMBER,
    &CACHE_MARKER,
    &CHOICES,
    &CITATIONS,
    &DOCUMENT_TYPE,
    &FOREIGN_BLOCK,
    &FOREIGN_TOOL,
    &FREQUENCY_PENALTY,
    &IMAGE_DETAIL,
    &IMAGE_TITLE,
    &IMAGE_TYPE,
    &INSTRUCTION_MOVED,
    &JSON_OBJECT,
    &LOGIT_BIAS,
    &LOGPROBS,
    &MEMBER,
    &METADATA,
    &OUTPUT_EMULATED,
    &OUTPUT_SCHEMA,
    &PARTICIPANT_NAME,
    &PRESENCE_PENALTY,
    &REASONING_BUDGET,
    &REASONING_EFFORT,
    &REASONING_FOREIGN,
    &REASONING_OFF,
    &REASONING_UNKNOWN,
    &SAMPLING_EXCLUSIVE,
    &SAMPLING_FIXED,
    &SAMPLING_THINKING,
    &SEED,
    &SERVICE_TIER,
    &SERVICE_TIER_PRIORITY,
    &STOP_BLANK,
    &STRICT_TOOL,
    &TEMPERATURE,
    &TOOL_ARGUMENTS,
    &TOOL_CALL_NAMELESS,
    &TOOL_CHOICE_THINKING,
    &TOOL_NAME,
    &TOOL_RESULT_ORPHAN,
    &ANSWER_ARGUMENTS,
    &ANSWER_BLOCK,
    &ANSWER_CHOICES,
    &ANSWER_CITATION,
    &ANSWER_FINGERPRINT,
    &ANSWER_FINISH_REASON,
    &ANSWER_LOGPROBS,
    &ANSWER_MEMBER,
    &ANSWER_REASONING_TOKEN,
    &ANSWER_SERVICE_TIER,
];

/// A request's entry.
const fn request(id: &'static str, what: &'static str, fate: Fate, why: &'static str) -> Loss {
    Loss { id, side: Side::Request, to: NAME, from: &[], what, fate, why }
}

/// An answer's entry.
const fn answer(id: &'static str, what: &'static str, fate: Fate, why: &'static str) -> Loss {
    Loss { id, side: Side::Answer, to: NAME, from: &[], what, fate, why }
}

/// A member of a Messages request, on its way to any other dialect.
pub static MEMBER: Loss = Loss {
    id: "anthropic.member",
    side: Side::Request,
    to: "*",
    from: &[NAME],
    what: "a top-level member such as `container`, `context_management`, `mcp_servers`, `cache_control`, `inference_geo`, `speed`",
    fate: Fate::Dropped,
    why: "only Anthropic has it",
};

/// A member deeper inside a Messages request, on its way to any other dialect.
pub static BLOCK_MEMBER: Loss = Loss {
    id: "anthropic.member.nested",
    side: Side::Request,
    to: "*",
    from: &[NAME],
    what: "a member inside a message, block, tool or setting, such as `defer_loading`, `toolset_name`, `thinking.display`",
    fate: Fate::Dropped,
    why: "only Anthropic has it",
};

pub static AUDIO: Loss = request("anthropic.request.audio", "sound, such as `input_audio`", Fate::Refused, "Messages takes no sound");
pub static CACHE_MARKER: Loss = request(
    "anthropic.request.cache_control",
    "a cache breakpoint on reasoning or on a blank text",
    Fate::Dropped,
    "thinking blocks take no breakpoint, and blank texts are not sent",
);
pub static CHOICES: Loss = request("anthropic.request.n", "`n` above 1", Fate::Refused, "a Message is one choice");
pub static CITATIONS: Loss = request(
    "anthropic.request.citations",
    "citations of a replayed text",
    Fate::Dropped,
    "they are not in one of Anthropic's location forms",
);
pub static DOCUMENT_TYPE: Loss = request(
    "anthropic.request.document_type",
    "a document that is neither PDF nor text",
    Fate::Refused,
    "Messages reads PDF and text documents",
);
pub static FOREIGN_BLOCK: Loss =
    request("anthropic.request.foreign_block", "a part that only the caller's dialect knows", Fate::Refused, "the model would not see it");
pub static FOREIGN_TOOL: Loss = request(
    "anthropic.request.foreign_tool",
    "a tool that only the caller's dialect knows, such as chat's `custom`",
    Fate::Refused,
    "the provider could not run it, or would call it with JSON",
);
pub static FREQUENCY_PENALTY: Loss =
    request("anthropic.request.frequency_penalty", "`frequency_penalty`", Fate::Dropped, "Messages has no penalties");
pub static IMAGE_DETAIL: Loss =
    request("anthropic.request.image_detail", "an image's `detail`", Fate::Dropped, "Messages looks at every image alike");
pub static IMAGE_TITLE: Loss =
    request("anthropic.request.image_title", "the name of a file that is an image", Fate::Dropped, "image blocks have no title");
pub static IMAGE_TYPE: Loss = request(
    "anthropic.request.image_type",
    "an image of another type than JPEG, PNG, GIF and WebP, or of none that is known",
    Fate::Refused,
    "Messages looks at JPEG, PNG, GIF and WebP, by the media type or by what the bytes say",
);
pub static INSTRUCTION_MOVED: Loss = request(
    "anthropic.request.instruction_moved",
    "an instruction between messages",
    Fate::Approximated,
    "moved to the end of the system prompt, where every model reads it",
);
pub static JSON_OBJECT: Loss = request(
    "anthropic.request.json_object",
    "an answer that is any JSON object",
    Fate::Approximated,
    "the model answers by calling a tool that takes any object",
);
pub static LOGIT_BIAS: Loss = request("anthropic.request.logit_bias", "`logit_bias`", Fate::Dropped, "Messages does not expose tokens");
pub static LOGPROBS: Loss =
    request("anthropic.request.logprobs", "`logprobs`, `top_logprobs`", Fate::Dropped, "Messages does not expose probabilities");
pub static METADATA: Loss =
    request("anthropic.request.metadata", "`metadata`", Fate::Dropped, "Messages keeps no key-value pairs; its metadata is a user id");
pub static OUTPUT_EMULATED: Loss = request(
    "anthropic.request.output_emulated",
    "structured output",
    Fate::Approximated,
    "this model has none: it answers by calling a tool with that schema, and the call's arguments become the text",
);
pub static OUTPUT_SCHEMA: Loss = request(
    "anthropic.request.output_schema",
    "structured output that is no object",
    Fate::Refused,
    "this model has none: its answer is a tool's input, which is an object",
);
pub static PARTICIPANT_NAME: Loss =
    request("anthropic.request.name", "a participant's `name`", Fate::Dropped, "messages carry a role only");
pub static PRESENCE_PENALTY: Loss =
    request("anthropic.request.presence_penalty", "`presence_penalty`", Fate::Dropped, "Messages has no penalties");
pub static REASONING_BUDGET: Loss = request(
    "anthropic.request.reasoning_budget",
    "a budget of reasoning tokens",
    Fate::Approximated,
    "it must be below `max_tokens`, or the model takes an effort only",
);
pub static REASONING_EFFORT: Loss = request(
    "anthropic.request.reasoning_effort",
    "a reasoning effort that Messages does not name",
    Fate::Approximated,
    "the nearest effort is sent",
);
pub static REASONING_FOREIGN: Loss = request(
    "anthropic.request.reasoning_foreign",
    "replayed reasoning",
    Fate::Dropped,
    "it is unsigned, or signed by somebody other than this provider, which would refuse it",
);
pub static REASONING_OFF: Loss = request(
    "anthropic.request.reasoning_off",
    "reasoning",
    Fate::Dropped,
    "thinking demands the last tool turn's thinking block, room in `max_tokens`, and no forced tool",
);
pub static REASONING_UNKNOWN: Loss =
    request("anthropic.request.reasoning", "reasoning", Fate::Dropped, "this model does not reason on demand");
pub static SAMPLING_EXCLUSIVE: Loss =
    request("anthropic.request.top_p", "`top_p` beside `temperature`", Fate::Dropped, "this model takes one of them");
pub static SAMPLING_FIXED: Loss =
    request("anthropic.request.sampling", "`temperature`, `top_p`, `top_k`", Fate::Dropped, "this model takes no sampling settings");
pub static SAMPLING_THINKING: Loss = request(
    "anthropic.request.sampling_thinking",
    "`temperature`, `top_k`, a `top_p` below 0.95",
    Fate::Dropped,
    "they cannot be set while the model thinks",
);
pub static SEED: Loss = request("anthropic.request.seed", "`seed`", Fate::Dropped, "Messages has no seed");
pub static SERVICE_TIER: Loss = request(
    "anthropic.request.service_tier",
    "a `service_tier` that Messages does not name",
    Fate::Dropped,
    "Messages has `auto` and `standard_only`",
);
pub static SERVICE_TIER_PRIORITY: Loss = request(
    "anthropic.request.service_tier_priority",
    "`service_tier: priority`",
    Fate::Approximated,
    "`auto` is sent: it takes priority capacity where the account has some",
);
pub static STOP_BLANK: Loss = request("anthropic.request.stop", "a stop sequence of white space", Fate::Dropped, "Messages refuses those");
pub static STRICT_TOOL: Loss =
    request("anthropic.request.strict", "a tool's `strict`", Fate::Dropped, "this model or platform has no strict tools");
pub static TEMPERATURE: Loss = request("anthropic.request.temperature", "a `temperature` above 1", Fate::Approximated, "1 is the highest");
pub static TOOL_ARGUMENTS: Loss = request(
    "anthropic.request.tool_arguments",
    "a replayed call's arguments that are no JSON object",
    Fate::Approximated,
    "sent as the `input` member of an object",
);
pub static TOOL_CALL_NAMELESS: Loss =
    request("anthropic.request.tool_call", "a replayed call without a tool's name", Fate::Dropped, "Messages refuses it");
pub static TOOL_CHOICE_THINKING: Loss = request(
    "anthropic.request.tool_choice",
    "a forced tool choice while the model thinks",
    Fate::Approximated,
    "`auto` is sent: a thinking model cannot be forced",
);
pub static TOOL_NAME: Loss = request(
    "anthropic.request.tool_name",
    "a tool's name with other characters than `a-zA-Z0-9_-`, or longer than 128",
    Fate::Renamed,
    "rewritten for the provider, and back in the answer",
);
pub static TOOL_RESULT_ORPHAN: Loss = request(
    "anthropic.request.tool_result",
    "a tool's result whose call is not in the message before",
    Fate::Dropped,
    "Messages refuses it",
);

pub static ANSWER_ARGUMENTS: Loss = answer(
    "anthropic.answer.tool_arguments",
    "a call's arguments that are no JSON object",
    Fate::Approximated,
    "`input` is an object: the text becomes its `input` member",
);
pub static ANSWER_BLOCK: Loss =
    answer("anthropic.answer.block", "a block that only the provider's dialect knows", Fate::Dropped, "Messages has no such block");
pub static ANSWER_CHOICES: Loss = answer("anthropic.answer.choices", "choices after the first", Fate::Dropped, "a Message is one choice");
pub static ANSWER_CITATION: Loss = answer(
    "anthropic.answer.citation",
    "a citation, such as chat's `url_citation`",
    Fate::Dropped,
    "Messages' citations carry an encrypted index that only Anthropic can make",
);
pub static ANSWER_FINGERPRINT: Loss = answer("anthropic.answer.fingerprint", "`system_fingerprint`", Fate::Dropped, "a Message has none");
pub static ANSWER_FINISH_REASON: Loss =
    answer("anthropic.answer.finish_reason", "a reason to stop that Messages does not name", Fate::Approximated, "`end_turn` is written");
pub static ANSWER_LOGPROBS: Loss = answer("anthropic.answer.logprobs", "log probabilities", Fate::Dropped, "a Message has none");
pub static ANSWER_MEMBER: Loss =
    answer("anthropic.answer.member", "a member that only the provider's dialect knows", Fate::Dropped, "a Message has none such");
pub static ANSWER_REASONING_TOKEN: Loss = answer(
    "anthropic.answer.reasoning_token",
    "another issuer's signature or hidden reasoning",
    Fate::Dropped,
    "sent back as a thinking block it would pass for Anthropic's, who would refuse it",
);
pub static ANSWER_SERVICE_TIER: Loss = answer(
    "anthropic.answer.service_tier",
    "a service tier other than standard, priority or batch",
    Fate::Dropped,
    "Messages names these three",
);
