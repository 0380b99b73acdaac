//! Exactly one record, whatever happens.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use bytes::Bytes;
use http::{Extensions, HeaderMap, StatusCode};

use super::{
    Intended, Ledger, estimate,
    fold::{Books, Cause},
    observer::Observer,
};
use crate::{
    fault::{Fault, FaultKind},
    stage::{Begin, Call, CallFacts, Intent, Outcome, Principal, Tally},
};

/// Owes the ledger one record. [`finish`](Self::finish) pays it; dropping it unpaid says that the caller left.
pub(super) struct Recorder {
    debt: Arc<Debt>,
    tally: Tally,
    observes: bool,
}

/// What is owed; shared with the tally, whose watchdog may close the books of an answer that nobody polls.
struct Debt(Mutex<Option<Box<Owed>>>);

struct Owed {
    ledger: Arc<dyn Ledger>,
    call: Arc<CallFacts>,
    principal: Principal,
    tally: Tally,
    prompt_tokens: u64,
    status: Option<u16>,
    observer: Option<Observer>,
}

/// The tally's way to the ledger.
struct Admission {
    debt: Arc<Debt>,
    ledger: Arc<dyn Ledger>,
    principal: Principal,
    prompt_tokens: u64,
}

impl Recorder {
    /// Opens the books of `call`, and gives the call that reports to them.
    pub(super) fn open(ledger: Arc<dyn Ledger>, call: Call, extensions: &Extensions, observer: Option<Observer>) -> (Self, Call) {
        let observes = observer.is_some();
        let principal = extensions.get::<Principal>().cloned().unwrap_or_else(Principal::anonymous);
        let prompt_tokens = estimate::prompt_tokens(call.payload());
        let debt = Arc::new(Debt(Mutex::new(None)));
        let admission = Admission { debt: debt.clone(), ledger: ledger.clone(), principal: principal.clone(), prompt_tokens };
        let tally = Tally::new(admission);
        let facts = call.facts().clone();
        let owed = Owed { ledger, call: facts, principal, tally: tally.clone(), prompt_tokens, status: None, observer };
        // The debt, the tally and the admission hold each other until it is paid, which dropping the recorder does.
        *debt.lock() = Some(Box::new(owed));
        (Self { debt, tally: tally.clone(), observes }, call.with_tally(tally))
    }

    /// Notes the answer's head.
    pub(super) fn head(&mut self, status: StatusCode, headers: &HeaderMap) {
        if let Some(owed) = &mut *self.debt.lock() {
            owed.status = Some(status.as_u16());
            if let Some(observer) = &mut owed.observer {
                observer.head(&owed.call, status, headers);
            }
        }
    }

    /// Looks at the next bytes, where nobody below reports; says whether the dialect's own end was among them.
    pub(super) fn observe(&mut self, data: &Bytes) -> bool {
        self.observes && self.debt.lock().as_mut().and_then(|owed| owed.observer.as_mut()).is_some_and(|observer| observer.chunk(data))
    }

    /// Whether the record is still owed.
    pub(super) fn is_open(&self) -> bool {
        self.debt.lock().is_some()
    }

    /// How the last attempt ended, if it has.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        self.tally.outcome()
    }

    /// Gives the ledger its record. Only the first call counts.
    pub(super) fn finish(&mut self, cause: Cause<'_>) {
        self.debt.pay(cause);
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.debt.pay(Cause::Left);
    }
}

impl Debt {
    fn pay(&self, cause: Cause<'_>) {
        let Some(owed) = self.lock().take() else { return };
        let id = owed.call.id.clone();
        if catch_unwind(AssertUnwindSafe(|| owed.settle(cause))).is_err() {
            tracing::error!(generation = %id, "the ledger panicked: this call's record may be lost");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Box<Owed>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Owed {
    fn settle(self, cause: Cause<'_>) {
        let mut observer = self.observer;
        if let (Some(observer), Cause::Told | Cause::Drained) = (&mut observer, cause) {
            observer.end();
        }
        // A call that failed before there was an answer is taken not to have reached a provider.
        let unanswered = self.status.is_none() && matches!(cause, Cause::Fault(_));
        let observed = observer.filter(|_| !unanswered).map(|observer| observer.observed(&self.call));
        let (attempts, losses) = self.tally.take();
        let books = Books {
            call: &self.call,
            principal: &self.principal,
            prompt_tokens: self.prompt_tokens,
            status: self.status,
            attempts,
            losses,
            observed,
            ended: Instant::now(),
            cause,
        };
        self.ledger.settle(books.fold());
    }
}

impl Begin for Admission {
    fn begin<'a>(&'a self, intent: &'a Intent) -> Pin<Box<dyn Future<Output = Result<(), Fault>> + Send + 'a>> {
        let estimate = estimate::usage(&intent.call, self.prompt_tokens, &crate::dialect::Seen::default());
        let intended = Intended { intent, principal: &self.principal, estimate };
        let admitted = catch_unwind(AssertUnwindSafe(|| self.ledger.intend(&intended)));
        Box::pin(std::future::ready(admitted.unwrap_or_else(|_| Err(Fault::new(FaultKind::LedgerUnavailable)))))
    }

    fn close(&self) {
        self.debt.pay(Cause::Closed);
    }
}
