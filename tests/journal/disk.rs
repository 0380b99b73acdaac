//! A disk that is full, in a process that may write no longer files.

use std::process::Command;

use portcullis::store::{Journal, Shipper};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::*;

/// Names the folder to the child; without it the child has nothing to do.
const CHILD: &str = "PORTCULLIS_DISK_CHILD";

/// Lets no file grow past `bytes`: what is written beyond fails like on a full disk, in the middle of an entry.
fn room(bytes: Option<u64>) {
    setrlimit(Resource::Fsize, Rlimit { current: bytes, ..getrlimit(Resource::Fsize) }).unwrap();
}

#[tokio::test]
async fn child() {
    let Some(folder) = std::env::var_os(CHILD).map(|folder| Folder(folder.into())) else { return };
    let journal = Journal::open(folder.state()).unwrap();
    let database = folder.database();
    let shipper = Shipper::new(journal.clone(), database.clone());
    let mut ids = vec![answered(journal.clone()).await];
    let length = || folder.segments().iter().map(|segment| segment.metadata().unwrap().len()).sum::<u64>();

    // The disk is full in the middle of a call's settlement.
    let request = metered::call(false);
    ids.push(request.body().facts().id.clone());
    let before = service_fn(|request: Request<Call>| async move {
        let call = request.into_body();
        let tally = call.tally().begin(call.facts(), &metered::target("one", "1", "2"), 1).await?;
        room(Some(length() + 100));
        tally.seen(&metered::seen(Some(metered::usage(90, 25)), 100));
        tally.end(Outcome::Complete, None);
        Ok::<_, Fault>(Response::new(Full::new(Bytes::new())))
    });
    MeterLayer::new(journal.clone()).layer(before).oneshot(request).await.unwrap();

    // Nobody is let in, and half an entry is not left behind.
    let full = length();
    for _ in 0..3 {
        let refuse = service_fn(|request: Request<Call>| async move {
            let call = request.into_body();
            call.tally().begin(call.facts(), &metered::target("one", "1", "2"), 1).await?;
            Ok::<_, Fault>(Response::new(Full::new(Bytes::new())))
        });
        let fault = MeterLayer::new(journal.clone()).layer(refuse).oneshot(metered::call(false)).await.unwrap_err();
        assert_eq!((fault.code(), fault.verdict().status.as_u16()), ("ledger_unavailable", 503));
    }
    assert_eq!(length(), full);
    // Nor can anything be shipped, and it says so.
    room(Some(10));
    assert!(shipper.ship().await.is_err());

    // There is room again, and nobody has to be told.
    room(None);
    ids.push(answered(journal.clone()).await);
    for id in &ids {
        let record = shipper.find(id.as_str(), "team").await.unwrap().expect("kept, and written when it could be");
        assert!(record.contains("\"outcome\":\"complete\""), "{record}");
    }
    // What the journal holds is whole: the next process reads all of it, and those who were refused.
    drop((journal, shipper));
    let shipper = Shipper::new(Journal::open(folder.state()).unwrap(), database);
    let sums = shipper.sums(SumBy::Key, None).await.unwrap();
    assert_eq!((sums[0].calls, sums[0].failed), (6, 3));
    std::mem::forget(folder);
    println!("all is well");
}

#[test]
fn f062_a_full_disk_admits_nobody_and_loses_nothing() {
    let folder = Folder::new();
    // The signal for a file that is too long would end the process; ignored, it is an error of the write.
    let child = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" --exact disk::child --nocapture"])
        .arg(std::env::current_exe().unwrap())
        .env(CHILD, &folder.0)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && said.contains("all is well"), "{said}\n{}", String::from_utf8_lossy(&child.stderr));
}
