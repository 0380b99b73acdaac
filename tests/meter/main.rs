//! The meter on scripted layers: one record per call, whatever ends it.

mod ends;
mod money;
mod readiness;

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Instant, SystemTime},
};

use bytes::Bytes;
use http::{Method, Request};
use http_body::{Body, Frame};
use portcullis::{
    catalog::{Meter, Price, Provider, Rate, Target, Tier, Timeouts, Wire},
    dialect::{Seen, Usage, scan::Members},
    fault::Fault,
    stage::{AttemptTally, Call, CallFacts, Endpoint, GenerationId, Outcome, Payload, Preferences, Principal},
};

/// A call of 400 bytes: about 100 tokens.
fn call(stream: bool) -> Request<Call> {
    let Ok(Endpoint::Call { operation, dialect }) = Endpoint::at(&Method::POST, "/v1/chat/completions") else {
        unreachable!("the path is listed")
    };
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
        created: SystemTime::UNIX_EPOCH,
    };
    let mut request = Request::new(Call::new(facts, Payload::Whole("x".repeat(400).into())));
    request.extensions_mut().insert(Principal::builder("team").key("k1").metadata("owner", "ann").build());
    request
}

/// A target whose prices are USD per million, for input and output.
fn target(provider: &str, input: &str, output: &str) -> Arc<Target> {
    let rate = |text, meter| Rate::parse(text, meter).unwrap();
    let tier = Tier::default().rate(Meter::Input, rate(input, Meter::Input)).rate(Meter::Output, rate(output, Meter::Output));
    priced(provider, Some(Price::flat(tier)))
}

fn priced(provider: &str, price: Option<Price>) -> Arc<Target> {
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

fn usage(input: u64, output: u64) -> Usage {
    Usage { input, output, ..Usage::default() }
}

fn seen(usage: Option<Usage>, output_bytes: u64) -> Seen {
    let mut seen = Seen::default();
    (seen.usage, seen.output_bytes, seen.content) = (usage, output_bytes, output_bytes > 0);
    seen
}

/// What a scripted body does at a poll.
enum Step {
    Data(&'static str),
    /// Reports to the tally, as translate does while it reads, then gives data.
    Report(AttemptTally, Box<Seen>, Option<Outcome>, &'static str),
    Pending,
    /// Stays pending for good.
    Stall,
    Fail(Fault),
    Panic,
}

/// A body that follows a script. `ends` says whether it knows its end beforehand.
struct Script {
    steps: VecDeque<Step>,
    ends: bool,
}

fn script(steps: impl IntoIterator<Item = Step>) -> Script {
    Script { steps: steps.into_iter().collect(), ends: false }
}

impl Body for Script {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let data = |text: &'static str| Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(text.as_bytes())))));
        match self.steps.pop_front() {
            None => Poll::Ready(None),
            Some(Step::Data(text)) => data(text),
            Some(Step::Report(tally, seen, outcome, text)) => {
                tally.seen(&seen);
                if let Some(outcome) = outcome {
                    tally.end(outcome, None);
                }
                data(text)
            }
            Some(Step::Pending) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Step::Stall) => {
                self.steps.push_front(Step::Stall);
                Poll::Pending
            }
            Some(Step::Fail(fault)) => Poll::Ready(Some(Err(fault))),
            Some(Step::Panic) => panic!("the body panicked"),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ends && self.steps.is_empty()
    }
}
