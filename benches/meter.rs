//! What a record costs: by itself, in the journal, and until it is in SQLite.

use divan::Bencher;
use http::{Request, Response};
use http_body_util::Empty;
use portcullis::{
    fault::Fault,
    meter::{Ledger, MeterLayer},
    stage::{Call, Outcome},
    store::{Journal, Shipper, Sqlite},
};
use tower::{Layer, ServiceExt, service_fn};

#[path = "../tests/support/metered.rs"]
mod metered;

fn main() {
    divan::main();
}

/// A call with one attempt, announced, answered and settled.
fn call(bencher: Bencher<'_, '_>, ledger: impl Ledger) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let target = metered::target("one", "1", "2");
    let answers = service_fn(move |request: Request<Call>| {
        let target = target.clone();
        async move {
            let call = request.into_body();
            let tally = call.tally().begin(call.facts(), &target, 1).await?;
            tally.head(200);
            tally.commit();
            tally.seen(&metered::seen(Some(metered::usage(90, 25)), 100));
            tally.end(Outcome::Complete, None);
            Ok::<_, Fault>(Response::new(Empty::<bytes::Bytes>::new()))
        }
    });
    let meter = MeterLayer::new(ledger).layer(answers);
    bencher.with_inputs(|| metered::call(false)).bench_local_values(|call| runtime.block_on(meter.clone().oneshot(call)).unwrap());
}

#[divan::bench]
fn forgotten(bencher: Bencher<'_, '_>) {
    call(bencher, ());
}

#[divan::bench]
fn in_the_journal(bencher: Bencher<'_, '_>) {
    let folder = std::env::temp_dir().join(format!("portcullis-bench-{}", std::process::id()));
    call(bencher, Journal::open(&folder).unwrap());
    std::fs::remove_dir_all(folder).unwrap();
}

/// A thousand records from the journal into SQLite.
#[divan::bench(sample_count = 20)]
fn ship_a_thousand(bencher: Bencher<'_, '_>) {
    let folder = std::env::temp_dir().join(format!("portcullis-bench-ship-{}", std::process::id()));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let journal = Journal::open(&folder).unwrap();
    let shipper = Shipper::new(journal.clone(), Sqlite::open(folder.join("gateway.db")).unwrap());
    let ledger = journal.clone();
    let meter = MeterLayer::new(ledger).layer(service_fn(|request: Request<Call>| async move {
        let call = request.into_body();
        let tally = call.tally().begin(call.facts(), &metered::target("one", "1", "2"), 1).await?;
        tally.end(Outcome::Complete, None);
        Ok::<_, Fault>(Response::new(Empty::<bytes::Bytes>::new()))
    }));
    let calls = || (0..1_000).for_each(|_| drop(runtime.block_on(meter.clone().oneshot(metered::call(false))).unwrap()));
    bencher.with_inputs(calls).bench_local_values(|()| runtime.block_on(shipper.ship()).unwrap());
    std::fs::remove_dir_all(folder).unwrap();
}
