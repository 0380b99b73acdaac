//! Anthropic Messages: `POST /v1/messages`.
//!
//! | file | what |
//! | --- | --- |
//! | `request` | the request's words |
//! | `decode`, `encode` | request to hub, hub to request |
//! | `reply` | the answer's words: a Message, and the events that stream one |
//! | `decoder` | a Message, streamed or whole, to events |
//! | `encoder`, `answer` | events to a stream, a folded answer to a Message |
//! | `relay` | Messages to Messages: bytes with a few additions |
//! | `error`, `grammar`, `losses`, `usage` | faults both ways; what a strict client accepts; what is lost; token counts |
//!
//! Facts are those of Anthropic's API reference and of the types in its Python SDK (2.12).
//!
//! # Versions
//!
//! `anthropic-version` is `2023-06-01` or `2026-10-21`, which the SDKs send since their types are those of it. The later one
//! refuses `temperature`, `top_k` and `top_p`, documents in an assistant's turn and citations in a user's; answers have one
//! shape under both. The caller's header passes through; where a request is translated, the preset's `2023-06-01` goes up,
//! so that models which take sampling settings can be given them.

mod answer;
mod decode;
mod decoder;
mod encode;
mod encoder;
mod error;
mod grammar;
mod losses;
mod media;
mod names;
mod relay;
mod reply;
mod request;
mod usage;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};

use super::{
    AnswerOptions, Decoder, Dialect, Edits, Encoder, Exchange, GATEWAY_MEMBERS, Loss, Losses, Pipe, Stamp, Target,
    conversation::{Answer, Request},
    grammar::Grammar,
    scan::Members,
};
use crate::fault::{Detail, Fault};

/// The dialect's name.
const NAME: &str = "anthropic-messages";

/// Who signs the thinking in this dialect's answers.
const ISSUER: &str = "anthropic";

/// The Anthropic Messages API.
#[derive(Clone, Copy, Debug)]
pub struct AnthropicMessages;

impl Dialect for AnthropicMessages {
    fn name(&self) -> &'static str {
        NAME
    }

    fn title(&self) -> &'static str {
        "Anthropic Messages"
    }

    fn losses(&self) -> &'static [&'static Loss] {
        losses::LOSSES
    }

    fn decode_request<'a>(&self, body: &'a str, losses: &mut Losses) -> Result<Request<'a>, Vec<Detail>> {
        decode::decode(body, losses)
    }

    fn encode_request(
        &self,
        request: &Request<'_>,
        target: &Target<'_>,
        out: &mut BytesMut,
        losses: &mut Losses,
    ) -> Result<Exchange, Vec<Detail>> {
        encode::encode(request, target, out, losses)
    }

    fn patch_request(&self, body: &[u8], members: &Members, target: &Target<'_>, edits: &mut Edits) {
        edits.set_text(body, members, "model", target.model);
        edits.remove_all(body, members, &GATEWAY_MEMBERS);
    }

    fn decoder(&self, exchange: &Exchange) -> Box<dyn Decoder> {
        Box::new(decoder::MessageDecoder::new(exchange))
    }

    fn encoder(&self, stamp: Stamp, options: AnswerOptions) -> Box<dyn Encoder> {
        Box::new(encoder::MessageEncoder::new(stamp, options))
    }

    fn encode_answer(&self, answer: &Answer<'_>, stamp: &Stamp, options: &AnswerOptions, out: &mut BytesMut, losses: &mut Losses) {
        answer::write(answer, stamp, options, out, losses);
    }

    fn relay(&self, stamp: Stamp, options: AnswerOptions) -> Box<dyn Pipe> {
        Box::new(relay::MessageRelay::new(stamp, options))
    }

    fn decode_fault(&self, status: StatusCode, headers: &HeaderMap, body: &Bytes) -> Fault {
        error::decode(status, headers, body)
    }

    fn encode_fault(&self, fault: &Fault, generation_id: &str, out: &mut BytesMut) {
        error::encode(fault, generation_id, out);
    }

    fn encode_fault_event(&self, fault: &Fault, generation_id: &str, out: &mut BytesMut) {
        error::encode_event(fault, generation_id, out);
    }

    fn fault_status(&self, fault: &Fault) -> StatusCode {
        error::status(fault)
    }

    fn keep_alive(&self) -> &'static [u8] {
        b"event: ping\ndata: {\"type\": \"ping\"}\n\n"
    }

    fn grammar(&self) -> Box<dyn Grammar> {
        Box::new(grammar::MessageGrammar::default())
    }
}
