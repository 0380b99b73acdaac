//! Exactly one record, whatever happens.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    time::Instant,
};

use http::{Extensions, StatusCode};

use super::{
    Intended, Ledger, estimate,
    fold::{Books, Cause, Observed},
};
use crate::{
    fault::{Fault, FaultKind},
    stage::{Begin, Call, CallFacts, Intent, Outcome, Principal, Tally},
};

/// Owes the ledger one record. [`finish`](Self::finish) pays it; dropping it unpaid says that the caller left.
pub(super) struct Recorder(Option<Box<Owed>>);

struct Owed {
    ledger: Arc<dyn Ledger>,
    call: Arc<CallFacts>,
    principal: Principal,
    tally: Tally,
    prompt_tokens: u64,
    status: Option<u16>,
}

/// Passes attempts on to the ledger.
struct Admission {
    ledger: Arc<dyn Ledger>,
    principal: Principal,
    prompt_tokens: u64,
}

impl Recorder {
    /// Opens the books of `call`, and gives the call that reports to them.
    pub(super) fn open(ledger: Arc<dyn Ledger>, call: Call, extensions: &Extensions) -> (Self, Call) {
        let principal = extensions.get::<Principal>().cloned().unwrap_or_else(Principal::anonymous);
        let prompt_tokens = estimate::prompt_tokens(call.payload());
        let tally = Tally::new(Admission { ledger: ledger.clone(), principal: principal.clone(), prompt_tokens });
        let facts = call.facts().clone();
        let owed = Owed { ledger, call: facts, principal, tally: tally.clone(), prompt_tokens, status: None };
        (Self(Some(Box::new(owed))), call.with_tally(tally))
    }

    /// Notes the answer's head.
    pub(super) fn head(&mut self, status: StatusCode) {
        if let Some(owed) = &mut self.0 {
            owed.status = Some(status.as_u16());
        }
    }

    /// Whether the record is still owed.
    pub(super) fn is_open(&self) -> bool {
        self.0.is_some()
    }

    /// How the last attempt ended, if it has.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        self.0.as_ref().and_then(|owed| owed.tally.outcome())
    }

    /// Gives the ledger its record. Only the first call counts.
    pub(super) fn finish(&mut self, cause: Cause<'_>, observed: Option<Observed>) {
        let Some(owed) = self.0.take() else { return };
        let id = owed.call.id.clone();
        if catch_unwind(AssertUnwindSafe(|| owed.settle(cause, observed))).is_err() {
            tracing::error!(generation = %id, "the ledger panicked: this call's record may be lost");
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.finish(Cause::Left, None);
    }
}

impl Owed {
    fn settle(self, cause: Cause<'_>, observed: Option<Observed>) {
        let (attempts, losses) = self.tally.entries();
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
}
