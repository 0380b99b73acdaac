//! Calls, targets with prices, and what a provider reports, for tests of the meter and of its ledgers.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use http::{Method, Request};
use portcullis::{
    catalog::{Meter, Price, Provider, Rate, Target, Tier, Timeouts, Wire},
    dialect::{Dialect, Seen, Usage, scan::Members},
    stage::{Call, CallFacts, Endpoint, GenerationId, Operation, Payload, Preferences, Principal},
};

/// A call of 400 bytes: about 100 tokens.
pub fn call(stream: bool) -> Request<Call> {
    call_at(SystemTime::UNIX_EPOCH, stream)
}

/// The same, made when the clock said `created`.
pub fn call_at(created: SystemTime, stream: bool) -> Request<Call> {
    let Ok(Endpoint::Call { operation, dialect }) = Endpoint::at(&Method::POST, "/v1/chat/completions") else {
        unreachable!("the path is listed")
    };
    made(operation, dialect, stream, created)
}

/// The same in another operation and dialect.
pub fn call_in(operation: Operation, dialect: &'static dyn Dialect, stream: bool) -> Request<Call> {
    made(operation, dialect, stream, SystemTime::UNIX_EPOCH)
}

fn made(operation: Operation, dialect: &'static dyn Dialect, stream: bool, created: SystemTime) -> Request<Call> {
    let facts = CallFacts {
        operation,
        dialect,
        id: GenerationId::generate(SystemTime::now()),
        model: "gpt".into(),
        stream,
        include_usage: false,
        rich_usage: true,
        meta: false,
        preferences: Preferences { metadata: [("trace".into(), "t1".into())].into(), ..Preferences::default() },
        app: Some("tests".into()),
        members: Members::default(),
        started: Instant::now(),
        created,
    };
    let mut request = Request::new(Call::new(facts, Payload::Whole("x".repeat(400).into())));
    request.extensions_mut().insert(Principal::builder("team").key("k1").metadata("owner", "ann").build());
    request
}

/// A target whose prices are USD per million, for input and output.
pub fn target(provider: &str, input: &str, output: &str) -> Arc<Target> {
    let rate = |text, meter| Rate::parse(text, meter).unwrap();
    let tier = Tier::default().rate(Meter::Input, rate(input, Meter::Input)).rate(Meter::Output, rate(output, Meter::Output));
    priced(provider, Some(Price::flat(tier)))
}

/// A target at `price`.
pub fn priced(provider: &str, price: Option<Price>) -> Arc<Target> {
    Arc::new(Target {
        provider: Arc::new(Provider {
            name: provider.into(),
            kind: "demo".into(),
            wire: Wire::Demo,
            dialects: Vec::new(),
            openai_operations: true,
            issuer: "demo".into(),
            default_headers: Vec::new(),
            timeouts: Timeouts::default(),
        }),
        model: "gpt-1".into(),
        id: "maker/gpt".into(),
        price: price.map(Arc::new),
        capabilities: Arc::default(),
        dialect: None,
        timeouts: Timeouts::default(),
    })
}

/// So many tokens in and out.
pub fn usage(input: u64, output: u64) -> Usage {
    Usage { input, output, ..Usage::default() }
}

/// An answer of so many bytes, in which the provider reported `usage`.
pub fn seen(usage: Option<Usage>, output_bytes: u64) -> Seen {
    let mut seen = Seen::default();
    (seen.usage, seen.output_bytes, seen.content) = (usage, output_bytes, output_bytes > 0);
    seen
}
