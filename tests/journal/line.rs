//! Entries of several calls in one `write`.

use std::future::{Future, poll_fn};

use portcullis::store::{Journal, Shipper};

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
            poll_fn(|cx| std::task::Poll::Ready(call.as_mut().poll(cx).is_ready())).await;
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
async fn what_is_left_in_line_is_written_and_no_call_stays_open() {
    let folder = Folder::new();
    let journal = Journal::builder().segment_size(1).open(folder.state()).unwrap();
    abandoned(journal.clone(), 1).await;
    // Left between its announcement and its write.
    let mut left = Box::pin(answered(journal.clone()));
    poll_fn(|cx| std::task::Poll::Ready(left.as_mut().poll(cx).is_pending())).await;
    drop(left);

    let shipper = Shipper::new(journal.clone(), folder.database());
    shipper.ship().await.unwrap();
    let sums = shipper.sums(SumBy::Key, None).await.unwrap();
    assert_eq!((sums[0].calls, sums[0].cost_nanos), (1, 0), "nothing was sent: nothing is owed");
    drop((shipper, journal));
    // Of two that were announced one was never settled: it alone is, by the next process.
    let shipper = Shipper::new(Journal::open(folder.state()).unwrap(), folder.database());
    assert_eq!(shipper.sums(SumBy::Key, None).await.unwrap()[0].calls, 2);
}
