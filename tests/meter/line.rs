//! Ledgers that write what several calls say in one go.

use std::{
    future::{Future, poll_fn},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Poll,
};

use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use portcullis::{
    fault::FaultKind,
    meter::{Intended, Ledger, MemoryLedger, MeterLayer, Queued, Record, UsageSource},
    stage::Call,
};
use tower::{Layer, ServiceExt, service_fn};

use super::*;

/// Puts everything in line, and tells what it is asked in the order it is.
#[derive(Clone, Default)]
struct Line(Arc<Told>);

#[derive(Default)]
struct Told {
    said: Mutex<Vec<&'static str>>,
    number: AtomicU64,
    records: MemoryLedger,
    full: AtomicBool,
}

impl Line {
    fn say(&self, what: &'static str) {
        self.0.said.lock().unwrap().push(what);
    }

    fn said(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.0.said.lock().unwrap())
    }

    fn queue(&self, what: &'static str) -> Option<Queued> {
        self.say(what);
        Some(Queued::new(self.0.number.fetch_add(1, Ordering::Relaxed)))
    }
}

impl Ledger for Line {
    fn settle(&self, _: Record) {
        unreachable!("the meter commits what it queued");
    }

    fn queue_intent(&self, _: &Intended<'_>) -> Result<Option<Queued>, Fault> {
        Ok(self.queue("intent"))
    }

    fn queue_settlement(&self, record: Record) -> Option<Queued> {
        self.0.records.settle(record);
        self.queue("settlement")
    }

    fn commit(&self, _: Queued) -> Result<(), Fault> {
        self.say("commit");
        if self.0.full.load(Ordering::Relaxed) { Err(FaultKind::LedgerUnavailable.into()) } else { Ok(()) }
    }
}

/// A metered call of one attempt, answered with `script`.
fn called(line: &Line, script: Script) -> impl Future<Output = Result<Response<impl Body<Data = Bytes, Error = Fault>>, Fault>> {
    let (dispatched, mut script) = (line.clone(), Some(script));
    let service = service_fn(move |request: Request<Call>| {
        let (dispatched, script) = (dispatched.clone(), script.take().unwrap());
        async move {
            let call = request.into_body();
            let tally = call.tally().begin(call.facts(), &target("one", "1", "2"), 1).await?;
            dispatched.say("dispatch");
            tally.head(200);
            if script.steps.is_empty() {
                tally.seen(&seen(Some(usage(90, 25)), 100));
                tally.end(Outcome::Complete, None);
            }
            Ok::<_, Fault>(Response::new(script))
        }
    });
    MeterLayer::new(line.clone()).layer(service).oneshot(call(true))
}

#[tokio::test]
async fn what_calls_say_at_once_is_committed_together() {
    let line = Line::default();
    let whole = || called(&line, script([]));
    let (one, two, three) = tokio::join!(whole(), whole(), whole());
    assert!([one.is_ok(), two.is_ok(), three.is_ok()].into_iter().all(|answered| answered));
    let said = line.said();
    assert_eq!(said[..4], ["intent", "intent", "intent", "commit"], "{said:?}");
    let settled = said.iter().rposition(|what| *what == "settlement").unwrap();
    assert_eq!(said[settled + 1..], ["commit", "commit", "commit"], "{said:?}");
    assert_eq!(line.0.records.records().len(), 3);
}

#[tokio::test]
async fn nothing_is_dispatched_and_no_end_is_told_before_its_entry_is_written() {
    let line = Line::default();
    let steps = [Step::Data("a"), Step::Data("b")];
    let mut future = Box::pin(called(&line, Script { ends: true, ..script(steps) }));
    let mut polled = async || poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
    assert!(polled().await.is_pending());
    assert_eq!(line.said(), ["intent"]);
    let Poll::Ready(Ok(response)) = polled().await else { panic!("there is no head") };
    assert_eq!(line.said(), ["commit", "dispatch"]);

    let mut body = response.into_body();
    let mut polled = async || poll_fn(|cx| Poll::Ready(Pin::new(&mut body).poll_frame(cx))).await;
    assert!(matches!(polled().await, Poll::Ready(Some(Ok(frame))) if frame.data_ref().unwrap() == "a"));
    assert_eq!(line.said(), [""; 0]);
    assert!(polled().await.is_pending(), "the last frame waits for the record");
    assert_eq!(line.said(), ["settlement"]);
    assert!(matches!(polled().await, Poll::Ready(Some(Ok(frame))) if frame.data_ref().unwrap() == "b"));
    assert_eq!(line.said(), ["commit"]);
    assert!(polled().await.is_ready());
    drop(body);
    assert_eq!(line.said(), [""; 0]);
}

#[tokio::test]
async fn a_frame_that_waits_for_its_record_is_not_forgotten() {
    let line = Line::default();
    let mut body = called(&line, Script { ends: true, ..script([Step::Data("all")]) }).await.unwrap().into_body();
    poll_fn(|cx| Poll::Ready(Pin::new(&mut body).poll_frame(cx).is_pending())).await;
    assert!(!body.is_end_stream());
    assert_eq!(body.size_hint().lower(), 3);
    assert_eq!(body.collect().await.unwrap().to_bytes(), "all");
}

#[tokio::test]
async fn who_leaves_while_an_entry_waits_is_settled() {
    let line = Line::default();
    let mut future = Box::pin(called(&line, script([Step::Data("a")])));
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await;
    drop(future);
    assert_eq!(line.said(), ["intent", "settlement", "commit"]);
    let record = line.0.records.records().pop().unwrap();
    // What was announced is told, and that nothing was sent.
    assert_eq!((record.outcome, record.attempts.len(), record.cost_nanos), (Outcome::Cancelled, 1, 0));
    assert_eq!(record.usage.source, UsageSource::Reported);

    let mut body = called(&line, Script { ends: true, ..script([Step::Data("a")]) }).await.unwrap().into_body();
    poll_fn(|cx| Poll::Ready(Pin::new(&mut body).poll_frame(cx).is_pending())).await;
    drop(body);
    assert_eq!(line.said(), ["intent", "commit", "dispatch", "settlement", "commit"]);
}

#[tokio::test]
async fn a_line_that_cannot_be_written_keeps_the_attempt_and_not_the_answer() {
    let line = Line::default();
    let answered = called(&line, script([])).await.unwrap();
    line.0.full.store(true, Ordering::Relaxed);
    assert!(answered.into_body().collect().await.is_ok());
    line.said();

    let fault = called(&line, script([])).await.err().unwrap();
    assert_eq!(fault.code(), "ledger_unavailable");
    assert_eq!(line.said(), ["intent", "commit", "settlement", "commit"]);
    assert_eq!(line.0.records.records().pop().unwrap().attempts.len(), 0);

    // Written or not, the record is the ledger's, and the answer the caller's.
    line.0.full.store(false, Ordering::Relaxed);
    let body = called(&line, Script { ends: true, ..script([Step::Data("all")]) }).await.unwrap().into_body();
    line.0.full.store(true, Ordering::Relaxed);
    assert_eq!(body.collect().await.unwrap().to_bytes(), "all");
}

#[tokio::test]
async fn a_ledger_that_panics_as_it_writes_admits_nobody() {
    #[derive(Clone)]
    struct Panics;
    impl Ledger for Panics {
        fn settle(&self, _: Record) {}
        fn queue_intent(&self, _: &Intended<'_>) -> Result<Option<Queued>, Fault> {
            Ok(Some(Queued::new(1)))
        }
        fn commit(&self, _: Queued) -> Result<(), Fault> {
            panic!("the disk is gone");
        }
    }
    let service = service_fn(|request: Request<Call>| async move {
        let call = request.into_body();
        call.tally().begin(call.facts(), &target("one", "1", "2"), 1).await?;
        Ok::<_, Fault>(Response::new(Empty::<Bytes>::new()))
    });
    let fault = MeterLayer::new(Panics).layer(service).oneshot(call(false)).await.err().unwrap();
    assert_eq!(fault.code(), "ledger_unavailable");
}

#[tokio::test]
async fn what_begins_after_the_books_are_closed_is_not_dispatched() {
    let line = Line::default();
    let service = service_fn(|request: Request<Call>| async move {
        let call = request.into_body();
        let target = target("one", "1", "2");
        let mut begins = Box::pin(call.tally().begin(call.facts(), &target, 1));
        poll_fn(|cx| Poll::Ready(begins.as_mut().poll(cx).is_pending())).await;
        call.tally().close();
        let fault = begins.await.expect_err("the record is written, and would not tell of it");
        assert_eq!(fault.code(), "cancelled");
        Err::<Response<Script>, _>(fault)
    });
    assert!(MeterLayer::new(line.clone()).layer(service).oneshot(call(true)).await.is_err());
    assert_eq!(line.0.records.records().len(), 1);
}

#[tokio::test]
async fn attempts_that_begin_together_are_each_in_the_books() {
    let line = Line::default();
    let told = line.clone();
    let service = service_fn(move |request: Request<Call>| {
        let line = told.clone();
        async move {
            let call = request.into_body();
            let target = target("one", "1", "2");
            let begin = |number| Box::pin(call.tally().begin(call.facts(), &target, number));
            let (mut first, mut second) = (begin(1), begin(2));
            poll_fn(|cx| Poll::Ready((first.as_mut().poll(cx).is_pending(), second.as_mut().poll(cx).is_pending()))).await;
            line.0.full.store(true, Ordering::Relaxed);
            assert!(first.await.is_err());
            line.0.full.store(false, Ordering::Relaxed);
            let tally = second.await?;
            tally.head(200);
            tally.seen(&seen(Some(usage(90, 25)), 100));
            tally.end(Outcome::Complete, None);
            Ok::<_, Fault>(Response::new(script([])))
        }
    });
    assert!(MeterLayer::new(line.clone()).layer(service).oneshot(call(true)).await.is_ok());
    let record = line.0.records.records().pop().unwrap();
    let told: Vec<_> = record.attempts.iter().map(|attempt| attempt.cost_nanos).collect();
    assert_eq!(told, [0, 140_000]);
}
