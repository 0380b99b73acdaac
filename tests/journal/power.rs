//! Power lost at any moment: what was flushed is there, and what was not is anything at all.

use portcullis::store::{Journal, Shipper};

use super::*;

/// What a disk may hold where the system had not written back from `at` on.
fn images(written: &[u8], at: usize) -> [Vec<u8>; 4] {
    let (kept, lost) = written.split_at(at);
    let noise = (0..lost.len()).scan(0x9e37_79b9_u32, |state, _| {
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some((*state >> 24) as u8)
    });
    // The end was written back before its middle.
    let middle = lost.len() / 2;
    [
        kept.to_vec(),
        [kept, &vec![0; lost.len()]].concat(),
        [kept, &noise.collect::<Vec<_>>()].concat(),
        [kept, &vec![0; middle], &lost[middle..]].concat(),
    ]
}

/// Opens a journal whose only segment holds `image`, and a store that knows nothing of it.
fn opened(image: &[u8]) -> (Folder, Journal, Shipper) {
    let folder = Folder::new();
    std::fs::create_dir_all(folder.state()).unwrap();
    std::fs::write(folder.state().join("journal-0000000001.log"), image).unwrap();
    let journal = Journal::open(folder.state()).unwrap();
    let shipper = Shipper::new(journal.clone(), folder.database());
    (folder, journal, shipper)
}

/// What was acknowledged before the last flush is there, once; of what came later there is a whole record, a record of a
/// death, or none; and the books go on.
#[tokio::test]
async fn f061_a_power_loss_takes_what_was_not_flushed_and_nothing_else() {
    let folder = Folder::new();
    let journal = Journal::builder().sync(true).open(folder.state()).unwrap();
    let (mut ids, mut ends) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        ids.push(answered(journal.clone()).await);
        ends.push(std::fs::read(&folder.segments()[0]).unwrap().len());
    }
    drop(journal);
    let written = std::fs::read(&folder.segments()[0]).unwrap();
    // With `sync` only the last entry is ever in flight; without it, as much as the system likes.
    let in_flight = (ends[1]..ends[2]).step_by(97).chain([ends[1] + 1, ends[2] - 1]);
    let much = [0, 1, ends[0] / 2, ends[0], ends[0] + 5];
    for at in much.into_iter().chain(in_flight) {
        for image in images(&written, at) {
            let (_folder, journal, shipper) = opened(&image);
            let mut calls = 0;
            for (id, end) in ids.iter().zip(&ends) {
                let record = shipper.find(id.as_str(), "team").await.unwrap();
                let complete = record.as_ref().is_some_and(|record| record.contains("\"outcome\":\"complete\""));
                let died = record.as_ref().is_some_and(|record| record.contains("\"fault\":\"process_died\""));
                assert!(if *end <= at { complete } else { complete || died || record.is_none() }, "lost from {at}: {record:?}");
                calls += i64::from(record.is_some());
            }
            let next = answered(journal).await;
            assert!(shipper.find(next.as_str(), "team").await.unwrap().is_some());
            let sums = shipper.sums(SumBy::Key, None).await.unwrap();
            assert_eq!(i64::try_from(sums[0].calls).unwrap(), calls + 1, "none twice");
        }
    }
}

/// A store that is ahead of its journal, since segments are gone that it had: whatever is written until it is asked again.
#[tokio::test]
async fn f061_a_store_that_is_ahead_misses_nothing() {
    for calls in [1, 3, 9, 30] {
        let folder = Folder::new();
        let small = || Journal::builder().segment_size(1).open(folder.state()).unwrap();
        let mut ids = Vec::new();
        let journal = small();
        for _ in 0..6 {
            ids.push(answered(journal.clone()).await);
        }
        Shipper::new(journal, folder.database()).ship().await.unwrap();
        folder.segments().iter().for_each(|segment| std::fs::remove_file(segment).unwrap());
        let journal = small();
        for _ in 0..calls {
            ids.push(answered(journal.clone()).await);
        }
        let shipper = Shipper::new(journal, folder.database());
        for id in &ids {
            assert!(shipper.find(id.as_str(), "team").await.unwrap().is_some(), "{id} of {calls}");
        }
        assert_eq!(shipper.sums(SumBy::Key, None).await.unwrap()[0].calls, ids.len() as u64);
    }
}

/// A torn id is none: the journal gets another, and the store gets everything again.
#[tokio::test]
async fn f061_a_torn_id_is_made_anew() {
    let folder = Folder::new();
    let id = answered(Journal::open(folder.state()).unwrap()).await;
    for torn in [&b""[..], b"01M8", &[0; 26], b"\xff\xfe", b"not an id, and too long to be one"] {
        std::fs::write(folder.state().join("journal.id"), torn).unwrap();
        let shipper = Shipper::new(Journal::open(folder.state()).unwrap(), folder.database());
        assert!(shipper.find(id.as_str(), "team").await.unwrap().is_some());
        assert_eq!(shipper.sums(SumBy::Key, None).await.unwrap()[0].calls, 1);
    }
}
