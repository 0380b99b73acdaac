//! Shipping that is interrupted, and what it leaves on the disk.

use std::sync::{Arc, Mutex};

use portcullis::store::{Journal, Shipper};

use super::*;

/// Fails at one of its calls, before or after it did what it was asked.
struct Fragile {
    database: Sqlite,
    /// Calls left before the failure.
    calls: Mutex<u32>,
    after: bool,
}

impl Fragile {
    fn fails(&self) -> bool {
        let mut calls = self.calls.lock().unwrap();
        let fails = *calls == 0;
        *calls = calls.wrapping_sub(1);
        fails
    }
}

impl RecordStore for Fragile {
    fn position<'a>(&'a self, journal: &'a str) -> StoreFuture<'a, Option<Position>> {
        match self.fails() {
            true => Box::pin(async { Err("the store is away".into()) }),
            false => self.database.position(journal),
        }
    }

    fn insert(&self, batch: Batch) -> StoreFuture<'_, ()> {
        let fails = self.fails();
        Box::pin(async move {
            if !fails || self.after {
                self.database.insert(batch).await?;
            }
            if fails { Err("the store is away".into()) } else { Ok(()) }
        })
    }

    fn find<'a>(&'a self, id: &'a str, workspace: &'a str) -> StoreFuture<'a, Option<String>> {
        self.database.find(id, workspace)
    }

    fn sums<'a>(&'a self, by: SumBy, workspace: Option<&'a str>) -> StoreFuture<'a, Vec<Sum>> {
        self.database.sums(by, workspace)
    }
}

#[tokio::test]
async fn shipping_interrupted_at_every_step_ships_each_record_once() {
    for step in 0..6 {
        for after in [false, true] {
            let folder = Folder::new();
            let database = folder.database();
            let journal = Journal::builder().segment_size(500).open(folder.state()).unwrap();
            for _ in 0..6 {
                answered(journal.clone()).await;
            }
            let shipper = Shipper::new(journal.clone(), Fragile { database: database.clone(), calls: Mutex::new(step), after });
            let failed = shipper.ship().await.is_err();
            assert!(failed || step > 1, "several steps are interrupted");
            answered(journal).await;
            shipper.ship().await.unwrap();
            let sums = database.sums(SumBy::Key, None).await.unwrap();
            assert_eq!((sums[0].calls, sums[0].cost_nanos), (7, 7 * 140_000), "step {step}, after {after}");
        }
    }
}

#[tokio::test]
async fn what_is_shipped_is_deleted_and_what_a_running_call_needs_is_kept() {
    let folder = Folder::new();
    let journal = Journal::builder().segment_size(500).open(folder.state()).unwrap();
    let shipper = Shipper::new(journal.clone(), folder.database());
    for _ in 0..20 {
        answered(journal.clone()).await;
    }
    assert!(folder.segments().len() > 5);
    shipper.ship().await.unwrap();
    assert_eq!(folder.segments().len(), 1);
    let running = abandoned(journal.clone(), 1).await;
    for _ in 0..20 {
        answered(journal.clone()).await;
    }
    shipper.ship().await.unwrap();
    assert!(folder.segments().len() > 5, "the running call's intent is still needed");
    drop((journal, shipper));
    let shipper = Shipper::new(Journal::open(folder.state()).unwrap(), folder.database());
    assert!(shipper.find(running.as_str(), "team").await.unwrap().is_some());
    assert_eq!(shipper.sums(SumBy::Key, None).await.unwrap()[0].calls, 41);
}

#[tokio::test]
async fn a_folder_made_anew_is_not_taken_for_the_old_one() {
    let folder = Folder::new();
    let database = folder.database();
    for _ in 0..2 {
        let journal = Journal::open(folder.state()).unwrap();
        for _ in 0..2 {
            answered(journal.clone()).await;
        }
        Shipper::new(journal, database.clone()).ship().await.unwrap();
        std::fs::remove_dir_all(folder.state()).unwrap();
    }
    assert_eq!(database.sums(SumBy::Key, None).await.unwrap()[0].calls, 4);
}

#[tokio::test]
async fn readers_and_writers_at_once() {
    let folder = Folder::new();
    let journal = Journal::builder().segment_size(1_000).open(folder.state()).unwrap();
    let shipper = Shipper::new(journal.clone(), folder.database());
    let found = Arc::new(Mutex::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (journal, shipper, found) = (journal.clone(), shipper.clone(), found.clone());
        tasks.spawn(async move {
            for _ in 0..10 {
                let id = answered(journal.clone()).await;
                assert!(shipper.find(id.as_str(), "team").await.unwrap().is_some());
                *found.lock().unwrap() += 1;
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    assert_eq!(*found.lock().unwrap(), 80);
    assert_eq!(shipper.sums(SumBy::Key, None).await.unwrap()[0].calls, 80);
}
