//! Requests and answers of the two chat APIs, in the shapes and sizes that their vendors' are.
#![allow(dead_code, reason = "each bench uses its own part")]

pub mod frames;

use std::fmt;

use portcullis::dialect::{Dialect, anthropic::AnthropicMessages, openai_chat::OpenAiChat};

/// A chat API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    Chat,
    Messages,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Instructions and nine turns, 2.3 KB.
    Ten,
    /// Instructions and sixty-four turns of a kilobyte.
    History64K,
    /// One image of a megabyte, in base64.
    Image1M,
}

/// What a streamed answer is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    Text,
    Reasoning,
    Arguments,
}

impl Api {
    pub const BOTH: [Self; 2] = [Self::Chat, Self::Messages];

    pub fn dialect(self) -> &'static dyn Dialect {
        match self {
            Self::Chat => &OpenAiChat,
            Self::Messages => &AnthropicMessages,
        }
    }

    /// Where it is called.
    pub fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Messages => "/v1/messages",
        }
    }

    /// A request to a model.
    pub fn request(self, model: &str, ask: Ask, stream: bool) -> String {
        let turns = match ask {
            Ask::Ten => turns(9, 185),
            Ask::History64K => turns(63, 970),
            Ask::Image1M => match self {
                Self::Chat => {
                    let data = base64(1 << 20);
                    format!(
                        r#"{{"role":"user","content":[{{"type":"text","text":"What is in this picture?"}},{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{data}"}}}}]}}"#
                    )
                }
                Self::Messages => {
                    let data = base64(1 << 20);
                    format!(
                        r#"{{"role":"user","content":[{{"type":"text","text":"What is in this picture?"}},{{"type":"image","source":{{"type":"base64","media_type":"image/png","data":"{data}"}}}}]}}"#
                    )
                }
            },
        };
        let instructions = prose(180);
        match self {
            Self::Chat => format!(
                r#"{{"model":"{model}","messages":[{{"role":"system","content":"{instructions}"}},{turns}],"temperature":0.7,"max_tokens":512,"stream":{stream}}}"#
            ),
            Self::Messages => format!(
                r#"{{"model":"{model}","max_tokens":512,"system":"{instructions}","messages":[{turns}],"temperature":0.7,"stream":{stream}}}"#
            ),
        }
    }

    /// A whole answer of about a kilobyte.
    pub fn answer(self) -> String {
        match self {
            Self::Chat => format!(
                r#"{{"id":"{CHAT_ID}","object":"chat.completion","created":1741569952,"model":"gpt-4o-mini-2024-07-18","choices":[{{"index":0,"message":{{"role":"assistant","content":"{}","refusal":null,"annotations":[]}},"logprobs":null,"finish_reason":"stop"}}],"usage":{{"prompt_tokens":190,"completion_tokens":100,"total_tokens":290,"prompt_tokens_details":{{"cached_tokens":0,"audio_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":0,"audio_tokens":0}}}},"service_tier":"default","system_fingerprint":"fp_50cad350e4"}}"#,
                prose(560)
            ),
            Self::Messages => format!(
                r#"{{"id":"{MESSAGE_ID}","type":"message","role":"assistant","model":"claude-sonnet-4-20250514","content":[{{"type":"text","text":"{}"}}],"stop_reason":"end_turn","stop_sequence":null,"usage":{{"input_tokens":190,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":100,"service_tier":"standard"}}}}"#,
                prose(700)
            ),
        }
    }

    /// The frames of a streamed answer before its pieces: none of them is text.
    pub fn opening(self, made: Made) -> Vec<String> {
        match self {
            Self::Chat => {
                let mut frames = vec![chat_chunk(
                    r#"[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}]"#,
                )];
                if made == Made::Arguments {
                    frames.push(chat_chunk(
                        r#"[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_9","type":"function","function":{"name":"look_up","arguments":""}}]},"logprobs":null,"finish_reason":null}]"#,
                    ));
                }
                frames
            }
            Self::Messages => {
                let block = match made {
                    Made::Text => r#"{"type":"text","text":""}"#,
                    Made::Reasoning => r#"{"type":"thinking","thinking":"","signature":""}"#,
                    Made::Arguments => r#"{"type":"tool_use","id":"toolu_9","name":"look_up","input":{}}"#,
                };
                vec![
                    message_event(
                        "message_start",
                        &format!(
                            r#""message":{{"id":"{MESSAGE_ID}","type":"message","role":"assistant","model":"claude-sonnet-4-20250514","content":[],"stop_reason":null,"stop_sequence":null,"usage":{{"input_tokens":190,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":1}}}}"#
                        ),
                    ),
                    message_event("content_block_start", &format!(r#""index":0,"content_block":{block}"#)),
                ]
            }
        }
    }

    /// The frame of one piece, the one at this position.
    pub fn piece(self, made: Made, at: usize) -> String {
        let text = TOKENS[at % TOKENS.len()];
        match self {
            Self::Chat => {
                let delta = match made {
                    Made::Text => format!(r#"{{"content":"{text}"}}"#),
                    Made::Reasoning => format!(r#"{{"reasoning_content":"{text}"}}"#),
                    Made::Arguments => format!(r#"{{"tool_calls":[{{"index":0,"function":{{"arguments":"{text}"}}}}]}}"#),
                };
                chat_chunk(&format!(r#"[{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":null}}]"#))
            }
            Self::Messages => {
                let delta = match made {
                    Made::Text => format!(r#"{{"type":"text_delta","text":"{text}"}}"#),
                    Made::Reasoning => format!(r#"{{"type":"thinking_delta","thinking":"{text}"}}"#),
                    Made::Arguments => format!(r#"{{"type":"input_json_delta","partial_json":"{text}"}}"#),
                };
                message_event("content_block_delta", &format!(r#""index":0,"delta":{delta}"#))
            }
        }
    }

    /// A streamed answer of so many pieces of text, frame by frame.
    pub fn stream(self, pieces: usize) -> Vec<String> {
        let mut frames = self.opening(Made::Text);
        frames.extend((0..pieces).map(|at| self.piece(Made::Text, at)));
        match self {
            Self::Chat => {
                frames.push(chat_chunk(r#"[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]"#));
                frames.push(
                    chat_chunk("[]")
                        .replace(r#""usage":null"#, r#""usage":{"prompt_tokens":190,"completion_tokens":100,"total_tokens":290}"#),
                );
                frames.push("data: [DONE]\n\n".to_owned());
            }
            Self::Messages => {
                frames.push(message_event("content_block_stop", r#""index":0"#));
                frames.push(message_event(
                    "message_delta",
                    r#""delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":100}"#,
                ));
                frames.push("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n".to_owned());
            }
        }
        frames
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Chat => "chat",
            Self::Messages => "messages",
        })
    }
}

/// A user and a model in turns.
fn turns(count: usize, length: usize) -> String {
    let turn = |at| format!(r#"{{"role":"{}","content":"{}"}}"#, if at % 2 == 0 { "user" } else { "assistant" }, prose(length));
    (0..count).map(turn).collect::<Vec<_>>().join(",")
}

/// Text as people write it: with a line break here and there.
fn prose(length: usize) -> String {
    let line =
        r"Who keeps a gate keeps it for those who pass, and writes down who did; nobody waits there longer than the hinge needs to turn.\n";
    line.chars().cycle().take(length).collect::<String>().trim_end_matches('\\').to_owned()
}

fn base64(length: usize) -> String {
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9Q".chars().cycle().take(length / 4 * 4).collect()
}

fn chat_chunk(choices: &str) -> String {
    format!(
        "data: {{\"id\":\"{CHAT_ID}\",\"object\":\"chat.completion.chunk\",\"created\":1741569952,\"model\":\"gpt-4o-mini-2024-07-18\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_50cad350e4\",\"choices\":{choices},\"usage\":null}}\n\n"
    )
}

fn message_event(kind: &str, members: &str) -> String {
    format!("event: {kind}\ndata: {{\"type\":\"{kind}\",{members}}}\n\n")
}

/// Pieces as tokenizers make them; one needs an escape.
const TOKENS: [&str; 8] = [" the", " gate", "keeper", ",", " who", r"\n\n", " écoute", " unhurriedly"];
const CHAT_ID: &str = "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT";
const MESSAGE_ID: &str = "msg_01XFDUDYJgAACzvnptvVoYEL";
