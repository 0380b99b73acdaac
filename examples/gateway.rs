//! A gateway of its own: `cargo run --release --features full --example gateway`, and `--help` for the rest.

use std::{
    io::{IsTerminal, stderr},
    process::ExitCode,
};

fn main() -> ExitCode {
    let level = std::env::var("GATEWAY_LOG").ok().and_then(|level| level.parse().ok()).unwrap_or(tracing::Level::INFO);
    tracing_subscriber::fmt().with_max_level(level).with_ansi(stderr().is_terminal()).with_writer(stderr).init();
    portcullis::command::run()
}
