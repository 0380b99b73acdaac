use std::{fmt, sync::Arc, time::Duration};

use tokio::{sync::Mutex, task::spawn_blocking, time::MissedTickBehavior};
use tower::BoxError;

use super::Journal;
use crate::store::{Batch, Position, RecordStore, Sum, SumBy};

/// Takes a journal's records to a database, and reads them from there. Cheap to clone; clones share it.
///
/// Shipping reads the journal's files from the place that the database says it has, whether this process wrote them or
/// an earlier one: replay at start is no other path. Reads ship first, so they see every call that is settled.
#[derive(Clone)]
pub struct Shipper(Arc<Shared>);

struct Shared {
    journal: Journal,
    store: Arc<dyn RecordStore>,
    /// What is shipped, once the store was asked. The lock lets one ship at a time.
    shipped: Mutex<Option<Position>>,
}

/// How often [`Shipper::run`] looks for something to ship.
const TICK: Duration = Duration::from_millis(200);

impl Shipper {
    /// Ships `journal` to `store`.
    pub fn new(journal: Journal, store: impl RecordStore) -> Self {
        Self(Arc::new(Shared { journal, store: Arc::new(store), shipped: Mutex::new(None) }))
    }

    /// Ships what is settled, and deletes the segments that are not needed any more.
    ///
    /// # Errors
    /// The disk or the store failed: what was not shipped is, the next time.
    pub async fn ship(&self) -> Result<(), BoxError> {
        let Shared { journal, store, shipped } = &*self.0;
        let mut shipped = shipped.lock().await;
        journal.settle_waiting();
        let mut from = match *shipped {
            Some(position) => position,
            // A folder put back from a backup is behind the store: all of it is shipped again, and what is there stays.
            None => store.position(journal.id()).await?.filter(|position| *position <= journal.end()).unwrap_or_default(),
        };
        *shipped = Some(from);
        while from < journal.end() {
            let reader = journal.clone();
            let portion = spawn_blocking(move || reader.portion(from)).await??;
            if !portion.records.is_empty() {
                store.insert(Batch { journal: journal.id().clone(), records: portion.records, upto: portion.upto }).await?;
            }
            if portion.upto.segment > from.segment {
                let cleaner = journal.clone();
                spawn_blocking(move || cleaner.forget(portion.upto)).await??;
            }
            from = portion.upto;
            *shipped = Some(from);
        }
        Ok(())
    }

    /// Ships whenever there is something, five times a second at most, for ever. Drop the future to stop, and
    /// [`ship`](Self::ship) once more when the last call is settled.
    pub async fn run(&self) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            ticks.tick().await;
            match self.ship().await {
                Ok(()) => failing = false,
                Err(error) if !std::mem::replace(&mut failing, true) => {
                    tracing::error!(%error, "records cannot be shipped to the database; they stay in the journal");
                }
                Err(_) => {}
            }
        }
    }

    /// The JSON of a call's record, if it is there and `workspace`'s.
    ///
    /// # Errors
    /// The store failed.
    pub async fn find(&self, id: &str, workspace: &str) -> Result<Option<String>, BoxError> {
        self.ship().await?;
        self.0.store.find(id, workspace).await
    }

    /// Sums of `workspace`, or of all, grouped and ordered by `by`.
    ///
    /// # Errors
    /// The store failed.
    pub async fn sums(&self, by: SumBy, workspace: Option<&str>) -> Result<Vec<Sum>, BoxError> {
        self.ship().await?;
        self.0.store.sums(by, workspace).await
    }
}

impl fmt::Debug for Shipper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shipper").field(&self.0.journal).finish()
    }
}
