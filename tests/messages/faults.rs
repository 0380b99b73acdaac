use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use portcullis::fault::{AttemptFault, Detail, Failure, Fault, FaultKind, Timeout};

use super::support::{MESSAGES, grammar};

fn decoded(status: u16, body: &str) -> Fault {
    MESSAGES.decode_fault(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), &Bytes::copy_from_slice(body.as_bytes()))
}

fn error(kind: &str, message: &str) -> String {
    format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"{message}"}},"request_id":"req_1"}}"#)
}

fn encoded(fault: &Fault) -> serde_json::Value {
    let mut out = BytesMut::new();
    MESSAGES.encode_fault(fault, "G-1", &mut out);
    serde_json::from_slice(&out).unwrap()
}

#[test]
fn er_15_every_type_has_its_meaning() {
    for (status, kind, meant) in [
        (400, "invalid_request_error", FaultKind::Rejected { status: 400 }),
        (401, "authentication_error", FaultKind::CredentialRefused),
        (402, "billing_error", FaultKind::CredentialRefused),
        (403, "permission_error", FaultKind::CredentialRefused),
        (404, "not_found_error", FaultKind::Rejected { status: 404 }),
        (413, "request_too_large", FaultKind::Rejected { status: 413 }),
        (429, "rate_limit_error", FaultKind::RateLimited),
        (500, "api_error", FaultKind::Upstream(Failure::Status)),
        (504, "timeout_error", FaultKind::Timeout(Timeout::FirstByte)),
        (529, "overloaded_error", FaultKind::Upstream(Failure::Overloaded)),
    ] {
        let fault = decoded(status, &error(kind, "said"));
        assert_eq!(*fault.kind(), meant, "{kind}");
        let upstream = fault.upstream().unwrap();
        assert_eq!((upstream.status, upstream.kind.as_deref(), upstream.message.as_str()), (Some(status), Some(kind), "said"));
        assert_eq!(upstream.request_id.as_deref(), Some("req_1"));
    }
}

#[test]
fn our_own_configuration_and_account_are_not_the_callers() {
    assert_eq!(*decoded(404, &error("not_found_error", "model: claude-none")).kind(), FaultKind::Upstream(Failure::UnknownModel));
    let credit = "Your credit balance is too low to access the Anthropic API.";
    assert_eq!(*decoded(400, &error("invalid_request_error", credit)).kind(), FaultKind::CredentialRefused);
    let spent =
        r#"{"type":"error","error":{"type":"rate_limit_error","message":"x","details":{"error_code":"enforced_spend_limit_reached"}}}"#;
    assert_eq!(*decoded(429, spent).kind(), FaultKind::CredentialRefused);
}

#[test]
fn cp_15_whatever_envelope() {
    for (status, body, message) in [
        (503, "upstream connect error", "upstream connect error"),
        (503, r#"{"message":"no healthy upstream"}"#, "no healthy upstream"),
        (503, r#"{"error":"busy"}"#, "busy"),
        (503, r#"{"error":{"message":"busy","code":"x"}}"#, "busy"),
        (503, "", ""),
    ] {
        let fault = decoded(status, body);
        assert_eq!(*fault.kind(), FaultKind::Upstream(Failure::Overloaded), "{body}");
        assert_eq!(fault.upstream().unwrap().message, message);
    }
    assert_eq!(*decoded(301, "moved").kind(), FaultKind::Upstream(Failure::Protocol));
}

#[test]
fn f052_a_key_in_an_error_goes_no_further() {
    let fault = decoded(400, &error("invalid_request_error", "bad key sk-ant-api03-abcdefgh"));
    let upstream = fault.upstream().unwrap();
    assert!(!upstream.message.contains("abcdefgh"));
    assert!(!String::from_utf8_lossy(upstream.raw.as_ref().unwrap()).contains("abcdefgh"));
}

#[test]
fn a_wait_is_kept() {
    let headers = HeaderMap::from_iter([("retry-after".parse().unwrap(), "7".parse().unwrap())]);
    let fault = MESSAGES.decode_fault(StatusCode::TOO_MANY_REQUESTS, &headers, &Bytes::from(error("rate_limit_error", "slow")));
    assert_eq!(fault.retry_after(), Some(std::time::Duration::from_secs(7)));
}

#[test]
fn a_fault_is_written_for_both_kinds_of_client() {
    let fault = Fault::new(FaultKind::InvalidRequest(vec![Detail { path: "/messages/0/a~1b".into(), message: "is odd".into() }]));
    assert_eq!(
        encoded(&fault),
        serde_json::json!({
            "type": "error",
            "error": {"type": "invalid_request_error", "message": "/messages/0/a~1b: is odd", "code": "validation_error"},
            "request_id": "G-1", "generation_id": "G-1", "status_code": 400, "reason": "validation_error",
            "description": "/messages/0/a~1b: is odd", "error_origin": "user", "attempts": [],
            "details": [{"path": ["messages", 0, "a/b"], "message": "is odd"}],
        })
    );
}

#[test]
fn er_01_an_overload_is_a_529() {
    let attempts = vec![AttemptFault { provider: "p".into(), status: Some(529), fault: "overloaded" }];
    let fault = Fault::new(FaultKind::Overloaded).with_attempts(attempts);
    assert_eq!(MESSAGES.fault_status(&fault).as_u16(), 529);
    let body = encoded(&fault);
    assert_eq!((&body["error"]["type"], &body["status_code"]), (&"overloaded_error".into(), &529.into()));
    assert_eq!(body["attempts"], serde_json::json!([{"provider": "p", "status": 529, "fault": "overloaded"}]));
    assert_eq!(MESSAGES.fault_status(&Fault::new(FaultKind::RateLimited)).as_u16(), 429);
}

#[test]
fn a_refusal_of_the_callers_request_keeps_the_providers_words() {
    let body = encoded(&decoded(413, &error("request_too_large", "too big")));
    assert_eq!(body["error"], serde_json::json!({"type": "request_too_large", "message": "too big"}));
    let said = r#"{"type":"invalid_request_error","message":"no","details":{"error_code":"x"}}"#;
    let body = encoded(&decoded(400, &format!(r#"{{"type":"error","error":{said}}}"#)));
    assert_eq!(body["error"].to_string(), serde_json::from_str::<serde_json::Value>(said).unwrap().to_string());
    // Another dialect's object is not forwarded, nor its type: what it has beyond ours is kept.
    let openai = decoded(400, r#"{"error":{"type":"invalid_request_error","message":"no","param":"x","code":null}}"#);
    assert_eq!(encoded(&openai)["error"], serde_json::json!({"type": "invalid_request_error", "message": "no", "param": "x"}));
    let openai = decoded(404, r#"{"error":{"type":"invalid_request_error","message":"no","param":null,"code":"gone"}}"#);
    assert_eq!(encoded(&openai)["error"], serde_json::json!({"type": "not_found_error", "message": "no", "code": "gone"}));
    let foreign = decoded(422, r#"{"error":{"type":"weird","message":"no"}}"#);
    assert_eq!(encoded(&foreign)["error"], serde_json::json!({"type": "invalid_request_error", "message": "no"}));
}

#[test]
fn as_13_a_fault_can_end_a_stream() {
    let mut out = BytesMut::new();
    MESSAGES.encode_fault_event(&Fault::new(FaultKind::Truncated), "G-1", &mut out);
    let text = String::from_utf8(out.to_vec()).unwrap();
    assert!(text.starts_with("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":"));
    assert_eq!(grammar(&text), Ok(()));
}
