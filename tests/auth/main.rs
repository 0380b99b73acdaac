//! Keys: who is let through, who is told what, and what it costs the store.

mod cache;
mod canary;
mod headers;
mod service;
#[cfg(feature = "sqlite")]
mod sqlite;
mod support;
