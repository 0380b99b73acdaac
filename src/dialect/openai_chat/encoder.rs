//! Writes a streamed answer, chunk by chunk.
//!
//! ```text
//! per choice:   {role}  ({content} | {refusal} | {reasoning_content} | {reasoning_details} | {tool_calls} | {annotations} | logprobs)*  {finish_reason}
//! at the end:   {choices: [], usage | meta}?  [DONE]
//! ```
//!
//! Every chunk has the same `id`, `created` and `model`. `provider` stands in the first chunk and in the usage chunk;
//! `native_response_id` and `meta` in the usage chunk alone. Where the caller asked for `meta` and not for usage, they stand in
//! the first chunk that leaves no choice open; where usage was asked for and is not known, in a chunk without choices.

use std::{fmt, sync::Arc};

use bytes::BytesMut;
use smallvec::SmallVec;

use super::{annotation, finish, losses, reasoning, tier, usage};
use crate::dialect::{
    AnswerOptions, Encoder, Losses, Stamp, Usage,
    conversation::{BlockId, Delta, Event, FinishReason, Opening, Reasoning},
    json::{self, Object},
};

/// A writer of one streamed answer.
pub(super) struct ChatEncoder {
    head: Head,
    options: AnswerOptions,
    choices: SmallVec<[Choice; 1]>,
    open: SmallVec<[Open; 2]>,
    usage: Option<Usage>,
    /// The provider's id of the answer.
    id: Option<String>,
    /// The model that answers, if the provider said.
    model: Option<Arc<str>>,
    /// How many choices have ended.
    ended: usize,
    /// Whether `meta` was told.
    told: bool,
}

/// What all chunks begin with.
struct Head {
    stamp: Stamp,
    service_tier: Option<&'static str>,
    fingerprint: Option<String>,
    /// `data: {"id":...,"choices":`, once something was written; empty before.
    text: BytesMut,
}

/// A choice that was begun.
struct Choice {
    index: u32,
    /// Tool calls so far.
    tool_calls: u64,
    /// Items of `reasoning_details` so far.
    details: usize,
    /// Characters of content so far: what annotations count in.
    written: u64,
}

/// A block that is open.
struct Open {
    block: BlockId,
    choice: u32,
    kind: Kind,
}

enum Kind {
    Text {
        start: u64,
        citations: Vec<(&'static str, String)>,
    },
    Refusal,
    /// Its text is kept until the signature comes, which proves that text.
    Reasoning(Reasoning<'static>),
    ToolCall {
        index: u64,
        arguments: bool,
    },
    /// A block that this API cannot show.
    Hidden,
}

impl ChatEncoder {
    pub(super) fn new(stamp: Stamp, options: AnswerOptions) -> Self {
        Self {
            head: Head { stamp, service_tier: None, fingerprint: None, text: BytesMut::new() },
            options,
            choices: SmallVec::new(),
            open: SmallVec::new(),
            usage: None,
            id: None,
            model: None,
            ended: 0,
            told: false,
        }
    }

    /// The choice of this number, begun with its role if it is new.
    fn choice(&mut self, index: u32, out: &mut BytesMut) -> &mut Choice {
        let at = self.choices.iter().position(|choice| choice.index == index).unwrap_or_else(|| {
            let first = self.choices.is_empty();
            let notes = self.options.notes.as_ref().filter(|_| first);
            self.head.chunk(index, out, |delta| {
                delta.raw("role", "\"assistant\"").raw("content", "\"\"").raw("refusal", "null");
            });
            if let Some(notes) = notes {
                after(out, |object| {
                    object.str("provider", notes.provider());
                });
            }
            self.choices.push(Choice { index, tool_calls: 0, details: 0, written: 0 });
            self.choices.len() - 1
        });
        &mut self.choices[at]
    }

    fn open(&mut self, block: BlockId, index: u32, opening: &Opening<'_>, out: &mut BytesMut, losses: &mut Losses) {
        let choice = self.choice(index, out);
        let kind = match opening {
            Opening::Text => Kind::Text { start: choice.written, citations: Vec::new() },
            Opening::Refusal => Kind::Refusal,
            Opening::Reasoning => Kind::Reasoning(Reasoning::default()),
            Opening::Redacted { data, issuer } => {
                let hidden = Reasoning { redacted: Some((&**data).into()), issuer: Some((&**issuer).into()), ..Reasoning::default() };
                self.detail(index, &hidden, out);
                Kind::Hidden
            }
            Opening::ToolCall { id, name } => {
                let number = choice.tool_calls;
                choice.tool_calls += 1;
                self.head.chunk(index, out, |delta| {
                    let mut calls = delta.array("tool_calls");
                    let mut call = calls.object();
                    call.number("index", number).str("id", id).raw("type", "\"function\"");
                    let mut function = call.object("function");
                    function.str("name", name).raw("arguments", "\"\"");
                    function.end();
                    call.end();
                    calls.end();
                });
                Kind::ToolCall { index: number, arguments: false }
            }
            Opening::Unknown { kind, .. } => {
                losses.report_at(&losses::ANSWER_UNKNOWN_BLOCK, format!("/{kind}"));
                Kind::Hidden
            }
        };
        self.open.push(Open { block, choice: index, kind });
    }

    fn delta(&mut self, block: BlockId, delta: &Delta<'_>, out: &mut BytesMut) {
        let Some(open) = self.open.iter_mut().find(|open| open.block == block) else { return };
        let index = open.choice;
        match (&mut open.kind, delta) {
            (Kind::Text { .. }, Delta::Text(text)) => {
                self.head.chunk(index, out, |delta| {
                    delta.str("content", text);
                });
                if let Some(choice) = self.choices.iter_mut().find(|choice| choice.index == index) {
                    choice.written += text.chars().count() as u64;
                }
            }
            (Kind::Text { citations, .. }, Delta::Citation { dialect, raw }) => citations.push((dialect, raw.clone().into_owned())),
            (Kind::Refusal, Delta::Text(text)) => self.head.chunk(index, out, |delta| {
                delta.str("refusal", text);
            }),
            (Kind::Reasoning(reasoning), Delta::Text(text)) => {
                reasoning.text.to_mut().push_str(text);
                self.head.chunk(index, out, |delta| {
                    delta.str("reasoning_content", text);
                });
            }
            (Kind::Reasoning(reasoning), Delta::Signature { signature, issuer }) => {
                reasoning.signature.get_or_insert_default().to_mut().push_str(signature);
                reasoning.issuer = Some(issuer.clone().into_owned().into());
            }
            (Kind::ToolCall { index: number, arguments }, Delta::Arguments(text)) if !text.is_empty() => {
                *arguments = true;
                let number = *number;
                self.head.arguments(index, number, text, out);
            }
            // Hidden, or a delta of another kind than its block: nothing to show.
            _ => {}
        }
    }

    fn close(&mut self, block: BlockId, out: &mut BytesMut, losses: &mut Losses) {
        let Some(at) = self.open.iter().position(|open| open.block == block) else { return };
        let Open { choice: index, kind, .. } = self.open.swap_remove(at);
        match kind {
            // A tool without parameters: its arguments are an empty object, said once.
            Kind::ToolCall { index: number, arguments: false } => self.head.arguments(index, number, "{}", out),
            Kind::Reasoning(reasoning) if reasoning.signature.is_some() => self.detail(index, &reasoning, out),
            Kind::Text { start, citations } if !citations.is_empty() => {
                let end = self.choices.iter().find(|choice| choice.index == index).map_or(start, |choice| choice.written);
                self.head.chunk(index, out, |delta| {
                    let mut list = delta.array("annotations");
                    for (dialect, raw) in &citations {
                        annotation::write(&mut list, dialect, raw, start..end, losses);
                    }
                    list.end();
                });
            }
            _ => {}
        }
    }

    /// Writes an item of `reasoning_details`.
    fn detail(&mut self, index: u32, reasoning: &Reasoning<'_>, out: &mut BytesMut) {
        let choice = self.choice(index, out);
        let number = choice.details;
        choice.details += 1;
        self.head.chunk(index, out, |delta| {
            let mut list = delta.array("reasoning_details");
            reasoning::write_detail(list.item(), reasoning, number);
            list.end();
        });
    }

    fn finish_choice(&mut self, index: u32, reason: &FinishReason<'_>, out: &mut BytesMut, losses: &mut Losses) {
        let called = self.choice(index, out).tool_calls > 0;
        let reason = finish::reason(reason, called, losses);
        self.head.open_choice(index, out);
        out.extend_from_slice(b"\"delta\":{},\"logprobs\":null,\"finish_reason\":\"");
        out.extend_from_slice(reason.as_bytes());
        out.extend_from_slice(b"\"}]}\n\n");
        self.ended += 1;
        if self.ended == self.choices.len()
            && !self.options.include_usage
            && let Some(meta) = self.owed()
        {
            self.tell(&meta, out);
        }
    }

    /// `meta`, if the caller asked for it and was not told yet.
    fn owed(&self) -> Option<BytesMut> {
        let notes = self.options.notes.as_ref().filter(|_| !self.told)?;
        let mut meta = BytesMut::new();
        notes.meta(self.model.as_deref(), self.usage.as_ref(), &mut meta).then_some(meta)
    }

    /// Adds to the chunk just written what the usage chunk would tell.
    fn tell(&mut self, meta: &[u8], out: &mut BytesMut) {
        self.told = true;
        after(out, |object| {
            if let Some(id) = &self.id {
                object.str("native_response_id", id);
            }
            object.key("meta").extend_from_slice(meta);
        });
    }
}

impl Encoder for ChatEncoder {
    fn event(&mut self, event: &Event<'_>, out: &mut BytesMut, losses: &mut Losses) {
        match event {
            Event::Start { id, model, .. } => {
                self.id = self.id.take().or(id.as_deref().map(str::to_owned));
                if let Some(model) = model.as_deref().filter(|model| !model.is_empty() && self.head.text.is_empty()) {
                    self.head.stamp.model = model.into();
                    self.model = Some(self.head.stamp.model.clone());
                }
            }
            Event::Open { block, choice, opening } => self.open(*block, *choice, opening, out, losses),
            Event::Delta { block, delta } => self.delta(*block, delta, out),
            Event::Close { block } => self.close(*block, out, losses),
            Event::Logprobs { choice, refusal, elements } => {
                self.choice(*choice, out);
                self.head.logprobs(*choice, *refusal, elements, out);
            }
            Event::Finish { choice, reason, stop_sequence } => {
                if stop_sequence.is_some() {
                    losses.report_at(&losses::ANSWER_STOP_SEQUENCE, "/stop_sequence".to_owned());
                }
                self.finish_choice(*choice, reason, out, losses);
            }
            Event::Usage(usage) => self.usage = usage.believed(),
            Event::ServiceTier(tier) => {
                if let Some(tier) = tier::word(tier, losses) {
                    self.head.tell(|head| head.service_tier = Some(tier));
                }
            }
            Event::Fingerprint(fingerprint) => self.head.tell(|head| head.fingerprint = Some(fingerprint.clone().into_owned())),
            Event::Unknown { kind, .. } => losses.report_at(&losses::ANSWER_UNKNOWN_MEMBER, format!("/{kind}")),
            // An error is the driver's to write; nothing is the keep-alive's.
            Event::Error(_) | Event::Alive => {}
        }
    }

    fn finish(&mut self, out: &mut BytesMut) {
        if let Some(usage) = self.usage.filter(|_| self.options.include_usage) {
            self.head.write(out);
            out.extend_from_slice(b"[],\"usage\":");
            usage::write(out, &usage, &self.options);
            out.extend_from_slice(b"}\n\n");
            if let Some(notes) = &self.options.notes {
                after(out, |object| {
                    object.str("provider", notes.provider());
                    if let Some(id) = &self.id {
                        object.str("native_response_id", id);
                    }
                    object.perhaps("meta", |out| notes.meta(self.model.as_deref(), Some(&usage), out));
                });
            }
        } else if let Some(meta) = self.owed() {
            self.head.write(out);
            out.extend_from_slice(b"[]}\n\n");
            self.tell(&meta, out);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

/// Adds members to the chunk just written, behind its own.
fn after(out: &mut BytesMut, write: impl FnOnce(&mut Object<'_>)) {
    out.truncate(out.len() - b"}\n\n".len());
    let mut object = Object::resume(out);
    write(&mut object);
    object.end();
    out.extend_from_slice(b"\n\n");
}

impl Head {
    /// Learns something that later chunks begin with.
    fn tell(&mut self, learn: impl FnOnce(&mut Self)) {
        learn(self);
        self.text.clear();
    }

    /// Writes what all chunks begin with, up to the value of `choices`.
    fn write(&mut self, out: &mut BytesMut) {
        if self.text.is_empty() {
            self.text.extend_from_slice(b"data: ");
            let mut chunk = Object::begin(&mut self.text);
            chunk.str("id", &self.stamp.id).raw("object", "\"chat.completion.chunk\"");
            chunk.number("created", self.stamp.created).str("model", &self.stamp.model);
            if let Some(tier) = self.service_tier {
                chunk.str("service_tier", tier);
            }
            if let Some(fingerprint) = &self.fingerprint {
                chunk.str("system_fingerprint", fingerprint);
            }
            chunk.key("choices");
        }
        out.extend_from_slice(&self.text);
    }

    /// Writes a chunk up to a choice's first member but its number.
    fn open_choice(&mut self, index: u32, out: &mut BytesMut) {
        self.write(out);
        out.extend_from_slice(b"[{\"index\":");
        json::number(out, index.into());
        out.extend_from_slice(b",");
    }

    /// Writes a chunk with one delta.
    fn chunk(&mut self, index: u32, out: &mut BytesMut, write: impl FnOnce(&mut Object<'_>)) {
        self.open_choice(index, out);
        out.extend_from_slice(b"\"delta\":");
        let mut delta = Object::begin(out);
        write(&mut delta);
        delta.end();
        out.extend_from_slice(b",\"logprobs\":null,\"finish_reason\":null}]}\n\n");
    }

    /// Writes more of a call's arguments: only its number says which call.
    fn arguments(&mut self, index: u32, call: u64, text: &str, out: &mut BytesMut) {
        self.chunk(index, out, |delta| {
            let mut calls = delta.array("tool_calls");
            let mut object = calls.object();
            object.number("index", call);
            let mut function = object.object("function");
            function.str("arguments", text);
            function.end();
            object.end();
            calls.end();
        });
    }

    /// Writes log probabilities, in a chunk of their own behind the text they are of.
    fn logprobs(&mut self, index: u32, refusal: bool, elements: &str, out: &mut BytesMut) {
        self.open_choice(index, out);
        let (before, after) = if refusal { ("{\"content\":null,\"refusal\":[", "]}") } else { ("{\"content\":[", "],\"refusal\":null}") };
        out.extend_from_slice(b"\"delta\":{},\"logprobs\":");
        out.extend_from_slice(before.as_bytes());
        json::line(out, elements);
        out.extend_from_slice(after.as_bytes());
        out.extend_from_slice(b",\"finish_reason\":null}]}\n\n");
    }
}

impl fmt::Debug for ChatEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatEncoder").field("choices", &self.choices.len()).field("open", &self.open.len()).finish_non_exhaustive()
    }
}
