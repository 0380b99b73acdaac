//! The matrix: what is sent, what is answered, what goes on.

use portcullis::{
    auth::AuthLayer,
    fault::Fault,
    stage::{GenerationId, KeyKind, Principal},
};

use crate::support::{KEY, MANAGEMENT, OTHER, ask, store};

const AUTHORIZATION: &str = "authorization";
const API_KEY: &str = "x-api-key";
const GOOGLE: &str = "x-goog-api-key";

type Headers<'a> = Vec<(&'a str, &'a [u8])>;

fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}

/// Asks, and gives the answer's status and code; `None` if it was let through.
async fn answer(headers: &[(&str, &[u8])]) -> (Option<(u16, String)>, Vec<(String, String)>, usize) {
    let store = store().await;
    let response = ask(&AuthLayer::new(store.cached()), "/v1/chat/completions", headers).await;
    let status = response.status().as_u16();
    let seen = |name: &http::HeaderName, value: &http::HeaderValue| (name.to_string(), value.to_str().unwrap().to_owned());
    let passed = response.headers().iter().map(|(name, value)| seen(name, value)).collect();
    let refused = response.extensions().get::<Fault>().map(|fault| (status, fault.code().to_owned()));
    (refused, passed, store.finds())
}

#[tokio::test]
async fn a_key_passes_in_each_header_and_is_taken_out() {
    let with = |scheme: &str| format!("{scheme} {KEY}");
    let (upper, lower, wide) = (with("BEARER"), with("bearer"), with("Bearer  "));
    let key = KEY.as_bytes();
    let passing: Vec<Headers> = vec![
        vec![(AUTHORIZATION, upper.as_bytes())],
        vec![(AUTHORIZATION, lower.as_bytes())],
        vec![(AUTHORIZATION, wide.as_bytes())],
        vec![(API_KEY, key)],
        vec![(GOOGLE, key)],
        vec![(API_KEY, key), (AUTHORIZATION, upper.as_bytes()), (GOOGLE, key)],
        vec![(API_KEY, key), (API_KEY, key)],
    ];
    for headers in passing {
        let (refused, passed, finds) = answer(&headers).await;
        assert_eq!((refused, passed, finds), (None, vec![], 1), "{headers:?}");
    }
}

#[tokio::test]
async fn other_values_beside_a_key_are_the_hosts_own_and_stay() {
    let ours = bearer(KEY);
    let key = KEY.as_bytes();
    let cases: Vec<(Headers, Vec<(&str, &str)>)> = vec![
        (vec![(AUTHORIZATION, ours.as_bytes()), (API_KEY, b"theirs")], vec![(API_KEY, "theirs")]),
        (vec![(AUTHORIZATION, b"Bearer theirs"), (API_KEY, key)], vec![(AUTHORIZATION, "Bearer theirs")]),
        (vec![(AUTHORIZATION, b"Basic dGhlaXJz"), (API_KEY, key)], vec![(AUTHORIZATION, "Basic dGhlaXJz")]),
        (vec![(API_KEY, b"one"), (API_KEY, key), (API_KEY, b"two")], vec![(API_KEY, "one"), (API_KEY, "two")]),
        (vec![(API_KEY, key), ("x-else", b"stays")], vec![("x-else", "stays")]),
    ];
    for (headers, left) in cases {
        let (refused, passed, _) = answer(&headers).await;
        let left: Vec<_> = left.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        assert_eq!((refused, passed), (None, left), "{headers:?}");
    }
}

#[tokio::test]
async fn f001_no_key_at_all() {
    let cases: Vec<Headers> = vec![
        vec![],
        vec![(API_KEY, b"")],
        vec![(API_KEY, b"   ")],
        vec![(AUTHORIZATION, b"")],
        vec![(AUTHORIZATION, b"Bearer")],
        vec![(AUTHORIZATION, b"Bearer ")],
        vec![(AUTHORIZATION, b"Basic dGhlaXJz")],
        vec![(AUTHORIZATION, KEY.as_bytes())],
        vec![("cookie", KEY.as_bytes()), ("api-key", KEY.as_bytes())],
    ];
    for headers in cases {
        let (refused, _, finds) = answer(&headers).await;
        assert_eq!((refused, finds), (Some((401, "missing_or_invalid_authorization_header".into())), 0), "{headers:?}");
    }
}

#[tokio::test]
async fn f001_f002_f004_values_in_no_format_of_ours_do_not_reach_the_store() {
    let oversize = bearer(&format!("{KEY}{}", "x".repeat(64 * 1024)));
    let cases: Vec<Headers> = vec![
        vec![(AUTHORIZATION, oversize.as_bytes())],
        vec![(AUTHORIZATION, b"Bearer sk-proj-abc")],
        vec![(AUTHORIZATION, "Bearer schlüssel".as_bytes())],
        vec![(API_KEY, b"\xff\xfe")],
        vec![(API_KEY, b"aistats_v2_k_kidAAAA00001_secret")],
        vec![(API_KEY, b"aistats_v1_k_kidAAAA0001_secret")],
        vec![(API_KEY, b"aistats_v1_x_kidAAAA00001_secret")],
        vec![(API_KEY, b"aistats_v1_k_kid'OR'1'=1_secret")],
        vec![(API_KEY, b"aistats_v1_k_'; DROP TABLE keys; --_secret")],
        vec![(GOOGLE, b"%s%s%n_{$ne: 1}")],
        vec![(API_KEY, b"Bearer aistats_v1_k_kidAAAA00001_secret")],
        vec![(AUTHORIZATION, b"Bearer a"), (API_KEY, b"b")],
    ];
    for headers in cases {
        let (refused, _, finds) = answer(&headers).await;
        assert_eq!((refused, finds), (Some((401, "invalid_key_format".into())), 0), "{headers:?}");
    }
}

#[tokio::test]
async fn keys_that_open_nothing_get_one_answer() {
    let wrong = KEY.replace("BBBB11", "BBBB12");
    let unknown = KEY.replace("kidAAAA00001", "kidAAAA99999");
    let as_management = KEY.replace("_k_", "_mk_");
    let as_inference = MANAGEMENT.replace("_mk_", "_k_");
    for key in [&wrong, &unknown, &as_management, &as_inference, MANAGEMENT] {
        let (refused, ..) = answer(&[(API_KEY, key.as_bytes())]).await;
        assert_eq!(refused, Some((401, "invalid_key".into())), "{key}");
    }
}

#[tokio::test]
async fn f003_two_different_keys_are_refused_whichever_is_valid() {
    let unknown = KEY.replace("kidAAAA00001", "kidAAAA99999");
    let ours = bearer(KEY);
    let cases: Vec<Headers> = vec![
        vec![(AUTHORIZATION, ours.as_bytes()), (API_KEY, OTHER.as_bytes())],
        vec![(AUTHORIZATION, ours.as_bytes()), (GOOGLE, unknown.as_bytes())],
        vec![(API_KEY, KEY.as_bytes()), (API_KEY, OTHER.as_bytes())],
        vec![(API_KEY, KEY.as_bytes()), (GOOGLE, MANAGEMENT.as_bytes())],
    ];
    for headers in cases {
        let (refused, _, finds) = answer(&headers).await;
        assert_eq!((refused, finds), (Some((400, "two_keys".into())), 0), "{headers:?}");
    }
}

#[tokio::test]
async fn f007_each_kind_of_key_has_its_own_door() {
    let store = store().await;
    let door = AuthLayer::new(store.cached()).kind(KeyKind::Management);
    for (key, status) in [(MANAGEMENT, 200), (KEY, 401)] {
        assert_eq!(ask(&door, "/v1/keys", &[(API_KEY, key.as_bytes())]).await.status(), status);
    }
}

#[tokio::test]
async fn who_calls_is_in_the_extensions() {
    let store = store().await;
    let response = ask(&AuthLayer::new(store.cached()), "/v1/messages", &[(API_KEY, KEY.as_bytes())]).await;
    let principal = response.extensions().get::<Principal>().unwrap();
    assert_eq!((principal.key().unwrap().as_str(), principal.name(), principal.workspace()), ("kidAAAA00001", Some("ci"), "default"));
    assert!(response.extensions().get::<GenerationId>().is_some());
}

#[tokio::test]
async fn refusals_are_in_the_callers_dialect() {
    let store = store().await;
    let layer = AuthLayer::new(store.cached());
    let body = |response: &http::Response<bytes::Bytes>| serde_json::from_slice::<serde_json::Value>(response.body()).unwrap();
    for (path, headers) in [("/v1/messages", &[][..]), ("/v1/models", &[("anthropic-version", &b"2023-06-01"[..])])] {
        let refused = ask(&layer, path, headers).await;
        assert_eq!(refused.headers()["request-id"], refused.headers()["x-request-id"]);
        assert_eq!(refused.headers()["content-type"], "application/json");
        let body = body(&refused);
        assert_eq!((body["type"].as_str(), body["error"]["type"].as_str()), (Some("error"), Some("authentication_error")));
        assert_eq!(body["request_id"], refused.headers()["x-request-id"].to_str().unwrap());
    }
    for (path, headers, status, kind, code) in [
        ("/v1/chat/completions", &[][..], 401, "authentication_error", "missing_or_invalid_authorization_header"),
        ("/v1/embeddings", &[(API_KEY, &b"sk-other"[..])], 401, "authentication_error", "invalid_key_format"),
        ("/v1/nowhere", &[(API_KEY, MANAGEMENT.as_bytes())], 401, "authentication_error", "invalid_key"),
        ("/v1/models", &[(API_KEY, KEY.as_bytes()), (GOOGLE, OTHER.as_bytes())], 400, "invalid_request_error", "two_keys"),
    ] {
        let refused = ask(&layer, path, headers).await;
        assert!(!refused.headers().contains_key("request-id"));
        let body = body(&refused);
        assert_eq!((refused.status().as_u16(), body["status_code"].as_u64()), (status, Some(status.into())));
        assert_eq!((body["error"]["type"].as_str(), body["error"]["code"].as_str()), (Some(kind), Some(code)));
        assert_eq!(body["generation_id"], refused.headers()["x-request-id"].to_str().unwrap());
    }
    store.breaks(true);
    for (path, status) in [("/v1/chat/completions", 503), ("/v1/messages", 529)] {
        let refused = ask(&layer, path, &[(API_KEY, KEY.as_bytes())]).await;
        assert_eq!((refused.status().as_u16(), body(&refused)["reason"].as_str()), (status, Some("overloaded")));
    }
}
