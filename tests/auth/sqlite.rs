//! Keys in a SQLite file, and several processes at it.

use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use portcullis::{
    auth::{AuthLayer, CachedKeys, KeyAdmin, KeyAdminError, KeyChangeError, KeyStatus, KeyStore, KeyUse, NewKey},
    catalog::Catalog,
    gateway::Gateway,
    stage::{KeyKind, Limits, Scopes},
    store::{Sqlite, SqliteError},
    transport::Transport,
};
use tokio::time::sleep;
use tower::ServiceExt;

use crate::support::{Calendar, KEY, SECRET, ask, create, kid, opens, pepper};

/// A folder of one test, gone afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("portcullis-keys-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("gateway.db")
    }

    fn open(&self) -> Sqlite {
        Sqlite::open(self.file()).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn admin(database: &Sqlite) -> KeyAdmin {
    KeyAdmin::new(database.clone(), pepper())
}

#[tokio::test]
async fn a_key_comes_back_as_it_was() {
    let folder = Folder::new();
    let calendar = Calendar::default();
    calendar.set(1_700_000_000_123);
    let new = NewKey {
        name: "naïve 'quoted' \"name\"".into(),
        workspace: Some("team-a".into()),
        kind: KeyKind::Management,
        expires: Some(Calendar::at(1_800_000_000_000)),
        scopes: Scopes { models: vec!["openai/*".into()], providers: vec!["openai".into()], operations: vec!["chat".into()] },
        limits: Limits { requests_per_minute: Some(60), nanos_per_month: Some(u64::MAX), ..Limits::default() },
        metadata: [("owner".to_owned(), "x".to_owned())].into(),
    };
    let (text, record) = admin(&folder.open()).with_clock(calendar.clock()).create(new.clone(), "test").await.unwrap();
    assert!(text.expose().starts_with("aistats_v1_mk_"));

    let reopened = folder.open();
    assert_eq!(reopened.find(&record.kid).await.unwrap(), Some(record.clone()));
    assert_eq!((record.name, record.scopes, record.limits), (new.name, new.scopes, new.limits));
    assert_eq!((record.created, record.expires), (Calendar::at(1_700_000_000_123), new.expires));
    let principal = CachedKeys::new(reopened, pepper());
    let key = principal.format().parse(text.expose()).unwrap();
    assert_eq!(principal.check(key, KeyKind::Management).await.unwrap().metadata()["owner"], "x");
}

#[tokio::test]
async fn a_keys_life_and_its_audit() {
    let folder = Folder::new();
    let database = folder.open();
    let admin = admin(&database);
    let (_, record) = create(&admin, "ci").await;
    let kid = &record.kid;
    assert_eq!(admin.pause(kid, "ann").await.unwrap().status, KeyStatus::Paused);
    assert_eq!(admin.resume(kid, "bob").await.unwrap().status, KeyStatus::Active);
    assert_eq!(admin.rotate(kid, Duration::from_secs(60), "ann").await.unwrap().1.hashes.len(), 2);
    assert_eq!(admin.revoke(kid, "ann").await.unwrap().status, KeyStatus::Revoked);
    assert!(matches!(admin.resume(kid, "ann").await, Err(KeyAdminError::Refused(KeyChangeError::Revoked))));
    assert_eq!(admin.list(Some("default")).await.unwrap().len(), 1);
    assert_eq!(admin.list(Some("other")).await.unwrap().len(), 0);
    assert_eq!(admin.delete(kid, "eve").await.unwrap().name, "ci");
    assert_eq!(admin.list(None).await.unwrap().len(), 0);
    assert!(matches!(admin.delete(kid, "eve").await, Err(KeyAdminError::Refused(KeyChangeError::NotFound))));

    let audit: Vec<_> = admin.audit(kid).await.unwrap().into_iter().map(|entry| (entry.actor, entry.action)).collect();
    let expected = [("test", "create"), ("ann", "pause"), ("bob", "resume"), ("ann", "rotate"), ("ann", "revoke"), ("eve", "delete")];
    assert_eq!(audit, expected.map(|(actor, action)| (actor.to_owned(), action.to_owned())));
}

#[tokio::test]
async fn f005_f063_a_key_paused_by_another_process_stops_at_the_next_refresh() {
    let folder = Folder::new();
    let (server, command) = (folder.open(), folder.open());
    let (text, record) = create(&admin(&command), "ci").await;
    let keys = CachedKeys::new(server, pepper()).fresh_for(Duration::from_secs(3600));
    keys.refresh().await.unwrap();
    assert_eq!(opens(&keys, text.expose()).await, Ok(()));
    admin(&command).pause(&record.kid, "command line").await.unwrap();
    assert_eq!(opens(&keys, text.expose()).await, Ok(()), "not asked yet");
    keys.refresh().await.unwrap();
    assert_eq!(opens(&keys, text.expose()).await, Err("invalid_key"));

    // One made by the other is felt, too, even if its id was tried before.
    assert_eq!(opens(&keys, KEY).await, Err("invalid_key"));
    admin(&command).insert(NewKey::named("late"), KEY, "command line").await.unwrap();
    keys.refresh().await.unwrap();
    assert_eq!(opens(&keys, KEY).await, Ok(()));
}

/// Time is paused, and stands still while the database works.
#[tokio::test(start_paused = true)]
async fn f005_a_running_gateway_feels_a_pause_within_a_second() {
    let folder = Folder::new();
    let (server, command) = (folder.open(), folder.open());
    let (text, record) = create(&admin(&command), "ci").await;
    let catalog = Catalog::builder().build().unwrap();
    let keys = CachedKeys::new(server, pepper()).fresh_for(Duration::from_secs(3600));
    let (gateway, driver) = Gateway::builder(catalog).keys(keys).unmetered().build(Transport::local());
    let (shutdown, stopped) = tokio::sync::oneshot::channel::<()>();
    let driver = tokio::spawn(driver.run(async {
        let _ = stopped.await;
    }));
    let ask = || {
        let request = Request::get("/v1/models").header("x-api-key", text.expose()).body(Empty::<Bytes>::new()).unwrap();
        let gateway = gateway.clone();
        async move { gateway.oneshot(request).await.unwrap().status().as_u16() }
    };
    sleep(Duration::from_secs(1)).await;
    assert_eq!(ask().await, 200);
    admin(&command).pause(&record.kid, "command line").await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(ask().await, 401);
    admin(&command).resume(&record.kid, "command line").await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(ask().await, 200);
    drop(shutdown);
    driver.await.unwrap();
    let used = command.find(&record.kid).await.unwrap().unwrap().last_used;
    assert!(used.is_some(), "its use was told to the store");
}

#[tokio::test]
async fn f063_two_processes_do_not_undo_each_other() {
    let folder = Folder::new();
    let databases = [folder.open(), folder.open()];
    let (_, record) = create(&admin(&databases[0]), "ci").await;
    let work = databases.map(|database| {
        let kid = record.kid.clone();
        tokio::spawn(async move {
            for _ in 0..20 {
                admin(&database).rotate(&kid, Duration::from_secs(600), "test").await.unwrap();
            }
        })
    });
    for work in work {
        work.await.unwrap();
    }
    let record = folder.open().find(&record.kid).await.unwrap().unwrap();
    assert_eq!(record.hashes.len(), 41);
    assert_eq!(record.hashes.iter().filter(|hash| hash.until.is_none()).count(), 1);
}

#[tokio::test]
async fn many_changes_at_once_are_seen_whole() {
    let folder = Folder::new();
    let database = folder.open();
    let keys = CachedKeys::new(database.clone(), pepper()).fresh_for(Duration::from_secs(3600));
    let (text, record) = create(&admin(&database), "ci").await;
    keys.refresh().await.unwrap();
    assert_eq!(opens(&keys, text.expose()).await, Ok(()));
    admin(&database).pause(&record.kid, "test").await.unwrap();
    let (_, busy) = create(&admin(&database), "busy").await;
    for _ in 0..501 {
        admin(&database).pause(&busy.kid, "test").await.unwrap();
        admin(&database).resume(&busy.kid, "test").await.unwrap();
    }
    keys.refresh().await.unwrap();
    assert_eq!(opens(&keys, text.expose()).await, Err("invalid_key"));
}

#[tokio::test]
async fn uses_only_move_forward() {
    let folder = Folder::new();
    let database = folder.open();
    let (_, record) = create(&admin(&database), "ci").await;
    let before = database.changes(None).await.unwrap().version;
    for (millis, expected) in [(5_000, 5_000), (3_000, 5_000), (6_000, 6_000)] {
        let stranger = KeyUse { kid: kid(KEY), at: Calendar::at(1) };
        database.used(vec![stranger, KeyUse { kid: record.kid.clone(), at: Calendar::at(millis) }]).await.unwrap();
        assert_eq!(database.find(&record.kid).await.unwrap().unwrap().last_used, Some(Calendar::at(expected)));
    }
    assert_eq!(database.changes(None).await.unwrap().version, before, "a use is no change");
}

#[tokio::test]
async fn f004_hostile_text_is_only_text() {
    let folder = Folder::new();
    let database = folder.open();
    let layer = AuthLayer::new(CachedKeys::new(database.clone(), pepper()));
    create(&admin(&database), "'); DROP TABLE keys; --").await;
    for header in ["authorization", "x-api-key", "x-goog-api-key"] {
        for hostile in ["' OR '1'='1", "Bearer aistats_v1_k_kidAAAA00001_'; DROP TABLE keys;--", "aistats_v1_k_kidAAAA00001_%s%n"] {
            assert_eq!(ask(&layer, "/v1/models", &[(header, hostile.as_bytes())]).await.status(), 401);
        }
    }
    assert_eq!(admin(&database).list(None).await.unwrap().len(), 1);
    assert!(matches!(admin(&database).create(NewKey::named("a\nb"), "test").await, Err(KeyAdminError::InvalidName)));
}

#[tokio::test]
async fn f079_f081_no_key_text_is_in_the_files() {
    let folder = Folder::new();
    let database = folder.open();
    admin(&database).insert(NewKey::named("ci"), KEY, "test").await.unwrap();
    let (rotated, _) = admin(&database).rotate(&kid(KEY), Duration::from_secs(60), "test").await.unwrap();
    let secret = rotated.expose().rsplit('_').next().unwrap();
    for entry in fs::read_dir(&folder.0).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        for secret in [SECRET, secret] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
        }
    }
}

#[tokio::test]
async fn f062_a_file_that_is_no_database_is_refused() {
    let folder = Folder::new();
    let missing = folder.0.join("no such folder").join("gateway.db");
    assert!(matches!(Sqlite::open(missing), Err(SqliteError::Failed(_))));
    fs::write(folder.file(), "this is no database, and long enough to be read as one".repeat(20)).unwrap();
    assert!(matches!(Sqlite::open(folder.file()), Err(SqliteError::NotOurs)));
}

#[cfg(unix)]
#[test]
fn the_file_is_its_owners() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let database = folder.open();
    assert_eq!(fs::metadata(database.path()).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn f064_many_open_a_new_file_at_once() {
    let folder = Folder::new();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| folder.open());
        }
    });
}
