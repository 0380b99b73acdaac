//! What is known of targets, and the keeper of deadlines.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use portcullis::{
    catalog::{Preset, Target, Timeouts},
    stage::{Breaker, Closed, Health, Watchdog, Watched},
};
use tokio::time::Instant;

use crate::support::*;

fn model(name: &str) -> Target {
    let mut one = (*target(&Preset::OPENAI, "a", Timeouts::default())).clone();
    one.model = name.into();
    one
}

#[tokio::test(start_paused = true)]
async fn the_window_slides() {
    let health = Health::new();
    let target = model("m");
    for _ in 0..19 {
        health.admit(&target).unwrap().fail();
    }
    tokio::time::advance(secs(31)).await;
    health.admit(&target).unwrap().fail();
    assert_eq!((health.breaker(&target), health.vitals()[0].failures), (Breaker::Closed, 1), "the others are forgotten");
    for _ in 0..30 {
        health.admit(&target).unwrap().succeed();
    }
    for _ in 0..20 {
        health.admit(&target).unwrap().fail();
    }
    assert_eq!(health.breaker(&target), Breaker::Closed, "less than half");
    (0..9).for_each(|_| health.admit(&target).unwrap().fail());
    assert!(matches!(health.breaker(&target), Breaker::Open(_)));
    // Another model of the same provider is another target.
    assert_eq!(health.breaker(&model("n")), Breaker::Closed);
}

#[tokio::test(start_paused = true)]
async fn latencies_are_those_of_the_newest() {
    let health = Health::new();
    let target = model("m");
    for millis in 1..=200 {
        let pass = health.admit(&target).unwrap();
        tokio::time::advance(Duration::from_millis(millis)).await;
        pass.succeed();
    }
    let vitals = health.vitals().remove(0);
    let (p50, p95) = (vitals.p50.unwrap().as_millis(), vitals.p95.unwrap().as_millis());
    assert!((160..=176).contains(&p50) && (190..=200).contains(&p95), "{p50} and {p95} ms");
}

#[tokio::test(start_paused = true)]
async fn a_quota_cools_for_a_while_and_not_for_ever() {
    let health = Health::new();
    let target = model("m");
    health.admit(&target).unwrap().limited(Duration::MAX);
    assert_eq!(health.admit(&target).unwrap_err(), Closed::Limited(secs(30)));
    assert_eq!(health.vitals()[0].running, 0);
    tokio::time::advance(secs(30)).await;
    drop(health.admit(&target).unwrap());
    assert_eq!(health.vitals()[0].calls, 0, "what reports nothing counts for nothing");
}

/// Behind a wildcard, callers make up the names.
#[tokio::test(start_paused = true)]
async fn f075_made_up_names_do_not_pile_up() {
    let health = Health::new();
    let known = model("known");
    for _ in 0..20 {
        health.admit(&known).unwrap().fail();
    }
    let running = health.admit(&model("running")).unwrap();
    for at in 0..5_000 {
        health.admit(&model(&format!("made-up-{at}"))).unwrap().succeed();
    }
    assert!(health.vitals().len() <= 1_024);
    assert!(matches!(health.breaker(&known), Breaker::Open(_)));
    tokio::time::advance(secs(60)).await;
    health.admit(&model("new")).unwrap().succeed();
    let names: Vec<_> = health.vitals().iter().map(|vitals| vitals.model.to_string()).collect();
    assert_eq!(names, ["known", "new", "running"]);
    drop(running);
    assert!(health.vitals().iter().all(|vitals| vitals.running == 0));
}

/// An entry that acts on each check.
struct Entry {
    checks: AtomicU32,
    aborts: AtomicU32,
    act: Mutex<Box<dyn FnMut() -> bool + Send>>,
}

fn entry(act: impl FnMut() -> bool + Send + 'static) -> Arc<Entry> {
    Arc::new(Entry { checks: AtomicU32::new(0), aborts: AtomicU32::new(0), act: Mutex::new(Box::new(act)) })
}

impl Entry {
    fn counts(&self) -> (u32, u32) {
        (self.checks.load(Ordering::Relaxed), self.aborts.load(Ordering::Relaxed))
    }
}

impl Watched for Entry {
    fn check(&self, _: Instant) -> bool {
        self.checks.fetch_add(1, Ordering::Relaxed);
        let mut act = self.act.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        act()
    }

    fn abort(&self) {
        self.aborts.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_watched_while_others_are_checked_is_not_lost() {
    let dog = Watchdog::new();
    let late: Arc<Mutex<Vec<Arc<Entry>>>> = Arc::default();
    let (from, to) = (dog.clone(), late.clone());
    let first = entry(move || {
        let new = entry(|| true);
        from.watch(&new);
        to.lock().unwrap().push(new);
        assert!(!from.is_empty(), "a check does not hide what it looks at");
        to.lock().unwrap().len() < 3
    });
    let second = entry(|| true);
    dog.watch(&first);
    dog.watch(&second);
    for _ in 0..5 {
        dog.check(Instant::now());
    }
    assert_eq!((first.counts(), second.counts()), ((3, 0), (5, 0)));
    assert_eq!(late.lock().unwrap().iter().map(|entry| entry.counts().0).collect::<Vec<_>>(), [4, 3, 2]);
    assert_eq!(dog.len(), 4);
    drop(second);
    assert_eq!(dog.len(), 3);
}

#[tokio::test]
async fn f059_an_abort_in_the_middle_of_a_check_reaches_all() {
    let dog = Watchdog::new();
    let abort = dog.clone();
    let before = entry(|| true);
    let middle = entry(move || {
        abort.abort();
        true
    });
    let behind = entry(|| true);
    for entry in [&before, &middle, &behind] {
        dog.watch(entry);
    }
    dog.check(Instant::now());
    assert_eq!([&before, &middle, &behind].map(|entry| entry.counts().1), [1, 1, 1]);
    assert!(dog.is_empty());
}

#[tokio::test]
async fn f058_one_that_panics_takes_nobody_along() {
    let dog = Watchdog::new();
    let (before, bad, behind) = (entry(|| true), entry(|| panic!("the entry panicked")), entry(|| true));
    for entry in [&before, &bad, &behind] {
        dog.watch(entry);
    }
    dog.check(Instant::now());
    dog.check(Instant::now());
    assert_eq!([&before, &bad, &behind].map(|entry| entry.counts().0), [2, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_spawned_watchdog_runs_as_long_as_there_is_something_to_watch() {
    let dog = Watchdog::spawning();
    for _ in 0..2 {
        let mut left = 3;
        let watched = entry(move || {
            left -= 1;
            left > 0
        });
        dog.watch(&watched);
        tokio::time::sleep(secs(10)).await;
        assert_eq!((watched.counts().0, dog.len()), (3, 0));
    }
}
