//! What a key costs the store, and how soon a change is felt. Time is paused.

use std::{sync::atomic::Ordering, time::Duration};

use portcullis::auth::{CachedKeys, KeyAdmin, KeyText, MemoryKeys, NewKey, Pepper, Peppers};
use tokio::time::advance;

use crate::support::{Calendar, KEY, MANAGEMENT, OTHER, Store, create, kid, opens, pepper, store};

const INVALID: Result<(), &str> = Err("invalid_key");
const UNAVAILABLE: Result<(), &str> = Err("key_store_unavailable");

/// Lets time pass as the gateway's driver does: a refresh every quarter of a second.
async fn pass(keys: &CachedKeys, time: Duration) {
    for _ in 0..time.as_millis() / 250 {
        advance(Duration::from_millis(250)).await;
        let _ = keys.refresh().await;
    }
}

/// What twenty callers are told who show `text` at the same time.
async fn at_once(keys: &CachedKeys, text: &str) -> Vec<Result<(), &'static str>> {
    told((0..20).map(|_| calls(keys, text))).await
}

/// What twenty callers are told who each try a wrong secret of their own at the same time.
async fn guessing(keys: &CachedKeys) -> Vec<Result<(), &'static str>> {
    told((0..20).map(|guess| calls(keys, &format!("{KEY}{guess}")))).await
}

async fn told(callers: impl Iterator<Item = Caller>) -> Vec<Result<(), &'static str>> {
    let mut told = Vec::new();
    for caller in callers.collect::<Vec<_>>() {
        told.push(caller.await.unwrap());
    }
    told
}

type Caller = tokio::task::JoinHandle<Result<(), &'static str>>;

fn calls(keys: &CachedKeys, text: &str) -> Caller {
    let (keys, text) = (keys.clone(), text.to_owned());
    tokio::spawn(async move { opens(&keys, &text).await })
}

/// Waits until the store has been asked `finds` times.
async fn until_asked(store: &Store, finds: usize) {
    while store.finds() < finds {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_hot_key_costs_one_read_in_all() {
    let store = store().await;
    let keys = store.cached();
    for _ in 0..100 {
        assert_eq!(opens(&keys, KEY).await, Ok(()));
    }
    assert_eq!(store.finds(), 1);

    // The first refresh learns the version, and reads once more what was read before it.
    pass(&keys, Duration::from_millis(250)).await;
    assert_eq!(opens(&keys, KEY).await, Ok(()));
    assert_eq!(store.finds(), 2);
    for _ in 0..100 {
        pass(&keys, Duration::from_secs(10)).await;
        assert_eq!(opens(&keys, KEY).await, Ok(()));
    }
    assert_eq!(store.finds(), 2);
}

#[tokio::test(start_paused = true)]
async fn without_refreshes_a_key_is_read_once_a_second() {
    let store = store().await;
    let keys = store.cached();
    for _ in 0..100 {
        advance(Duration::from_millis(100)).await;
        assert_eq!(opens(&keys, KEY).await, Ok(()));
    }
    assert_eq!(store.finds(), 10);
}

#[tokio::test(start_paused = true)]
async fn unknown_ids_cost_one_read_too() {
    let store = store().await;
    let keys = store.cached();
    pass(&keys, Duration::from_millis(250)).await;
    let unknown = KEY.replace("kidAAAA00001", "kidAAAA99999");
    for _ in 0..100 {
        pass(&keys, Duration::from_secs(1)).await;
        assert_eq!(opens(&keys, &unknown).await, INVALID);
    }
    assert_eq!(store.finds(), 1);
}

#[tokio::test(start_paused = true)]
async fn wrong_secrets_cost_one_read_an_interval_however_many_come() {
    let store = store().await;
    let keys = store.cached();
    pass(&keys, Duration::from_millis(250)).await;
    assert_eq!(opens(&keys, KEY).await, Ok(()));
    let wrong = KEY.replace("BBBB11", "BBBB12");
    for interval in 0..100 {
        for _ in 0..50 {
            assert_eq!(opens(&keys, &wrong).await, INVALID);
            assert_eq!(opens(&keys, KEY).await, Ok(()), "the others go on without the store");
        }
        assert_eq!(store.finds(), 2 + interval);
        pass(&keys, Duration::from_millis(250)).await;
    }

    // Another one each time: a few reads, and no more.
    let asked = store.finds();
    for secret in 0..50 {
        assert_eq!(opens(&keys, &format!("{wrong}{secret}")).await, INVALID);
    }
    assert_eq!(store.finds(), asked + 4);
    pass(&keys, Duration::from_millis(250)).await;

    // At the same time as well: all wait for the one read.
    let asked = store.finds();
    assert_eq!(at_once(&keys, &wrong).await, [INVALID; 20]);
    assert_eq!(store.finds(), asked + 1);
}

#[tokio::test(start_paused = true)]
async fn a_secret_just_made_opens_at_once() {
    let store = store().await;
    let (keys, admin) = (store.cached(), store.admin());
    pass(&keys, Duration::from_secs(1)).await;
    assert_eq!(opens(&keys, KEY).await, Ok(()));
    // No refresh since, and several callers have it.
    let (new, _) = admin.rotate(&kid(KEY), Duration::from_secs(60), "test").await.unwrap();
    let asked = store.finds();
    assert_eq!(at_once(&keys, new.expose()).await, [Ok(()); 20]);
    assert_eq!(opens(&keys, KEY).await, Ok(()), "in its grace");
    assert_eq!(store.finds(), asked + 1);

    // And again, while somebody goes on with a secret that is over.
    let over = KEY.replace("BBBB11", "BBBB12");
    for _ in 0..3 {
        let (newest, _) = admin.rotate(&kid(KEY), Duration::ZERO, "test").await.unwrap();
        pass(&keys, Duration::from_millis(250)).await;
        assert_eq!(opens(&keys, &over).await, INVALID);
        let (next, _) = admin.rotate(&kid(KEY), Duration::from_secs(60), "test").await.unwrap();
        assert_eq!(opens(&keys, &over).await, INVALID);
        assert_eq!(opens(&keys, next.expose()).await, Ok(()));
        assert_eq!(opens(&keys, newest.expose()).await, Ok(()), "in its grace");
    }

    // So does a key that was paused a moment ago.
    admin.pause(&kid(KEY), "test").await.unwrap();
    pass(&keys, Duration::from_millis(250)).await;
    assert_eq!(opens(&keys, KEY).await, INVALID);
    admin.resume(&kid(KEY), "test").await.unwrap();
    advance(Duration::from_millis(250)).await;
    assert_eq!(opens(&keys, KEY).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn wrong_secrets_do_not_wait_in_line_for_a_store_that_hangs() {
    let store = store().await;
    let keys = store.cached();
    pass(&keys, Duration::from_millis(250)).await;
    assert_eq!(opens(&keys, KEY).await, Ok(()));
    store.holds(true);
    let began = tokio::time::Instant::now();
    let wrong = KEY.replace("BBBB11", "BBBB12");
    assert_eq!(at_once(&keys, &wrong).await, [INVALID; 20]);
    assert_eq!(began.elapsed(), Duration::from_secs(2));

    // Nor if each has another, and nobody else stands in their line then.
    pass(&keys, Duration::from_secs(1)).await;
    let (began, asked) = (tokio::time::Instant::now(), store.finds());
    assert_eq!(guessing(&keys).await, [INVALID; 20]);
    assert_eq!(began.elapsed(), Duration::from_secs(2));
    assert_eq!(guessing(&keys).await, [INVALID; 20]);
    assert_eq!(began.elapsed(), Duration::from_secs(2), "known not to answer");
    assert_eq!(store.finds(), asked + 1);
}

#[tokio::test(start_paused = true)]
async fn wrong_secrets_reach_a_slow_store_no_more_than_a_quick_one() {
    let store = store().await;
    let keys = store.cached().fresh_for(Duration::from_secs(60));
    assert_eq!(opens(&keys, KEY).await, Ok(()));
    store.holds(true);
    let slow = tokio::spawn({
        let store = store.clone();
        async move {
            loop {
                tokio::time::sleep(Duration::from_millis(300)).await;
                store.state.release.notify_one();
            }
        }
    });
    let asked = store.finds();
    assert_eq!(guessing(&keys).await, [INVALID; 20]);
    assert_eq!(store.finds(), asked + 4);
    slow.abort();
}

/// The new secret of a key that `keys` remember with its old one.
async fn rotated(store: &Store, keys: &CachedKeys) -> KeyText {
    pass(keys, Duration::from_secs(1)).await;
    assert_eq!(opens(keys, KEY).await, Ok(()));
    store.admin().rotate(&kid(KEY), Duration::ZERO, "test").await.unwrap().0
}

#[tokio::test(start_paused = true)]
async fn a_secret_just_made_opens_though_a_refresh_comes_between() {
    let store = store().await;
    let keys = store.cached();
    let new = rotated(&store, &keys).await;

    // What the first of them is told by the store is not remembered: the key is seen to change meanwhile.
    store.holds(true);
    let asked = store.finds();
    let callers: Vec<_> = (0..20).map(|_| calls(&keys, new.expose())).collect();
    until_asked(&store, asked + 1).await;
    keys.refresh().await.unwrap();
    store.holds(false);
    store.state.release.notify_one();
    assert_eq!(told(callers.into_iter()).await, [Ok(()); 20]);
    assert_eq!(opens(&keys, new.expose()).await, Ok(()));
    assert_eq!(opens(&keys, KEY).await, INVALID);
}

#[tokio::test(start_paused = true)]
async fn a_secret_just_made_opens_though_another_key_changes_meanwhile() {
    let (store, fixed) = (store().await, MemoryKeys::new());
    let keys = CachedKeys::new(fixed.clone(), pepper()).also(store.clone());
    let new = rotated(&store, &keys).await;
    store.holds(true);
    let asked = store.finds();
    let callers: Vec<_> = (0..20).map(|_| calls(&keys, new.expose())).collect();
    until_asked(&store, asked + 1).await;

    // What the first of them is told is not remembered, and this key's own change is not seen: the old one stays in memory.
    KeyAdmin::new(fixed, pepper()).insert(NewKey::named("fixed"), MANAGEMENT, "test").await.unwrap();
    store.breaks(true);
    keys.refresh().await.unwrap_err();
    store.breaks(false);
    store.holds(false);
    store.state.release.notify_one();
    assert_eq!(told(callers.into_iter()).await, [Ok(()); 20]);
    assert_eq!(store.finds(), asked + 2);
}

#[tokio::test(start_paused = true)]
async fn a_secret_just_made_opens_though_who_asked_first_has_left() {
    let store = store().await;
    let keys = store.cached();
    let new = rotated(&store, &keys).await;
    store.holds(true);
    let asked = store.finds();
    let first = calls(&keys, new.expose());
    until_asked(&store, asked + 1).await;
    let waits = calls(&keys, new.expose());
    tokio::task::yield_now().await;
    store.holds(false);
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    assert_eq!(waits.await.unwrap(), Ok(()));
    assert_eq!(opens(&keys, new.expose()).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_hot_key_opens_with_its_own_secret_only() {
    let store = store().await;
    let keys = store.cached();
    let wrong = KEY.replace("BBBB11", "BBBB12");
    for _ in 0..3 {
        assert_eq!(opens(&keys, KEY).await, Ok(()));
        assert_eq!(opens(&keys, &wrong).await, INVALID);
    }
}

#[tokio::test(start_paused = true)]
async fn f005_a_change_is_felt_after_one_refresh() {
    let store = store().await;
    let (keys, admin) = (store.cached(), store.admin());
    pass(&keys, Duration::from_secs(1)).await;
    for text in [KEY, OTHER] {
        assert_eq!(opens(&keys, text).await, Ok(()));
    }
    admin.pause(&kid(KEY), "test").await.unwrap();
    pass(&keys, Duration::from_millis(250)).await;
    assert_eq!(opens(&keys, KEY).await, INVALID);
    assert_eq!(opens(&keys, OTHER).await, Ok(()));
    assert_eq!(store.finds(), 3, "only what changed is read again");

    admin.resume(&kid(KEY), "test").await.unwrap();
    pass(&keys, Duration::from_millis(250)).await;
    assert_eq!(opens(&keys, KEY).await, Ok(()));

    admin.revoke(&kid(KEY), "test").await.unwrap();
    admin.delete(&kid(OTHER), "test").await.unwrap();
    pass(&keys, Duration::from_millis(250)).await;
    for text in [KEY, OTHER] {
        assert_eq!(opens(&keys, text).await, INVALID);
    }
}

#[tokio::test(start_paused = true)]
async fn f005_a_change_is_felt_within_a_second_without_refreshes() {
    let store = store().await;
    let keys = store.cached();
    assert_eq!(opens(&keys, KEY).await, Ok(()));
    store.admin().pause(&kid(KEY), "test").await.unwrap();
    advance(Duration::from_secs(1)).await;
    assert_eq!(opens(&keys, KEY).await, INVALID);
}

#[tokio::test(start_paused = true)]
async fn a_key_made_after_its_id_was_tried_opens() {
    let store = Store::default();
    let keys = store.cached();
    pass(&keys, Duration::from_secs(1)).await;
    assert_eq!(opens(&keys, KEY).await, INVALID);
    store.admin().insert(NewKey::named("late"), KEY, "test").await.unwrap();
    pass(&keys, Duration::from_millis(250)).await;
    assert_eq!(opens(&keys, KEY).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn what_was_read_before_a_change_is_not_remembered_after_it() {
    let store = store().await;
    let keys = store.cached();
    pass(&keys, Duration::from_secs(1)).await;

    // The store has read the key, and its answer is on the way while the key is paused.
    store.holds(true);
    let reading = calls(&keys, KEY);
    until_asked(&store, 1).await;
    store.admin().pause(&kid(KEY), "test").await.unwrap();
    keys.refresh().await.unwrap();
    store.holds(false);
    store.state.release.notify_one();
    assert_eq!(reading.await.unwrap(), Ok(()), "it was asked before the pause");
    assert_eq!(opens(&keys, KEY).await, INVALID);
}

#[tokio::test(start_paused = true)]
async fn f065_known_keys_outlive_a_store_for_a_minute() {
    let store = store().await;
    let keys = store.cached();
    pass(&keys, Duration::from_secs(1)).await;
    assert_eq!(opens(&keys, KEY).await, Ok(()));
    store.breaks(true);
    for _ in 0..59 {
        pass(&keys, Duration::from_secs(1)).await;
        assert_eq!(opens(&keys, KEY).await, Ok(()));
        assert_eq!(opens(&keys, OTHER).await, UNAVAILABLE, "never seen");
    }
    pass(&keys, Duration::from_secs(1)).await;
    assert_eq!(opens(&keys, KEY).await, UNAVAILABLE);

    store.breaks(false);
    assert_eq!(opens(&keys, KEY).await, Ok(()), "back at once");
}

#[tokio::test(start_paused = true)]
async fn f065_a_change_once_seen_is_not_forgotten_while_the_store_is_away() {
    let store = store().await;
    let keys = store.cached();
    pass(&keys, Duration::from_secs(1)).await;
    for text in [KEY, OTHER] {
        assert_eq!(opens(&keys, text).await, Ok(()));
    }
    store.admin().revoke(&kid(KEY), "test").await.unwrap();
    store.admin().revoke(&kid(OTHER), "test").await.unwrap();
    pass(&keys, Duration::from_millis(250)).await;
    assert_eq!(opens(&keys, KEY).await, INVALID);
    store.breaks(true);
    pass(&keys, Duration::from_secs(5)).await;
    assert_eq!(opens(&keys, KEY).await, INVALID, "known to be revoked");
    assert_eq!(opens(&keys, OTHER).await, UNAVAILABLE, "known to be changed");
}

#[tokio::test(start_paused = true)]
async fn the_stale_limit_can_be_none() {
    let store = store().await;
    let keys = store.cached().stale_for(Duration::ZERO);
    assert_eq!(opens(&keys, KEY).await, Ok(()));
    store.breaks(true);
    advance(Duration::from_secs(1)).await;
    assert_eq!(opens(&keys, KEY).await, UNAVAILABLE);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_waited_for_once_and_not_for_long() {
    let store = store().await;
    let keys = store.cached();
    assert_eq!(opens(&keys, KEY).await, Ok(()));
    store.holds(true);
    advance(Duration::from_secs(1)).await;
    let began = tokio::time::Instant::now();
    assert_eq!(opens(&keys, KEY).await, Ok(()));
    assert_eq!(began.elapsed(), Duration::from_secs(2));
    assert_eq!(opens(&keys, KEY).await, Ok(()));
    assert_eq!(opens(&keys, OTHER).await, UNAVAILABLE);
    assert_eq!(began.elapsed(), Duration::from_secs(4));
}

#[tokio::test]
async fn f006_the_old_secret_ends_at_the_exact_instant() {
    let (store, calendar) = (Store::default(), Calendar::default());
    calendar.set(10_000);
    let admin = store.admin().with_clock(calendar.clock());
    let keys = store.cached().with_clock(calendar.clock());
    let (old, record) = create(&admin, "ci").await;
    let (new, _) = admin.rotate(&record.kid, Duration::from_secs(60), "test").await.unwrap();
    assert_ne!(old, new);
    for (millis, old_opens) in [(10_000, Ok(())), (69_999, Ok(())), (70_000, INVALID), (70_001, INVALID)] {
        calendar.set(millis);
        assert_eq!(opens(&keys, old.expose()).await, old_opens, "{millis}");
        assert_eq!(opens(&keys, new.expose()).await, Ok(()), "{millis}");
    }
}

#[tokio::test]
async fn a_key_ends_at_the_exact_instant() {
    let (store, calendar) = (Store::default(), Calendar::default());
    let new = NewKey { expires: Some(Calendar::at(5_000)), ..NewKey::named("brief") };
    let (text, _) = store.admin().with_clock(calendar.clock()).create(new, "test").await.unwrap();
    let keys = store.cached().with_clock(calendar.clock());
    for (millis, answer) in [(0, Ok(())), (4_999, Ok(())), (5_000, INVALID)] {
        calendar.set(millis);
        assert_eq!(opens(&keys, text.expose()).await, answer, "{millis}");
    }
}

#[tokio::test]
async fn peppers_rotate() {
    let store = store().await;
    let fresh = Pepper::new("a pepper that is new").unwrap();
    let both = Peppers::new(fresh.clone()).with_earlier(pepper());
    let (new, _) = create(&KeyAdmin::new(store.clone(), both.clone()), "new").await;
    let keys = CachedKeys::new(store.clone(), both);
    assert_eq!(opens(&keys, KEY).await, Ok(()));
    assert_eq!(opens(&keys, new.expose()).await, Ok(()));
    assert_eq!(opens(&CachedKeys::new(store.clone(), fresh), KEY).await, INVALID);
    assert_eq!(opens(&store.cached(), new.expose()).await, INVALID);
}

#[tokio::test]
async fn fixed_keys_stand_before_a_store() {
    let store = store().await;
    let fixed = MemoryKeys::new();
    let text = KEY.replace("kidAAAA00001", "kidFIXED0001");
    KeyAdmin::new(fixed.clone(), pepper()).insert(NewKey::named("fixed"), &text, "configuration").await.unwrap();
    let keys = CachedKeys::new(fixed, pepper()).also(store.clone());
    assert_eq!(opens(&keys, &text).await, Ok(()));
    assert_eq!(store.finds(), 0);
    assert_eq!(opens(&keys, KEY).await, Ok(()));
    assert_eq!(opens(&keys, MANAGEMENT).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn uses_are_noted_in_batches() {
    let store = store().await;
    let keys = store.cached();
    let uses = || store.state.uses.load(Ordering::SeqCst);
    pass(&keys, Duration::from_secs(1)).await;
    assert_eq!(opens(&keys, KEY).await, Ok(()));
    assert_eq!(uses(), 0);
    pass(&keys, Duration::from_millis(250)).await;
    assert_eq!(uses(), 1, "the first after a rest, at once");
    for _ in 0..9 {
        assert_eq!(opens(&keys, KEY).await, Ok(()));
        pass(&keys, Duration::from_secs(1)).await;
        assert_eq!(uses(), 1);
    }
    pass(&keys, Duration::from_secs(1)).await;
    assert_eq!(uses(), 2);
    let used = store.admin().list(None).await.unwrap().into_iter().filter(|key| key.last_used.is_some());
    assert_eq!(used.map(|key| key.name).collect::<Vec<_>>(), ["ci"]);

    // A batch that is not taken comes again, and nothing is told twice for nothing.
    store.breaks(true);
    assert_eq!(opens(&keys, KEY).await, Ok(()));
    assert!(keys.flush().await.is_err());
    store.breaks(false);
    keys.flush().await.unwrap();
    assert_eq!(uses(), 4);
    keys.flush().await.unwrap();
    assert_eq!(uses(), 4);
}
