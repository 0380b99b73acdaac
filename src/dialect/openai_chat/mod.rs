//! OpenAI Chat Completions: `POST /v1/chat/completions`.
//!
//! The dialect that most servers speak, OpenAI's own and "compatible" ones. The wire types are OpenAI's; where a
//! compatible server differs in a way that matters (reasoning, usage, errors), the reading side knows it and says whose
//! it is, and the writing side writes the form that is most widely read:
//!
//! | what | written as | read also from |
//! | --- | --- | --- |
//! | reasoning | `reasoning_content` | `reasoning`, `reasoning_details`, Mistral's `thinking` pieces |
//! | signatures, hidden reasoning | `reasoning_details` (OpenRouter's form; `format` names the issuer) | the same |
//! | prompt-cache breakpoints | `cache_control` where the provider takes it | `prompt_cache_breakpoint` too |
//! | the id of an answer | the gateway's own | |
//!
//! | file | does |
//! | --- | --- |
//! | `request`, `decode`, `encode`, `patch` | a request's wire types; caller's to hub; hub to provider's; the same dialect's edits |
//! | `reply`, `decoder` | an answer's wire types; a provider's answer, whole or streamed, to events |
//! | `encoder`, `answer`, `finish`, `tier`, `annotation` | events to chunks; a whole answer |
//! | `relay` | a provider's answer to a caller of the same dialect: bytes, with a few spliced in |
//! | `usage`, `reasoning`, `error` | what both directions share |
//! | `grammar`, `losses` | the checker of streams; the rows of the loss table |

mod annotation;
mod answer;
mod decode;
mod decoder;
mod encode;
mod encoder;
pub(in crate::dialect) mod error;
mod finish;
mod grammar;
mod losses;
mod patch;
mod reasoning;
mod relay;
mod reply;
mod request;
mod tier;
mod usage;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};

use super::{
    AnswerOptions, Decoder, Dialect, Edits, Encoder, Exchange, Loss, Losses, Pipe, Stamp, Target,
    conversation::{Answer, Request},
    grammar::Grammar,
    scan::Members,
};
use crate::fault::{Detail, Fault};

/// OpenAI Chat Completions.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenAiChat;

/// The dialect's name.
const NAME: &str = "openai-chat";

impl Dialect for OpenAiChat {
    fn name(&self) -> &'static str {
        NAME
    }

    fn title(&self) -> &'static str {
        "OpenAI Chat Completions"
    }

    fn losses(&self) -> &'static [&'static Loss] {
        losses::ALL
    }

    fn decode_request<'a>(&self, body: &'a str, losses: &mut Losses) -> Result<Request<'a>, Vec<Detail>> {
        decode::request(body, losses)
    }

    fn encode_request(
        &self,
        request: &Request<'_>,
        target: &Target<'_>,
        out: &mut BytesMut,
        losses: &mut Losses,
    ) -> Result<Exchange, Vec<Detail>> {
        encode::request(request, target, out, losses)
    }

    fn patch_request(&self, body: &[u8], members: &Members, target: &Target<'_>, edits: &mut Edits) {
        patch::request(body, members, target, edits);
    }

    fn decoder(&self, exchange: &Exchange) -> Box<dyn Decoder> {
        Box::new(decoder::ChatDecoder::new(exchange))
    }

    fn encoder(&self, stamp: Stamp, options: AnswerOptions) -> Box<dyn Encoder> {
        Box::new(encoder::ChatEncoder::new(stamp, options))
    }

    fn encode_answer(&self, answer: &Answer<'_>, stamp: &Stamp, options: &AnswerOptions, out: &mut BytesMut, losses: &mut Losses) {
        answer::write(answer, stamp, options, out, losses);
    }

    fn relay(&self, stamp: Stamp, options: AnswerOptions) -> Box<dyn Pipe> {
        Box::new(relay::ChatRelay::new(stamp, options))
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

    fn keep_alive(&self) -> &'static [u8] {
        b": keep-alive\n\n"
    }

    fn grammar(&self) -> Box<dyn Grammar> {
        Box::new(grammar::ChatGrammar::default())
    }
}
