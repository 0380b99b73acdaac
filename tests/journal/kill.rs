//! Signal 9 at random points under load.

use std::{
    collections::HashSet,
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use portcullis::store::{Journal, Shipper};

use super::*;

/// Names the folder to the child; without it the child has nothing to do.
const CHILD: &str = "PORTCULLIS_JOURNAL_CHILD";
/// How often to kill. The default is quick; a thousand takes minutes.
const ROUNDS: &str = "PORTCULLIS_KILL_ROUNDS";

fn journal(state: PathBuf) -> Journal {
    // Small segments, so that kills hit their turns and deletions too.
    Journal::builder().segment_size(2_000).open(state).unwrap()
}

/// Says on standard output what was dispatched (`D`) and what its caller has seen the end of (`A`), as it happens.
fn say(what: &str, id: &GenerationId) {
    let line = format!("{what} {id}\n");
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).and_then(|()| out.flush()).unwrap();
}

/// Calls without end, as many at once as there are tasks. Some fail over, some are left by their callers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Some(folder) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let journal = journal(folder.join("gateway.state"));
    let shipper = Shipper::new(journal.clone(), Sqlite::open(folder.join("gateway.db")).unwrap());
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move { shipper.run().await });
    for task in 0..4 {
        let journal = journal.clone();
        tasks.spawn(async move {
            for turn in 0_u32.. {
                serve(&journal, turn % 4 == task % 4, turn % 5 == 0).await;
                tokio::task::yield_now().await;
            }
        });
    }
    tasks.join_all().await;
}

async fn serve(journal: &Journal, fails_over: bool, leaves: bool) {
    let request = metered::call(true);
    let id = request.body().facts().id.clone();
    let provider = service_fn(move |request: Request<Call>| async move {
        let call = request.into_body();
        let mut tally = call.tally().begin(call.facts(), &metered::target("one", "1", "2"), 1).await?;
        say("D", &call.facts().id);
        if fails_over {
            tally.end(Outcome::Failed, Some(&Fault::new(FaultKind::RateLimited)));
            tally = call.tally().begin(call.facts(), &metered::target("two", "1", "2"), 2).await?;
        }
        tokio::task::yield_now().await;
        if leaves {
            return Ok(Response::new(Full::new(Bytes::from_static(b"half"))));
        }
        tally.seen(&metered::seen(Some(metered::usage(90, 25)), 100));
        tally.end(Outcome::Complete, None);
        Ok::<_, Fault>(Response::new(Full::new(Bytes::from_static(b"{}"))))
    });
    let answer = MeterLayer::new(journal.clone()).layer(provider).oneshot(request).await.unwrap();
    if !leaves {
        answer.into_body().collect().await.unwrap();
        say("A", &id);
    }
}

#[tokio::test]
async fn f060_kill_9_at_random_points_under_load() {
    let rounds = std::env::var(ROUNDS).ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(12_u32);
    let folder = Folder::new();
    let (mut dispatched, mut acknowledged) = (HashSet::new(), HashSet::new());
    for round in 0..rounds {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::child", "--nocapture"])
            .env(CHILD, &folder.0)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Where exactly it dies is up to the scheduler; that it is somewhere else each time, to this.
        let mut left = 1 + (round * 7919) % 500;
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        while let Some(Ok(line)) = lines.next() {
            match line.split_once(' ') {
                Some(("D", id)) => dispatched.insert(id.to_owned()),
                Some(("A", id)) => acknowledged.insert(id.to_owned()),
                _ => continue,
            };
            left = left.saturating_sub(1);
            if left == 0 {
                // What it said until it was gone still counts: the pipe is read to its end.
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
    }
    assert!(acknowledged.len() > rounds as usize, "{} calls were acknowledged", acknowledged.len());
    let shipper = Shipper::new(journal(folder.state()), folder.database());
    shipper.ship().await.unwrap();
    let all = ids(&folder);
    for id in &acknowledged {
        let record = shipper.find(id, "team").await.unwrap().unwrap_or_else(|| panic!("{id} was acknowledged and is lost"));
        assert!(record.contains("\"outcome\":\"complete\""), "{record}");
    }
    for id in &dispatched {
        assert!(all.contains(id), "{id} was dispatched and is not accounted for");
    }
    let sums = shipper.sums(SumBy::Key, None).await.unwrap();
    assert_eq!(sums[0].calls, all.len() as u64, "each call is summed once");
}

/// The ids of all records, each of which must be there once.
fn ids(folder: &Folder) -> HashSet<String> {
    let connection = rusqlite::Connection::open(folder.0.join("gateway.db")).unwrap();
    let mut statement = connection.prepare("SELECT id FROM records").unwrap();
    let ids: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    let unique: HashSet<_> = ids.iter().cloned().collect();
    assert_eq!(unique.len(), ids.len());
    unique
}
