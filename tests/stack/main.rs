//! The whole stack against providers that misbehave, on real sockets.
#![cfg(feature = "client")]

mod bills;
mod ends;
mod errors;
mod failures;
#[path = "../support/mod.rs"]
mod support;

const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";
