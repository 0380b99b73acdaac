//! The meter on scripted layers: one record per call, whatever ends it.

mod alone;
mod ends;
mod line;
#[path = "../support/metered.rs"]
mod metered;
mod money;
mod readiness;

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame};
use portcullis::{
    dialect::Seen,
    fault::Fault,
    stage::{AttemptTally, Outcome},
};

use self::metered::{call, priced, seen, target, usage};

/// What a scripted body does at a poll.
enum Step {
    Data(&'static str),
    Bytes(Bytes),
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
            Some(Step::Bytes(bytes)) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
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
