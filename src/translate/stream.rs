//! Streamed answers.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use tokio::time::{Instant, timeout};
use tower::BoxError;

use super::{
    exchange::{in_band, protocol, told},
    layer::Config,
    masking::credential,
    notes::AnswerNotes,
    whole::broken,
};
use crate::{
    dialect::{
        Losses, Pipe, Seen,
        frame::sse::{Limits, Sse},
    },
    fault::{AttemptFault, Fault, FaultKind, Phase, Timeout},
    stage::{Outcome, Tally, Watched},
};

/// A provider's stream in the caller's words.
///
/// Frames that are ready together are joined into one. What it holds lies in a cell that it shares with the watchdog,
/// which drops the provider's side and settles when a deadline passes, polled or not.
pub struct StreamBody<B>(Arc<Cell<B>>);

struct Cell<B>(Mutex<Flow<B>>);

/// The state of a stream.
///
/// ```text
///  Running ──▶ Draining ──▶ Done      the dialect's end came; what follows it is thrown away
///     └──────▶ Broken ─────▶ Done     a fault, which the caller is yet to be told
/// ```
enum State<B> {
    /// The provider is answering.
    Running(Pin<Box<B>>),
    /// All was told; the provider's connection is read to its end, if that is there.
    Draining(Pin<Box<B>>),
    /// It broke off.
    Broken(Fault),
    /// Nothing follows.
    Done,
}

struct Flow<B> {
    state: State<B>,
    frames: Sse,
    pipe: Box<dyn Pipe>,
    keep_alive: &'static [u8],
    /// What the caller is yet to be given.
    out: BytesMut,
    seen: Seen,
    notes: Arc<AnswerNotes>,
    tally: Tally,
    committed: bool,
    clock: Clock,
    waker: Option<Waker>,
}

/// The deadlines and what they are counted from.
struct Clock {
    total: Instant,
    idle: Duration,
    write_stall: Duration,
    keep_alive: Duration,
    /// When the provider last sent something.
    heard: Instant,
    /// When the caller was last given something.
    told: Instant,
    /// When the body was last polled.
    polled: Instant,
    /// Whether the last poll found nothing to give.
    waiting: bool,
    /// Whether a keep-alive is due.
    ping: bool,
    /// When the last choice ended, and only usage and the end itself were missing.
    finished: Option<Instant>,
    /// Whether the provider does not come to an end behind its last content.
    silent: bool,
}

/// Joined frames are handed on when they are this long, even if more is ready.
const JOINED: usize = 32 << 10;
/// How long a provider has between its finish and its end: heartbeats are none.
const GRACE: Duration = Duration::from_secs(2);

impl<B> StreamBody<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    pub(super) fn new(upstream: B, pipe: Box<dyn Pipe>, notes: Arc<AnswerNotes>, tally: Tally, total: Instant, config: &Config) -> Self {
        let now = Instant::now();
        let clock = Clock {
            total,
            idle: notes.target.timeouts.idle,
            write_stall: config.write_stall,
            keep_alive: config.keep_alive,
            heard: now,
            told: now,
            polled: now,
            waiting: true,
            ping: false,
            finished: None,
            silent: false,
        };
        let flow = Flow {
            state: State::Running(Box::pin(upstream)),
            frames: Sse::new(Limits::default()),
            pipe,
            keep_alive: notes.call.dialect.keep_alive(),
            out: BytesMut::new(),
            seen: Seen::default(),
            notes,
            tally,
            committed: false,
            clock,
            waker: None,
        };
        let cell = Arc::new(Cell(Mutex::new(flow)));
        config.watchdog.watch(&cell);
        Self(cell)
    }

    /// Reads up to the commit point.
    ///
    /// # Errors
    /// What the stream broke with before the caller was shown anything.
    pub(super) async fn committed(&self, hold: Duration) -> Result<(), Fault> {
        let content = poll_fn(|cx| {
            let mut flow = self.0.flow();
            let progress = flow.advance(cx);
            // Ready without content: the stream is over, or so much was held back that it must go out.
            if flow.seen.content || progress.is_ready() { Poll::Ready(()) } else { Poll::Pending }
        });
        if !hold.is_zero() {
            // Held for too long is not an error: the caller is shown what there is.
            let _ = timeout(hold, content).await;
        }
        let mut flow = self.0.flow();
        // Content that came commits, even if what broke the stream came with it: what the caller sees must not depend
        // on how the bytes were cut.
        if let (State::Broken(fault), false) = (&flow.state, flow.seen.content) {
            let fault = fault.clone().at(Phase::BeforeCommit);
            flow.state = State::Done;
            return Err(fault);
        }
        flow.committed = true;
        // From here on it is the caller who is waited for.
        (flow.clock.waiting, flow.clock.polled) = (false, Instant::now());
        flow.notes.tally.commit();
        let _ = flow.notes.committed.set(std::time::Instant::now());
        Ok(())
    }

    /// The model that answers and what was lost, as far as it is known.
    pub(super) fn so_far(&self) -> (Option<String>, Losses) {
        let flow = self.0.flow();
        (flow.seen.model.clone(), flow.pipe.losses().clone())
    }
}

impl<B> Flow<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    /// Reads all that is ready. `Pending` means that the provider is to be waited for.
    fn advance(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.clock.polled = Instant::now();
        let mut heard = false;
        while let State::Running(upstream) = &mut self.state {
            match upstream.as_mut().poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    heard = true;
                    if let Ok(data) = frame.into_data() {
                        self.chunk(&data);
                    }
                    // The first content commits before anything else is read.
                    if self.out.len() >= JOINED || (self.seen.content && !self.committed) {
                        break;
                    }
                }
                Poll::Ready(Some(Err(error))) => self.broke(broken(error.into()), Outcome::Truncated),
                Poll::Ready(None) => self.over(),
                Poll::Pending if self.clock.silent => self.over(),
                Poll::Pending => {
                    self.clock.heard = if heard { self.clock.polled } else { self.clock.heard };
                    self.wait(cx);
                    return Poll::Pending;
                }
            }
        }
        self.clock.heard = self.clock.polled;
        Poll::Ready(())
    }

    fn wait(&mut self, cx: &mut Context<'_>) {
        self.clock.waiting = true;
        self.clock.finished = self.clock.finished.or(Some(self.clock.polled)).filter(|_| self.seen.finished);
        match &mut self.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => self.waker = Some(cx.waker().clone()),
        }
    }

    /// Takes the next bytes.
    fn chunk(&mut self, data: &[u8]) {
        let Self { frames, pipe, out, seen, .. } = self;
        // What comes of a chunk is mostly about as long, or a little longer: made room for once, it need not grow.
        out.reserve(data.len() + data.len() / 4);
        let fed = frames.feed(data, &mut |frame| {
            // What follows the end, or an error, is not the answer's.
            if seen.ended || seen.error.is_some() { Ok(()) } else { pipe.frame(frame, out, seen) }
        });
        self.after(fed.map_err(protocol));
    }

    /// The provider's bytes are at their end.
    fn over(&mut self) {
        let Self { frames, pipe, out, seen, .. } = self;
        let last = frames.finish(&mut |frame| if seen.ended || seen.error.is_some() { Ok(()) } else { pipe.frame(frame, out, seen) });
        self.after(last.map_err(protocol));
        if matches!(self.state, State::Running(_)) {
            self.finish();
        }
    }

    /// Looks at what the last frames brought.
    fn after(&mut self, result: Result<(), Fault>) {
        if let Err(fault) = result {
            self.broke(fault, Outcome::Truncated);
        } else if let Some(error) = &self.seen.error {
            // It stays seen: an answer that is an error and nothing else is not billed.
            let fault = in_band(error.clone(), credential(&self.notes.target));
            self.broke(fault, Outcome::Failed);
        } else if self.seen.ended {
            self.finish();
        }
    }

    /// Writes the rest of a complete answer, and settles before the caller is given it.
    fn finish(&mut self) {
        let end = self.pipe.finish(&mut self.out, &mut self.seen).map_err(protocol).and_then(told);
        match end {
            Ok(()) => {
                self.report();
                self.notes.tally.end(Outcome::Complete, None);
                self.state = match std::mem::replace(&mut self.state, State::Done) {
                    State::Running(upstream) => State::Draining(upstream),
                    other => other,
                };
            }
            Err(fault) => self.broke(fault, Outcome::Truncated),
        }
    }

    /// Gives up: drops the provider's side. What is committed is settled here, since nobody else may come to.
    fn broke(&mut self, fault: Fault, outcome: Outcome) {
        let phase = if self.shown() { Phase::AfterCommit } else { Phase::BeforeCommit };
        let mut fault = fault.at(phase);
        self.report();
        if self.shown() {
            self.notes.tally.end(outcome, Some(&fault));
            let attempts = self.attempts(&fault);
            fault = fault.with_attempts(attempts);
        }
        self.state = State::Broken(fault);
    }

    /// Who failed and how, this answer's provider last. Without a meter nobody remembers those before it.
    fn attempts(&self, fault: &Fault) -> Vec<AttemptFault> {
        let attempts = self.tally.faults();
        if !attempts.is_empty() {
            return attempts;
        }
        let status = fault.upstream().and_then(|upstream| upstream.status);
        vec![AttemptFault { provider: self.notes.target.provider.name.to_string(), status, fault: fault.code() }]
    }

    /// Whether the caller is shown the answer: it has been, or there is content that it will be.
    fn shown(&self) -> bool {
        self.committed || self.seen.content
    }

    /// Tells the tally what was seen.
    fn report(&mut self) {
        self.notes.tally.seen(&self.seen);
        self.tally.lost(self.pipe.losses().clone());
    }

    /// The next bytes for the caller.
    fn next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let idle = self.advance(cx).is_pending();
        match std::mem::replace(&mut self.state, State::Done) {
            State::Broken(fault) => self.pipe.fail(&fault, &mut self.out),
            // The end of its connection mostly comes with the end of the answer; else it has until the next poll.
            State::Draining(upstream) => match drain(upstream, cx) {
                Some(upstream) if !self.out.is_empty() => self.state = State::Draining(upstream),
                _ => {}
            },
            other => self.state = other,
        }
        // One that was due when the answer went on is not due any more; behind its end there is none.
        let ping = std::mem::take(&mut self.clock.ping) && idle;
        if self.out.is_empty() && ping {
            self.out.extend_from_slice(self.keep_alive);
        }
        if self.out.is_empty() {
            return if idle { Poll::Pending } else { Poll::Ready(None) };
        }
        self.clock.waiting = false;
        self.clock.told = self.clock.polled;
        Poll::Ready(Some(self.out.split().freeze()))
    }
}

/// Reads what is there of a finished answer's connection, so that it can be used again.
///
/// Gives it back if it is not at its end yet.
fn drain<B: Body<Data = Bytes>>(mut upstream: Pin<Box<B>>, cx: &mut Context<'_>) -> Option<Pin<Box<B>>> {
    const FRAMES: usize = 16;
    for _ in 0..FRAMES {
        match upstream.as_mut().poll_frame(cx) {
            Poll::Ready(Some(Ok(_))) => {}
            Poll::Ready(_) => return None,
            Poll::Pending => return Some(upstream),
        }
    }
    None
}

impl<B> Cell<B> {
    fn flow(&self) -> MutexGuard<'_, Flow<B>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B> Body for StreamBody<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        self.0.flow().next(cx).map(|next| next.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        let flow = self.0.flow();
        matches!(flow.state, State::Done) && flow.out.is_empty()
    }
}

impl<B> Watched for Cell<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    fn check(&self, now: Instant) -> bool {
        let mut flow = self.flow();
        let Clock { total, idle, write_stall, keep_alive, heard, told, polled, waiting, finished, .. } = flow.clock;
        let passed = |since: Instant, limit: Duration| now.saturating_duration_since(since) >= limit;
        match flow.state {
            State::Running(_) => {}
            // Settled, but the provider's connection is not for the caller to keep.
            State::Draining(_) if passed(polled, write_stall) => {
                flow.state = State::Done;
                return false;
            }
            State::Draining(_) => return true,
            State::Broken(_) | State::Done => return false,
        }
        let late = if now >= total {
            Some((Timeout::Total, Outcome::Failed))
        } else if waiting && passed(heard, idle) {
            Some((Timeout::Idle, Outcome::Truncated))
        } else if !waiting && passed(polled, write_stall) {
            Some((Timeout::WriteStall, Outcome::Cancelled))
        } else {
            None
        };
        if let Some((timeout, outcome)) = late {
            flow.broke(Fault::new(FaultKind::Timeout(timeout)), outcome);
            flow.close();
            return false;
        }
        // These two only wake the body: if nobody polls it, nobody waits for them.
        let silent = waiting && finished.is_some_and(|finished| passed(finished, GRACE));
        let ping = waiting && flow.committed && passed(told, keep_alive);
        if silent || ping {
            flow.clock.silent |= silent;
            flow.clock.ping |= ping;
            flow.wake();
        }
        true
    }

    fn abort(&self) {
        let mut flow = self.flow();
        if matches!(flow.state, State::Running(_)) {
            flow.broke(Fault::new(FaultKind::Cancelled), Outcome::Cancelled);
            flow.close();
        }
    }
}

impl<B> Flow<B> {
    /// Settles and wakes whoever waits.
    fn close(&mut self) {
        if self.committed {
            self.tally.close();
        }
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl<B> Drop for StreamBody<B> {
    fn drop(&mut self) {
        // Whoever settles a call that was left reads what was seen of it.
        let mut flow = self.0.flow();
        if matches!(flow.state, State::Running(_)) {
            flow.notes.tally.seen(&flow.seen);
            flow.tally.lost(flow.pipe.losses().clone());
            flow.state = State::Done;
        }
    }
}

impl<B> fmt::Debug for StreamBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamBody")
    }
}
