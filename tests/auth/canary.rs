//! No key text in anything that can be printed.

use std::{
    fmt::Debug,
    io,
    sync::{Arc, Mutex},
};

use portcullis::auth::{AuthLayer, NewKey, Peppers};
use tower::Layer;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{Echo, KEY, MANAGEMENT, OTHER, SECRET, Store, ask, create, pepper, store};

/// Keeps all that is written.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn f081_no_log_error_or_debug_holds_a_key() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_max_level(tracing::Level::TRACE).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let mut shown = String::new();
    let mut show = |value: &dyn Debug| shown.push_str(&format!("{value:?}\n"));

    let store = store().await;
    let (text, record) = create(&store.admin(), "new").await;
    let fresh = text.expose().rsplit('_').next().unwrap().to_owned();
    let keys = store.cached();
    let layer = AuthLayer::new(keys.clone());
    for broken in [false, true] {
        store.breaks(broken);
        for key in [KEY, OTHER, MANAGEMENT, &KEY.replace("kidAAAA00001", "kidAAAA99999"), &KEY.replace("aistats", "other")] {
            let response = ask(&layer, "/v1/chat/completions", &[("x-api-key", key.as_bytes())]).await;
            show(&response);
            if let Err(fault) = keys.check(keys.format().parse(KEY).unwrap(), Default::default()).await {
                show(&fault);
                show(&fault.to_string());
            }
        }
        show(&ask(&layer, "/v1/messages", &[("x-api-key", KEY.as_bytes()), ("x-goog-api-key", OTHER.as_bytes())]).await);
    }
    show(&store.admin().insert(NewKey::named("twice"), KEY, "test").await.unwrap_err());
    show(&store.admin().insert(NewKey::named("bad"), SECRET, "test").await.unwrap_err());
    for value in [&text as &dyn Debug, &record, &keys.format().parse(KEY), &keys, &layer, &layer.layer(Echo), &store.admin(), &store.keys] {
        show(value);
    }
    show(&(pepper(), Peppers::new(pepper()), pepper().hash(SECRET)));

    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("request refused"), "nothing was logged");
    let hash = pepper().hash(SECRET).to_string();
    for (name, text) in [("log", &logged), ("debug", &shown)] {
        for secret in [SECRET, &OTHER[26..], &MANAGEMENT[27..], &fresh, "pepper-for-tests", &hash] {
            assert!(!text.contains(secret), "{secret} is in the {name}: {text}");
        }
    }
    assert!(Store::default().admin().list(None).await.unwrap().is_empty());
}
