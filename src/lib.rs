//! Portcullis is an LLM gateway made of Tower layers.
#![forbid(unsafe_code)]

pub mod dialect;
pub mod fault;
