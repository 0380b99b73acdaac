//! Entries of several calls in one `write`.

use std::{
    future::{Future, poll_fn},
    sync::atomic::AtomicU64,
    task::Poll,
};

use portcullis::{
    meter::MemoryLedger,
    store::{Journal, Shipper},
};

use super::*;

/// How many bytes the journal has on disk.
fn length(folder: &Folder) -> u64 {
    folder.segments().iter().map(|segment| segment.metadata().unwrap().len()).sum()
}

#[tokio::test]
async fn calls_that_are_ready_at_once_share_a_write() {
    let folder = Folder::new();
    let journal = Journal::open(folder.state()).unwrap();
    let mut calls: Vec<_> = (0..3).map(|_| Box::pin(answered(journal.clone()))).collect();
    let mut lengths = vec![];
    // Each is polled once in turn, as an executor does with tasks that are ready.
    for _ in 0..3 {
        for call in &mut calls {
            poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_ready())).await;
            lengths.push(length(&folder));
        }
    }
    assert_eq!(lengths[..3], [0; 3], "all are announced, in line");
    assert!(lengths[3] > 0 && lengths[3] == lengths[5], "the first writes for all: {lengths:?}");
    assert!(lengths[6] > lengths[5] && lengths[6] == lengths[8], "and so at the end: {lengths:?}");

    let shipper = Shipper::new(journal, folder.database());
    shipper.ship().await.unwrap();
    assert_eq!(shipper.sums(SumBy::Key, None).await.unwrap()[0].calls, 3);
}

#[tokio::test]
async fn what_nobody_commits_is_shipped() {
    let folder = Folder::new();
    let journal = Journal::open(folder.state()).unwrap();
    let record = recorded(metered::call(false)).await;
    let queued = journal.queue_settlement(record.clone());
    assert!(queued.is_some() && length(&folder) == 0);
    let shipper = Shipper::new(journal, folder.database());
    assert!(shipper.find(record.request_id.as_str(), "team").await.unwrap().is_some());
}

#[tokio::test]
async fn who_leaves_while_in_line_stays_in_no_segment() {
    let folder = Folder::new();
    let journal = Journal::builder().segment_size(1).open(folder.state()).unwrap();
    let mut left = Box::pin(answered(journal.clone()));
    poll_fn(|cx| Poll::Ready(left.as_mut().poll(cx).is_pending())).await;
    drop(left);
    for _ in 0..3 {
        answered(journal.clone()).await;
    }
    let shipper = Shipper::new(journal.clone(), folder.database());
    shipper.ship().await.unwrap();
    let sums = shipper.sums(SumBy::Key, None).await.unwrap();
    assert_eq!((sums[0].calls, sums[0].cost_nanos), (4, 3 * 140_000), "nothing was sent for the first: nothing is owed");
    assert_eq!(folder.segments().len(), 1, "all that was shipped is deleted");
}

#[tokio::test]
async fn a_group_that_is_written_in_part_is_dispatched_in_part() {
    let folder = Folder::new();
    // Two intents have room, and then another segment is needed.
    let journal = Journal::builder().segment_size(500).open(folder.state()).unwrap();
    let away = folder.0.join("away");
    let dispatched = AtomicU64::new(0);
    let mut calls: Vec<_> = (0..4).map(|_| Box::pin(attempted(journal.clone(), &dispatched))).collect();
    let mut running = Vec::new();
    for call in &mut calls {
        assert!(poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_pending())).await, "in line");
    }
    std::fs::rename(folder.state(), &away).unwrap();
    for mut call in calls {
        match poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await {
            Poll::Ready(outcome) => assert_eq!(outcome.unwrap_err().code(), "ledger_unavailable"),
            Poll::Pending => running.push(call),
        }
    }
    std::fs::rename(&away, folder.state()).unwrap();
    for call in running {
        let _ = call.await;
    }
    let dispatched = dispatched.load(Ordering::Relaxed);
    assert!((1..4).contains(&dispatched), "{dispatched} of 4");
    for _ in 0..10 {
        answered(journal.clone()).await;
    }
    let shipper = Shipper::new(journal.clone(), folder.database());
    shipper.ship().await.unwrap();
    assert_eq!(folder.segments().len(), 1, "nobody is waited for");
    drop((shipper, journal));
    // All are in the books once, and the next process finds nobody who was never settled.
    let shipper = Shipper::new(Journal::open(folder.state()).unwrap(), folder.database());
    let sums = shipper.sums(SumBy::Key, None).await.unwrap();
    assert_eq!((sums[0].calls, sums[0].cost_nanos), (14, (10 + dispatched) * 140_000));
}

#[tokio::test]
async fn more_than_is_held_for_a_full_disk_is_written_by_a_sound_one() {
    let folder = Folder::new();
    let journal = Journal::open(folder.state()).unwrap();
    let mut record = recorded(metered::call(false)).await;
    record.metadata.insert("large".into(), "x".repeat(1 << 20));
    for _ in 0..70 {
        let record = Record { request_id: GenerationId::generate(std::time::SystemTime::now()), ..record.clone() };
        assert!(journal.queue_settlement(record).is_some());
    }
    let shipper = Shipper::new(journal, folder.database());
    assert_eq!(shipper.sums(SumBy::Key, None).await.unwrap()[0].calls, 70);
}

/// The record of a call that one provider answers.
async fn recorded(request: Request<Call>) -> Record {
    let ledger = MemoryLedger::default();
    answer(ledger.clone(), request).await;
    ledger.records().pop().unwrap()
}

/// A call of one attempt, answered a turn after it is dispatched.
async fn attempted(ledger: impl Ledger, dispatched: &AtomicU64) -> Result<(), Fault> {
    let whole = service_fn(async |request: Request<Call>| {
        let call = request.into_body();
        let tally = call.tally().begin(call.facts(), &metered::target("one", "1", "2"), 1).await?;
        dispatched.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        tally.head(200);
        tally.seen(&metered::seen(Some(metered::usage(90, 25)), 100));
        tally.end(Outcome::Complete, None);
        Ok::<_, Fault>(Response::new(Full::new(Bytes::new())))
    });
    MeterLayer::new(ledger).layer(whole).oneshot(metered::call(false)).await?;
    Ok(())
}
