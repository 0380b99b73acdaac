//! How requests reach providers.
//!
//! | service | for |
//! | --- | --- |
//! | [`Transport`] | all targets of a catalogue: it picks one of those below, or one of the host's own |
//! | [`HttpClient`] (feature `client`) | providers over HTTP |
//! | [`Demo`] | the demo provider inside the process |
//!
//! Each takes a [`Request<Outgoing>`](crate::stage::Outgoing) and fails with a [`Fault`](crate::fault::Fault) whose phase
//! says how far it came. The head of an answer resolves the future, whatever its status: what it means, redirects and
//! refusals included, is for the layers above. So are all deadlines but the one to connect.
//!
//! They are always ready, and bound nothing: how many calls run at once is for a limit above. Bodies hold what was read
//! and not taken, at most 64 KiB; an answer that is not read is not read from the socket either.
//!
//! # The demo
//!
//! [`Demo`] speaks OpenAI's and Anthropic's words, chosen by the path's end, streamed or whole, and is deterministic: the
//! same request has the same answer, ids included. It reaches nobody.
//!
//! | path | answer |
//! | --- | --- |
//! | `/chat/completions`, `/messages` | the last user's or tool's text, word by word |
//! | `/embeddings` | unit vectors of 256 or `dimensions` numbers: texts that share words are near each other; at most 2,048 texts and 1,048,576 numbers |
//! | `/moderations` | flags the categories that the text names: `violence`, `self-harm/intent`; at most 2,048 texts |
//! | `/images/generations` | images of one pixel |
//! | anything else | 404 |
//!
//! A chat's echo ends at its length limit (16,384 tokens at most, all choices together) and at stop sequences, and is
//! counted honestly, a token being a word of at most 16 characters. Content that is not text is named: `[image_url]`.
//! Where JSON is asked for and the text is none, it is put into `{"echo": ...}`.
//!
//! To see a tool called, let the user's text be one line per call: `call NAME {"an": "object"}`, NAME being one of the
//! request's tools. A tool that must be called (`tool_choice`) and isn't named is called with `{}`.

#[cfg(feature = "client")]
mod client;
mod demo;
mod service;

#[cfg(feature = "client")]
pub use self::client::{HttpClient, HttpClientBuilder, HttpFuture, ProviderBody};
pub use self::{
    demo::{Demo, DemoBody, DemoFuture},
    service::{NoHttp, Transport, TransportBody, TransportFuture},
};
