//! Portcullis is an LLM gateway made of Tower layers.
#![forbid(unsafe_code)]

pub mod api;
pub mod auth;
pub mod catalog;
#[cfg(feature = "config")]
pub mod command;
#[cfg(feature = "config")]
pub mod config;
pub mod dialect;
pub mod fault;
pub mod gateway;
pub mod meter;
pub mod normalize;
pub mod retry;
pub mod route;
#[cfg(feature = "server")]
pub mod server;
pub mod stage;
pub mod store;
pub mod translate;
pub mod transport;
