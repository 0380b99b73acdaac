use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{sync::Mutex, task::spawn_blocking, time::MissedTickBehavior};
use tower::BoxError;

use super::Journal;
use crate::{
    api::{RecordFuture, Records},
    gateway::Chore,
    stage::GenerationId,
    store::{Batch, Position, RecordStore, Sum, SumBy},
};

/// Takes a journal's records to a database, and reads them from there. Cheap to clone; clones share it.
///
/// Shipping reads the journal's files from the place that the database says it has, whether this process wrote them or
/// an earlier one: replay at start is no other path. Reads ship first, so they see every call that is settled.
///
/// In a gateway it is a chore of the driver and the source of `/v1/generations`:
///
/// ```no_run
/// # use portcullis::{catalog::Catalog, gateway::Gateway, store::{Journal, Shipper, RecordStore}};
/// # use std::time::Duration;
/// # fn with(catalog: Catalog, journal: Journal, store: impl RecordStore) {
/// let shipper = Shipper::new(journal.clone(), store);
/// let builder = Gateway::builder(catalog).open().ledger(journal).records(shipper.clone()).every(Duration::from_millis(500), shipper);
/// # drop(builder);
/// # }
/// ```
#[derive(Clone)]
pub struct Shipper(Arc<Shared>);

struct Shared {
    journal: Journal,
    store: Arc<dyn RecordStore>,
    /// What is shipped, once the store was asked. The lock lets one ship at a time.
    shipped: Mutex<Option<Position>>,
    /// Whether shipping failed the last time.
    failing: AtomicBool,
}

/// How often [`Shipper::run`] looks for something to ship.
const TICK: Duration = Duration::from_millis(500);

impl Shipper {
    /// Ships `journal` to `store`.
    pub fn new(journal: Journal, store: impl RecordStore) -> Self {
        Self(Arc::new(Shared { journal, store: Arc::new(store), shipped: Mutex::new(None), failing: AtomicBool::new(false) }))
    }

    /// Ships what is settled by now, and deletes the segments that are not needed any more.
    ///
    /// # Errors
    /// The disk or the store failed: what was not shipped is, the next time.
    pub async fn ship(&self) -> Result<(), BoxError> {
        let Shared { journal, store, shipped, .. } = &*self.0;
        let mut shipped = shipped.lock().await;
        journal.settle_waiting();
        let mut from = match *shipped {
            Some(position) => position,
            // A folder put back from a backup is behind the store: all of it is shipped again, and what is there stays.
            // However much was written since, the store's place lies in other segments than ours of the same number.
            None => store.position(journal.id()).await?.filter(|position| *position <= journal.opened()).unwrap_or_default(),
        };
        *shipped = Some(from);
        // Under load more comes all the time: following it would be a transaction for every few records, without end.
        let end = journal.end();
        while from < end {
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

    /// Ships whenever there is something, twice a second at most, for ever. Drop the future to stop, and
    /// [`ship`](Self::ship) once more when the last call is settled.
    pub async fn run(&self) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.try_ship().await;
        }
    }

    /// Ships, and says once if it fails.
    async fn try_ship(&self) {
        let failing = &self.0.failing;
        match self.ship().await {
            Ok(()) => failing.store(false, Ordering::Relaxed),
            Err(error) if !failing.swap(true, Ordering::Relaxed) => {
                tracing::error!(%error, "records cannot be shipped to the database; they stay in the journal");
            }
            Err(_) => {}
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

/// `/v1/generations` reads here.
impl Records for Shipper {
    fn find<'a>(&'a self, workspace: &'a str, id: &'a GenerationId) -> RecordFuture<'a> {
        Box::pin(async move { Ok(self.find(id.as_str(), workspace).await?.map(Bytes::from)) })
    }
}

/// The gateway's driver ships: once more at its end, when the last call is settled.
impl Chore for Shipper {
    fn run(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.try_ship())
    }
}

impl fmt::Debug for Shipper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shipper").field(&self.0.journal).finish()
    }
}
