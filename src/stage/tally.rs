//! What a call costs, while it runs.

use std::{
    fmt,
    future::Future,
    mem,
    ops::Deref,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use bytes::BytesMut;

use super::{CallFacts, health::Running};
use crate::{
    catalog::{Cost, Target},
    dialect::{End, Losses, Seen, Usage},
    fault::{AttemptFault, Fault, FaultKind, Phase},
};

/// A call's running account: made by the meter, carried in the [`Call`](super::Call), inert without one.
///
/// Retry says [`begin`](Self::begin) before each dispatch, translate feeds the [`AttemptTally`] it gives, and only the
/// meter reads it and closes the account.
#[derive(Clone, Default)]
pub struct Tally(Option<Arc<Account>>);

struct Account<B: ?Sized = dyn Begin> {
    entries: Mutex<Entries>,
    begin: B,
}

/// Who admits an account's attempts.
pub(crate) struct Beginner<B>(Arc<Account<B>>);

impl<B> Deref for Beginner<B> {
    type Target = B;

    fn deref(&self) -> &B {
        &self.0.begin
    }
}

#[derive(Default)]
struct Entries {
    attempts: Vec<AttemptEntry>,
    losses: Losses,
}

/// Admits attempts: pins the price, reserves, writes the intent.
pub trait Begin: Send + Sync + 'static {
    /// Called before each dispatch.
    ///
    /// # Errors
    /// A fault keeps the attempt from being dispatched: no record, no call.
    fn begin<'a>(&'a self, intent: Intent<'a>) -> Pin<Box<dyn Future<Output = Result<(), Fault>> + Send + 'a>>;

    /// Called when a call, counted by `tally`, is over although nobody may ever poll its answer again.
    fn close(&self, tally: &Tally) {
        let _ = tally;
    }
}

/// That an attempt is about to be dispatched.
#[derive(Clone, Copy, Debug)]
pub struct Intent<'a> {
    /// The attempt's number, from 1.
    pub attempt: u32,
    /// Where it goes.
    pub target: &'a Arc<Target>,
    /// What is asked.
    pub call: &'a Arc<CallFacts>,
}

/// What one attempt came to.
#[derive(Clone, Debug)]
pub struct AttemptEntry {
    /// The attempt's number, from 1.
    pub number: u32,
    /// Who was asked.
    pub target: Arc<Target>,
    /// When it was dispatched.
    pub started: Instant,
    /// When the caller could first be shown something.
    pub committed: Option<Instant>,
    /// When it was over.
    pub ended: Option<Instant>,
    /// The status of the provider's answer.
    pub status: Option<u16>,
    /// What was seen of the answer.
    pub seen: Seen,
    /// How it ended; `None` while it runs.
    pub outcome: Option<Outcome>,
    /// Whether the request, or a part of it, may have reached the provider: what did not costs nothing.
    pub sent: bool,
    /// The fault it ended with.
    pub fault: Option<AttemptFault>,
}

/// How a call or an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All was told.
    Complete,
    /// The answer broke off.
    Truncated,
    /// It failed.
    Failed,
    /// The caller left, or a shutdown ended it.
    Cancelled,
}

impl Outcome {
    /// Its name in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Truncated => "truncated",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl From<End> for Outcome {
    fn from(end: End) -> Self {
        match end {
            End::Complete => Self::Complete,
            End::Truncated => Self::Truncated,
        }
    }
}

impl Tally {
    /// An account whose attempts `begin` admits.
    pub fn new(begin: impl Begin) -> Self {
        Self::shared(begin).0
    }

    /// As [`new`](Self::new), for who also keeps `begin`.
    pub(crate) fn shared<B: Begin>(begin: B) -> (Self, Beginner<B>) {
        let account = Arc::new(Account { entries: Mutex::default(), begin });
        (Self(Some(account.clone())), Beginner(account))
    }

    /// Opens an attempt, before it is dispatched.
    ///
    /// # Errors
    /// The attempt must not be dispatched.
    pub async fn begin(&self, call: &Arc<CallFacts>, target: &Arc<Target>, number: u32) -> Result<AttemptTally, Fault> {
        let Some(account) = &self.0 else {
            return Ok(AttemptTally { account: None, index: 0, target: target.clone(), running: None });
        };
        let index = account.open(number, target);
        let begun = account.begin.begin(Intent { attempt: number, target, call }).await;
        let mut entries = account.entries();
        let last = index + 1 == entries.attempts.len();
        match (&begun, entries.attempts.get_mut(index)) {
            (Ok(()), Some(entry)) => (entry.started, entry.sent) = (Instant::now(), true),
            // The books were closed meanwhile: what is dispatched now would not be in them.
            (Ok(()), None) => return Err(FaultKind::Cancelled.into()),
            (Err(_), _) if last => _ = entries.attempts.pop(),
            // Another began behind it, and knows its place: this one stays as one that was not sent.
            (Err(_), _) => {}
        }
        drop(entries);
        begun.map(|()| AttemptTally { account: Some(account.clone()), index, target: target.clone(), running: None })
    }

    /// Says that the call is over although nobody may ever poll its answer again: the account is settled now.
    pub fn close(&self) {
        if let Some(account) = &self.0 {
            account.begin.close(self);
        }
    }

    /// Reports what the translation lost.
    pub fn lost(&self, losses: Losses) {
        if let (Some(account), false) = (&self.0, losses.is_empty()) {
            account.entries().losses.extend(losses);
        }
    }

    /// The attempts so far, and what was lost.
    pub fn entries(&self) -> (Vec<AttemptEntry>, Losses) {
        self.0.as_ref().map_or_else(Default::default, |account| {
            let entries = account.entries();
            (entries.attempts.clone(), entries.losses.clone())
        })
    }

    /// What [`entries`](Self::entries) gives, taken out: the books are closed, and what is reported from here on is not kept.
    pub(crate) fn take(&self) -> (Vec<AttemptEntry>, Losses) {
        self.0.as_ref().map_or_else(Default::default, |account| {
            let entries = mem::take(&mut *account.entries());
            (entries.attempts, entries.losses)
        })
    }

    /// The attempts that failed so far, as callers are told of them.
    pub fn faults(&self) -> Vec<AttemptFault> {
        let faults = |account: &Arc<Account>| account.entries().attempts.iter().filter_map(|attempt| attempt.fault.clone()).collect();
        self.0.as_ref().map(faults).unwrap_or_default()
    }

    /// How the last attempt ended, if it has.
    pub fn outcome(&self) -> Option<Outcome> {
        self.0.as_ref().and_then(|account| account.entries().attempts.last().and_then(|attempt| attempt.outcome))
    }
}

impl<B: ?Sized> Account<B> {
    /// Notes an attempt that is not sent yet: a call that ends while it begins has one that used nothing.
    fn open(&self, number: u32, target: &Arc<Target>) -> usize {
        let mut entries = self.entries();
        // One is the rule, and as many stay in memory as there are streams.
        entries.attempts.reserve_exact(1);
        entries.attempts.push(AttemptEntry {
            number,
            target: target.clone(),
            started: Instant::now(),
            committed: None,
            ended: None,
            status: None,
            seen: Seen::default(),
            outcome: None,
            sent: false,
            fault: None,
        });
        entries.attempts.len() - 1
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AttemptEntry {
    fn end(&mut self, outcome: Outcome, fault: Option<&Fault>, now: Instant) {
        if self.outcome.is_none() {
            self.outcome = Some(outcome);
            let tried = self.sent && fault.is_none_or(|fault| fault.phase() != Phase::BeforeSend);
            self.sent = self.status.is_some() || tried;
            self.ended = Some(now);
            self.fault = fault.map(|fault| AttemptFault {
                provider: self.target.provider.name.to_string(),
                status: fault.upstream().and_then(|upstream| upstream.status).or(self.status),
                fault: fault.code(),
            });
        }
    }
}

/// One attempt's side of the account. Inert without a meter, but for what the target's health hears of it.
#[derive(Clone)]
pub struct AttemptTally {
    account: Option<Arc<Account>>,
    index: usize,
    target: Arc<Target>,
    running: Option<Arc<Running>>,
}

impl AttemptTally {
    /// Counts the attempt as running at its target while this or a clone is kept, and tells it of a late failure.
    pub(crate) fn running(self, running: Arc<Running>) -> Self {
        Self { running: Some(running), ..self }
    }

    /// Notes whether the request is on its way. It counts as that from the attempt's begin: who does something long first
    /// takes that back, so that who leaves meanwhile is not billed for it.
    pub(crate) fn dispatched(&self, sent: bool) {
        self.with(|entry| entry.sent = sent);
    }

    /// Notes the status of the provider's answer.
    pub fn head(&self, status: u16) {
        self.with(|entry| entry.status = Some(status));
    }

    /// Notes that the caller is shown something from here on.
    pub fn commit(&self) {
        self.with(|entry| entry.committed = Some(entry.committed.unwrap_or_else(Instant::now)));
    }

    /// Replaces what was seen of the answer so far.
    pub fn seen(&self, seen: &Seen) {
        self.with(|entry| entry.seen.clone_from(seen));
    }

    /// Closes the attempt with a whole answer that was there at `now`; what was `seen` of it is taken.
    pub fn complete(&self, seen: &mut Seen, now: Instant) {
        self.with(|entry| {
            entry.committed.get_or_insert(now);
            entry.end(Outcome::Complete, None, now);
            entry.seen = mem::take(seen);
        });
    }

    /// Closes the attempt. Only the first close counts.
    pub fn end(&self, outcome: Outcome, fault: Option<&Fault>) {
        if let (Some(running), true) = (&self.running, fault.is_some_and(Fault::counts_against_health)) {
            running.broke();
        }
        self.with(|entry| entry.end(outcome, fault, Instant::now()));
    }

    /// What `usage` costs at the attempt's price.
    pub fn cost(&self, usage: &Usage) -> Cost {
        Cost::of(usage, self.target.price.as_deref())
    }

    /// Writes that as [`Cost::write`] does.
    pub(crate) fn write_cost(&self, usage: &Usage, out: &mut BytesMut) {
        Cost::write_of(usage, self.target.price.as_deref(), out);
    }

    fn with(&self, change: impl FnOnce(&mut AttemptEntry)) {
        if let Some(account) = &self.account
            && let Some(entry) = account.entries().attempts.get_mut(self.index)
        {
            change(entry);
        }
    }
}

impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Tally" } else { "Tally(inert)" })
    }
}

impl fmt::Debug for AttemptTally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AttemptTally({})", self.index)
    }
}
