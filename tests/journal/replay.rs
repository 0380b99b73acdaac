//! What an earlier process left.

use portcullis::store::{Journal, Shipper, Unsettled};

use super::*;

async fn json(shipper: &Shipper, id: &GenerationId) -> serde_json::Value {
    serde_json::from_str(&shipper.find(id.as_str(), "team").await.unwrap().expect("the record is there")).unwrap()
}

#[tokio::test]
async fn an_attempt_that_was_never_settled_becomes_a_record_once() {
    for (policy, cost) in [(Unsettled::Charged, 200_000), (Unsettled::Free, 0)] {
        let folder = Folder::new();
        let id = abandoned(Journal::open(folder.state()).unwrap(), 2).await;
        for _ in 0..3 {
            let journal = Journal::builder().unsettled(policy).open(folder.state()).unwrap();
            let shipper = Shipper::new(journal, folder.database());
            let record = json(&shipper, &id).await;
            assert_eq!((&record["outcome"], &record["fault"]), (&"cancelled".into(), &"process_died".into()));
            // Twice 100 tokens at 1 USD per million.
            assert_eq!((&record["cost_nanos"], &record["attempts"].as_array().unwrap().len()), (&cost.into(), &2));
            assert_eq!((&record["usage"]["source"], &record["metadata"]["owner"]), (&"estimated".into(), &"ann".into()));
            assert_eq!(shipper.sums(SumBy::Key, None).await.unwrap()[0].calls, 1);
        }
    }
}

#[tokio::test]
async fn f066_shipping_the_same_journal_ten_times_charges_once() {
    let folder = Folder::new();
    for _ in 0..3 {
        answered(Journal::open(folder.state()).unwrap()).await;
    }
    let database = folder.database();
    for _ in 0..10 {
        // A store that does not remember how far it came.
        let shipper = Shipper::new(Journal::open(folder.state()).unwrap(), Forgetful(database.clone()));
        shipper.ship().await.unwrap();
    }
    let sums = database.sums(SumBy::Key, None).await.unwrap();
    assert_eq!((sums[0].calls, sums[0].cost_nanos), (3, 3 * 140_000));
}

#[tokio::test]
async fn a_torn_tail_costs_only_the_torn_entry() {
    let folder = Folder::new();
    let mut ends = Vec::new();
    let mut ids = Vec::new();
    let journal = Journal::open(folder.state()).unwrap();
    for _ in 0..3 {
        ids.push(answered(journal.clone()).await);
        ends.push(std::fs::read(&folder.segments()[0]).unwrap().len());
    }
    drop(journal);
    let whole = std::fs::read(&folder.segments()[0]).unwrap();
    // Every byte of the last settlement and a good part of what is before it would take long with a database each.
    for cut in (0..whole.len()).step_by(97).chain([ends[0], ends[1] - 1, ends[1], ends[1] + 1, ends[2] - 1]) {
        let torn = Folder::new();
        std::fs::create_dir_all(torn.state()).unwrap();
        std::fs::write(torn.state().join("journal-0000000001.log"), &whole[..cut]).unwrap();
        let shipper = Shipper::new(Journal::open(torn.state()).unwrap(), torn.database());
        for (id, end) in ids.iter().zip(&ends) {
            let record = shipper.find(id.as_str(), "team").await.unwrap();
            let success = record.as_ref().map(|record| record.contains("\"success\":true"));
            assert!(if cut >= *end { success == Some(true) } else { success != Some(true) }, "cut at {cut}, ends at {end}");
        }
        let calls = shipper.sums(SumBy::Key, None).await.unwrap().first().map_or(0, |sum| sum.calls);
        assert!((calls as usize) >= ends.iter().filter(|end| **end <= cut).count() && calls <= 3);
    }
}

/// A store that never knows how far it was shipped.
#[derive(Debug)]
struct Forgetful(Sqlite);

impl RecordStore for Forgetful {
    fn position<'a>(&'a self, _: &'a str) -> StoreFuture<'a, Option<Position>> {
        Box::pin(async { Ok(None) })
    }

    fn insert(&self, batch: Batch) -> StoreFuture<'_, ()> {
        self.0.insert(batch)
    }

    fn find<'a>(&'a self, id: &'a str, workspace: &'a str) -> StoreFuture<'a, Option<String>> {
        self.0.find(id, workspace)
    }

    fn sums<'a>(&'a self, by: SumBy, workspace: Option<&'a str>) -> StoreFuture<'a, Vec<Sum>> {
        self.0.sums(by, workspace)
    }
}
