//! Exactly one record, whatever happens.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::Bytes;
use http::{Extensions, HeaderMap, StatusCode};

use super::{
    Intended, Queued, estimate,
    fold::{Books, Cause},
    layer::Options,
    observer::Observer,
};
use crate::{
    dialect::Seen,
    fault::{Fault, FaultKind},
    stage::{Begin, Beginner, Call, CallFacts, Intent, Outcome, Principal, Tally, Turn},
};

/// Owes the ledger one record. [`finish`](Self::finish) pays it, and [`poll_written`](Self::poll_written) says when the
/// caller may know; dropping it unpaid says that the caller left.
pub(super) struct Recorder {
    account: Beginner<Account>,
    tally: Tally,
    observes: bool,
    /// The record, while the ledger has yet to write it.
    queued: Option<(Queued, Turn)>,
}

/// A call's books; shared with the tally, which asks here before each attempt, and whose watchdog may close the books of
/// an answer that nobody polls.
struct Account {
    options: Arc<Options>,
    call: Arc<CallFacts>,
    principal: Principal,
    prompt_tokens: u64,
    /// `None` once the ledger has its record.
    owed: Mutex<Option<Owed>>,
}

/// What is noted for the record as the call goes on.
struct Owed {
    status: Option<u16>,
    observer: Option<Box<Observer>>,
}

impl Recorder {
    /// Opens the books of `call`, and gives the call that reports to them.
    pub(super) fn open(options: Arc<Options>, call: Call, extensions: &Extensions) -> (Self, Call) {
        let observer = options.observer();
        let observes = observer.is_some();
        let (tally, account) = Tally::shared(Account {
            options,
            call: call.facts().clone(),
            principal: extensions.get::<Principal>().cloned().unwrap_or_else(Principal::anonymous),
            prompt_tokens: estimate::prompt_tokens(call.payload()),
            owed: Mutex::new(Some(Owed { status: None, observer: observer.map(Box::new) })),
        });
        (Self { account, tally: tally.clone(), observes, queued: None }, call.with_tally(tally))
    }

    /// Notes the answer's head.
    pub(super) fn head(&mut self, status: StatusCode, headers: &HeaderMap) {
        if let Some(owed) = &mut *self.account.owed() {
            owed.status = Some(status.as_u16());
            if let Some(observer) = &mut owed.observer {
                observer.head(&self.account.call, status, headers);
            }
        }
    }

    /// Looks at the next bytes, where nobody below reports; says whether the dialect's own end was among them.
    pub(super) fn observe(&mut self, data: &Bytes) -> bool {
        self.observes && self.account.owed().as_mut().and_then(|owed| owed.observer.as_mut()).is_some_and(|observer| observer.chunk(data))
    }

    /// Whether the record is still owed.
    pub(super) fn is_open(&self) -> bool {
        self.account.owed().is_some()
    }

    /// How the last attempt ended, if it has.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        self.tally.outcome()
    }

    /// Gives the ledger its record. Only the first call counts.
    pub(super) fn finish(&mut self, cause: Cause<'_>) {
        if let Some(queued) = self.account.pay(&self.tally, cause) {
            self.queued = Some((queued, Turn::default()));
        }
    }

    fn commit(&mut self) {
        if let Some((queued, _)) = self.queued.take() {
            self.account.commit_settlement(queued);
        }
    }

    /// Ready once the ledger has written what it was given, if it was.
    pub(super) fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some((_, turn)) = &mut self.queued {
            ready!(Pin::new(turn).poll(cx));
        }
        self.commit();
        Poll::Ready(())
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.finish(Cause::Left);
        self.commit();
    }
}

impl Account {
    /// Settles the call. What the ledger has only queued is for the caller to commit.
    fn pay(&self, tally: &Tally, cause: Cause<'_>) -> Option<Queued> {
        let owed = self.owed().take()?;
        let settled = catch_unwind(AssertUnwindSafe(|| self.settle(owed, tally, cause)));
        settled.unwrap_or_else(|_| {
            tracing::error!(generation = %self.call.id, "the ledger panicked: this call's record may be lost");
            None
        })
    }

    fn settle(&self, owed: Owed, tally: &Tally, cause: Cause<'_>) -> Option<Queued> {
        let Owed { status, mut observer } = owed;
        if let (Some(observer), Cause::Told | Cause::Drained) = (&mut observer, cause) {
            observer.end();
        }
        // A call that failed before there was an answer is taken not to have reached a provider.
        let unanswered = status.is_none() && matches!(cause, Cause::Fault(_));
        let observed = observer.filter(|_| !unanswered).map(|observer| Box::new(observer.observed(&self.call)));
        let (attempts, losses) = tally.take();
        let (call, principal, prompt_tokens) = (&*self.call, &self.principal, self.prompt_tokens);
        let mut books = Books { call, principal, prompt_tokens, status, attempts, losses, observed, ended: Instant::now(), cause };
        self.options.ledger.queue_settlement(books.fold())
    }

    /// Has an entry written.
    fn commit(&self, queued: Queued) -> Result<(), Fault> {
        guarded(|| self.options.ledger.commit(queued))
    }

    /// Has the record written. A ledger that cannot keeps it, and has said so.
    fn commit_settlement(&self, queued: Queued) {
        let _ = self.commit(queued);
    }

    fn owed(&self) -> MutexGuard<'_, Option<Owed>> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a ledger says; one that panics does not admit.
fn guarded<T>(ask: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(ask)).unwrap_or_else(|_| Err(Fault::new(FaultKind::LedgerUnavailable)))
}

impl Begin for Account {
    fn begin<'a>(&'a self, intent: Intent<'a>) -> Pin<Box<dyn Future<Output = Result<(), Fault>> + Send + 'a>> {
        let estimate = estimate::usage(intent.call, self.prompt_tokens, &Seen::default());
        let intended = Intended { intent, principal: &self.principal, estimate };
        match guarded(|| self.options.ledger.queue_intent(&intended)) {
            Ok(Some(queued)) => Box::pin(async move {
                Turn::default().await;
                self.commit(queued)
            }),
            Ok(None) => Box::pin(std::future::ready(Ok(()))),
            Err(fault) => Box::pin(std::future::ready(Err(fault))),
        }
    }

    fn close(&self, tally: &Tally) {
        if let Some(queued) = self.pay(tally, Cause::Closed) {
            self.commit_settlement(queued);
        }
    }
}
