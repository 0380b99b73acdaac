//! What the tests share: a provider that plays scripts, and targets that lead to it.
#![allow(dead_code, reason = "each test file uses its own part")]

pub mod answers;
pub mod provider;
pub mod script;
#[cfg(feature = "client")]
pub mod stack;
pub mod target;
#[cfg(feature = "client")]
pub mod tls;
