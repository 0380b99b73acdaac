//! What is in the books after ordinary days.

use std::time::{Duration, SystemTime};

use portcullis::store::{Journal, JournalError, Shipper};

use super::*;

#[tokio::test]
async fn a_settled_call_is_found_at_once_by_its_workspace_alone() {
    let folder = Folder::new();
    let journal = Journal::open(folder.state()).unwrap();
    let shipper = Shipper::new(journal.clone(), folder.database());
    let id = answered(journal).await;
    let record = shipper.find(id.as_str(), "team").await.unwrap().unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    assert_eq!((&record["request_id"], &record["cost_nanos"]), (&id.as_str().into(), &140_000.into()));
    assert_eq!(shipper.find(id.as_str(), "other").await.unwrap(), None);
    assert_eq!(shipper.find("G-none", "team").await.unwrap(), None);
}

#[tokio::test]
async fn sums_by_model_provider_key_and_day() {
    let folder = Folder::new();
    let journal = Journal::open(folder.state()).unwrap();
    let shipper = Shipper::new(journal.clone(), folder.database());
    for _ in 0..3 {
        answered(journal.clone()).await;
    }
    refused(journal).await;
    let sum = |group: &str, calls, failed| Sum {
        group: group.into(),
        calls,
        failed,
        input_tokens: 90 * (calls - failed),
        output_tokens: 25 * (calls - failed),
        cost_nanos: 140_000 * (calls - failed),
    };
    assert_eq!(shipper.sums(SumBy::Key, None).await.unwrap(), [sum("k1", 4, 1)]);
    assert_eq!(shipper.sums(SumBy::Day, Some("team")).await.unwrap(), [sum("1970-01-01", 4, 1)]);
    assert_eq!(shipper.sums(SumBy::Model, None).await.unwrap(), [sum("", 1, 1), sum("maker/gpt", 3, 0)]);
    assert_eq!(shipper.sums(SumBy::Provider, None).await.unwrap(), [sum("", 1, 1), sum("one", 3, 0)]);
    assert_eq!(shipper.sums(SumBy::Provider, Some("other")).await.unwrap(), []);
}

#[tokio::test]
async fn refusals_past_the_threshold_share_a_record() {
    let folder = Folder::new();
    let journal = Journal::builder().refusals_per_minute(5).open(folder.state()).unwrap();
    for _ in 0..1_000 {
        refused(journal.clone()).await;
    }
    let size: u64 = folder.segments().iter().map(|path| path.metadata().unwrap().len()).sum();
    assert!(size < 50_000, "{size} bytes for refusals");
    drop(journal);
    // The minute may end while the test runs: then there are more than six records, and still a thousand calls.
    let shipper = Shipper::new(Journal::open(folder.state()).unwrap(), folder.database());
    assert_eq!(shipper.sums(SumBy::Key, None).await.unwrap()[0].calls, 1_000);
}

/// Without the layer that retries nobody notes attempts: a call that broke off after it used something is no refusal.
#[tokio::test]
async fn what_was_used_is_never_folded() {
    let folder = Folder::new();
    let journal = Journal::builder().refusals_per_minute(0).open(folder.state()).unwrap();
    let ids = [broken(journal.clone()).await, broken(journal.clone()).await];
    let shipper = Shipper::new(journal, folder.database());
    for id in ids {
        assert!(shipper.find(id.as_str(), "team").await.unwrap().is_some());
    }
}

#[test]
fn f063_a_second_process_is_refused() {
    let folder = Folder::new();
    let first = Journal::open(folder.state()).unwrap();
    let refused = Journal::open(folder.state()).unwrap_err();
    assert!(matches!(refused, JournalError::InUse { .. }), "{refused}");
    assert!(refused.to_string().ends_with("is in use: another gateway keeps its journal there"));
    drop(first);
    Journal::open(folder.state()).unwrap();
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn f062_a_journal_that_cannot_be_written_admits_nobody_and_loses_nothing() {
    let folder = Folder::new();
    // Room for one entry: the next one needs a new segment, and the folder is away.
    let journal = Journal::builder().segment_size(1).open(folder.state()).unwrap();
    let shipper = Shipper::new(journal.clone(), folder.database());
    let running = metered::call(false);
    let id = running.body().facts().id.clone();
    let away = folder.0.join("away");
    let (state, elsewhere) = (folder.state(), away.clone());
    let fails = service_fn(move |request: Request<Call>| {
        let (state, away) = (state.clone(), elsewhere.clone());
        async move {
            let call = request.into_body();
            let tally = call.tally().begin(call.facts(), &metered::target("one", "1", "2"), 1).await?;
            std::fs::rename(&state, &away).unwrap();
            tally.end(Outcome::Complete, None);
            Ok::<_, Fault>(Response::new(Full::new(Bytes::new())))
        }
    });
    MeterLayer::new(journal.clone()).layer(fails).oneshot(running).await.unwrap();
    let refuse = service_fn(|request: Request<Call>| async move {
        let call = request.into_body();
        call.tally().begin(call.facts(), &metered::target("one", "1", "2"), 1).await?;
        Ok::<_, Fault>(Response::new(Full::new(Bytes::new())))
    });
    let fault = MeterLayer::new(journal.clone()).layer(refuse).oneshot(metered::call(false)).await.unwrap_err();
    assert_eq!((fault.code(), fault.verdict().status.as_u16()), ("ledger_unavailable", 503));
    std::fs::rename(&away, folder.state()).unwrap();
    assert!(shipper.find(id.as_str(), "team").await.unwrap().is_some(), "kept in memory, written when it could be");
    answered(journal).await;
}

/// Wherever the clock jumps, ids differ, every call is in the books once, and times that no calendar has are the epoch.
#[tokio::test]
async fn f068_a_clock_that_jumps_loses_and_doubles_nothing() {
    let folder = Folder::new();
    let journal = Journal::builder().refusals_per_minute(1).open(folder.state()).unwrap();
    let shipper = Shipper::new(journal.clone(), folder.database());
    let now = SystemTime::now();
    let hour = Duration::from_secs(3600);
    let mut ids = Vec::new();
    for created in
        [now, now - hour, now, now + 24 * hour, now, SystemTime::UNIX_EPOCH - hour, SystemTime::UNIX_EPOCH + 24 * 365 * 9_999 * hour]
    {
        for _ in 0..3 {
            let id = answer(journal.clone(), metered::call_at(created, false)).await;
            let record = shipper.find(id.as_str(), "team").await.unwrap().unwrap();
            let record: serde_json::Value = serde_json::from_str(&record).unwrap();
            let told = record["created_at"].as_str().unwrap();
            assert!(told.ends_with('Z') && told.len() == "2026-01-01T00:00:00.000Z".len(), "{told}");
            assert!(record["latency_ms"].as_u64().unwrap() < 60_000, "by a clock that does not jump: {record}");
            ids.push(id);
        }
    }
    let different: std::collections::HashSet<_> = ids.iter().collect();
    assert_eq!(different.len(), ids.len());
    let sums = shipper.sums(SumBy::Key, None).await.unwrap();
    assert_eq!((sums[0].calls, sums[0].cost_nanos), (ids.len() as u64, 140_000 * ids.len() as u64));
    let days: u64 = shipper.sums(SumBy::Day, None).await.unwrap().iter().map(|sum| sum.calls).sum();
    assert_eq!(days, ids.len() as u64);
}
