//! The request's wire types.
//!
//! Source: OpenAI API reference, "Create chat completion". Members that others added and callers use are marked with
//! whose they are.
//!
//! Open unions are lists of raw values here: their `type` is looked at first, and only then are they read, so that a broken
//! value of a kind we know is an error and one of a kind we don't know is carried. What is large and seldom there is boxed,
//! so that a request is small to hand on.

use crate::dialect::wire::{Number, Raw, Str, StrOr, wire};

wire! {
    /// Body of `POST /v1/chat/completions`.
    pub struct ChatCompletionRequest<'a> {
        /// The model to ask.
        pub model: Str<'a> = "model",
        /// The conversation.
        pub messages: Vec<Message<'a>> = "messages",
        /// Whether to stream the answer.
        pub stream: bool = "stream",
        /// Options of the stream.
        pub stream_options: StreamOptions<'a> = "stream_options",

        /// The tools the model may call: [`Tool`]s.
        pub tools: Vec<Raw<'a>> = "tools",
        /// Which tool to call.
        pub tool_choice: StrOr<'a, Box<ToolChoice<'a>>> = "tool_choice",
        /// Whether several tools may be called at once.
        pub parallel_tool_calls: bool = "parallel_tool_calls",
        /// The functions the model may call, before there were tools.
        pub functions: Vec<FunctionDefinition<'a>> = "functions",
        /// Which function to call, before there were tools.
        pub function_call: StrOr<'a, Box<FunctionName<'a>>> = "function_call",

        /// The form of the answer.
        pub response_format: Box<ResponseFormat<'a>> = "response_format",
        /// How hard to think.
        pub reasoning_effort: Str<'a> = "reasoning_effort",
        /// How to think, OpenRouter's way.
        pub reasoning: Box<Reasoning<'a>> = "reasoning",
        /// How to think, Anthropic's way.
        pub thinking: Box<Thinking<'a>> = "thinking",

        /// The most tokens to generate, reasoning included.
        pub max_completion_tokens: Number<'a> = "max_completion_tokens",
        /// The same, as the Responses API calls it.
        pub max_output_tokens: Number<'a> = "max_output_tokens",
        /// The same, as it was called first.
        pub max_tokens: Number<'a> = "max_tokens",
        /// Up to four sequences that end the answer.
        pub stop: StrOr<'a, Vec<Str<'a>>> = "stop",
        /// How many choices to make.
        pub n: Number<'a> = "n",

        /// Sampling temperature, 0 to 2.
        pub temperature: Number<'a> = "temperature",
        /// Nucleus sampling.
        pub top_p: Number<'a> = "top_p",
        /// Sampling from the `k` likeliest tokens: of most compatible servers.
        pub top_k: Number<'a> = "top_k",
        /// Penalty for frequent tokens, -2 to 2.
        pub frequency_penalty: Number<'a> = "frequency_penalty",
        /// Penalty for present tokens, -2 to 2.
        pub presence_penalty: Number<'a> = "presence_penalty",
        /// Bias per token id.
        pub logit_bias: Raw<'a> = "logit_bias",
        /// Sampling seed.
        pub seed: Number<'a> = "seed",
        /// Whether to return log probabilities.
        pub logprobs: bool = "logprobs",
        /// How many alternatives per token to return them for, up to 20.
        pub top_logprobs: Number<'a> = "top_logprobs",

        /// The processing tier.
        pub service_tier: Str<'a> = "service_tier",
        /// A stable id of the end user.
        pub safety_identifier: Str<'a> = "safety_identifier",
        /// The same, as it was called first.
        pub user: Str<'a> = "user",
        /// Key-value pairs kept with the call.
        pub metadata: Raw<'a> = "metadata",
        /// A prompt-cache breakpoint after everything: Anthropic's.
        pub cache_control: Box<CacheControl<'a>> = "cache_control",
    }

    /// Options of a stream.
    pub struct StreamOptions<'a> {
        /// Whether to send the usage in a chunk of its own.
        pub include_usage: bool = "include_usage",
    }

    /// One message; which members count depends on the role.
    pub struct Message<'a> {
        /// `system`, `developer`, `user`, `assistant`, `tool` or `function`.
        pub role: Str<'a> = "role",
        /// Its text, or its [`ContentPart`]s.
        pub content: StrOr<'a, Vec<Raw<'a>>> = "content",
        /// A participant's name; a function's, in a `function` message.
        pub name: Box<Str<'a>> = "name",
        /// The model's refusal, replayed.
        pub refusal: Box<Str<'a>> = "refusal",
        /// The calls the model made.
        pub tool_calls: Vec<ToolCall<'a>> = "tool_calls",
        /// The call the model made, before there were tools.
        pub function_call: Box<FunctionCall<'a>> = "function_call",
        /// The call that a `tool` message answers.
        pub tool_call_id: Str<'a> = "tool_call_id",
        /// The model's reasoning, replayed: DeepSeek's and ours.
        pub reasoning_content: Box<Str<'a>> = "reasoning_content",
        /// The same: OpenRouter's, vLLM's, Groq's.
        pub reasoning: Box<Str<'a>> = "reasoning",
        /// Reasoning with what proves or hides it, replayed: OpenRouter's and ours.
        pub reasoning_details: Vec<ReasoningDetail<'a>> = "reasoning_details",
        /// A prompt-cache breakpoint at the message's end: Anthropic's.
        pub cache_control: Box<CacheControl<'a>> = "cache_control",
    }

    /// One part of a message's content, by `type`.
    pub struct ContentPart<'a> {
        /// `text`, `image_url`, `input_audio`, `file` or `refusal`.
        pub kind: Str<'a> = "type",
        /// A text part's text.
        pub text: Str<'a> = "text",
        /// A refusal part's text.
        pub refusal: Str<'a> = "refusal",
        /// An image part's image; some callers write the URL alone.
        pub image_url: StrOr<'a, ImageUrl<'a>> = "image_url",
        /// An audio part's sound.
        pub input_audio: InputAudio<'a> = "input_audio",
        /// A file part's file.
        pub file: File<'a> = "file",
        /// A prompt-cache breakpoint at the part's end: Anthropic's.
        pub cache_control: Box<CacheControl<'a>> = "cache_control",
        /// The same: OpenAI's.
        pub prompt_cache_breakpoint: Box<CacheControl<'a>> = "prompt_cache_breakpoint",
    }

    /// An image.
    pub struct ImageUrl<'a> {
        /// Where it is, or a `data:` URL.
        pub url: Str<'a> = "url",
        /// How closely to look.
        pub detail: Str<'a> = "detail",
    }

    /// Sound.
    pub struct InputAudio<'a> {
        /// Its bytes in base64.
        pub data: Str<'a> = "data",
        /// `wav` or `mp3`.
        pub format: Str<'a> = "format",
    }

    /// A file.
    pub struct File<'a> {
        /// Its bytes as a `data:` URL.
        pub file_data: Str<'a> = "file_data",
        /// Its id in the provider's store.
        pub file_id: Str<'a> = "file_id",
        /// Its name.
        pub filename: Str<'a> = "filename",
    }

    /// A prompt-cache breakpoint.
    pub struct CacheControl<'a> {
        /// `ephemeral`.
        pub kind: Str<'a> = "type",
        /// `explicit`, in OpenAI's own `prompt_cache_breakpoint`.
        pub mode: Str<'a> = "mode",
        /// How long to keep it.
        pub ttl: Str<'a> = "ttl",
    }

    /// A call the model made.
    pub struct ToolCall<'a> {
        /// Its id.
        pub id: Str<'a> = "id",
        /// `function` or `custom`.
        pub kind: Str<'a> = "type",
        /// A function call.
        pub function: FunctionCall<'a> = "function",
        /// A call of a freeform tool.
        pub custom: CustomCall<'a> = "custom",
        /// A cache breakpoint behind it, as some gateways take it.
        pub cache_control: Box<CacheControl<'a>> = "cache_control",
    }

    /// A function call.
    pub struct FunctionCall<'a> {
        /// The function's name.
        pub name: Str<'a> = "name",
        /// Its arguments, as the model wrote them.
        pub arguments: Str<'a> = "arguments",
    }

    /// A call of a freeform tool.
    pub struct CustomCall<'a> {
        /// The tool's name.
        pub name: Str<'a> = "name",
        /// Its input.
        pub input: Str<'a> = "input",
    }

    /// A piece of reasoning.
    pub struct ReasoningDetail<'a> {
        /// `reasoning.text`, `reasoning.summary` or `reasoning.encrypted`.
        pub kind: Str<'a> = "type",
        /// The text of `reasoning.text`.
        pub text: Str<'a> = "text",
        /// What proves it to its issuer.
        pub signature: Str<'a> = "signature",
        /// The text of `reasoning.summary`.
        pub summary: Str<'a> = "summary",
        /// The hidden part, of `reasoning.encrypted`.
        pub data: Str<'a> = "data",
        /// Whose signature or hidden part it is, `anthropic-claude-v1`.
        pub format: Str<'a> = "format",
        /// Its id.
        pub id: Str<'a> = "id",
        /// Its position.
        pub index: Number<'a> = "index",
    }

    /// A tool, by `type`.
    pub struct Tool<'a> {
        /// `function`.
        pub kind: Str<'a> = "type",
        /// The function.
        pub function: FunctionDefinition<'a> = "function",
        /// A prompt-cache breakpoint after it: Anthropic's.
        pub cache_control: Box<CacheControl<'a>> = "cache_control",
    }

    /// A function that the model may call.
    pub struct FunctionDefinition<'a> {
        /// Its name.
        pub name: Str<'a> = "name",
        /// What it does.
        pub description: Str<'a> = "description",
        /// Its arguments' JSON Schema.
        pub parameters: Raw<'a> = "parameters",
        /// Whether arguments must match the schema exactly.
        pub strict: bool = "strict",
        /// A prompt-cache breakpoint after it, where some callers put it.
        pub cache_control: Box<CacheControl<'a>> = "cache_control",
    }

    /// Which tool to call.
    pub struct ToolChoice<'a> {
        /// `function`, `custom` or `allowed_tools`.
        pub kind: Str<'a> = "type",
        /// The function.
        pub function: FunctionName<'a> = "function",
        /// The freeform tool.
        pub custom: FunctionName<'a> = "custom",
        /// The tools it is narrowed to.
        pub allowed_tools: AllowedTools<'a> = "allowed_tools",
    }

    /// A function, named.
    pub struct FunctionName<'a> {
        /// Its name.
        pub name: Str<'a> = "name",
    }

    /// A choice among some of the tools.
    pub struct AllowedTools<'a> {
        /// `auto` or `required`.
        pub mode: Str<'a> = "mode",
        /// The tools, named.
        pub tools: Vec<ToolChoice<'a>> = "tools",
    }

    /// The form of the answer.
    pub struct ResponseFormat<'a> {
        /// `text`, `json_object` or `json_schema`.
        pub kind: Str<'a> = "type",
        /// The schema.
        pub json_schema: JsonSchema<'a> = "json_schema",
    }

    /// JSON after a schema.
    pub struct JsonSchema<'a> {
        /// The schema's name.
        pub name: Str<'a> = "name",
        /// What the answer is for.
        pub description: Str<'a> = "description",
        /// The JSON Schema.
        pub schema: Raw<'a> = "schema",
        /// Whether the answer must match exactly.
        pub strict: bool = "strict",
    }

    /// How to think, OpenRouter's way.
    pub struct Reasoning<'a> {
        /// How hard.
        pub effort: Str<'a> = "effort",
        /// The most tokens.
        pub max_tokens: Number<'a> = "max_tokens",
        /// Whether at all.
        pub enabled: bool = "enabled",
    }

    /// How to think, Anthropic's way.
    pub struct Thinking<'a> {
        /// `enabled`, `adaptive` or `disabled`.
        pub kind: Str<'a> = "type",
        /// The most tokens.
        pub budget_tokens: Number<'a> = "budget_tokens",
    }
}
