//! Errors: a provider's, read in all their envelopes; ours, written.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, StatusCode};
use portcullis::{
    dialect::{Dialect, anthropic::AnthropicMessages, openai_chat::OpenAiChat},
    fault::{AttemptFault, Detail, Failure, Fault, FaultKind, Phase, Timeout},
};
use serde_json::{Value, json};

fn decode(status: u16, headers: &[(&str, &str)], body: &str) -> Fault {
    let headers: HeaderMap = headers.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect();
    OpenAiChat.decode_fault(StatusCode::from_u16(status).unwrap(), &headers, &Bytes::copy_from_slice(body.as_bytes()))
}

fn encode(fault: &Fault) -> Value {
    let mut out = BytesMut::new();
    OpenAiChat.encode_fault(fault, "G-01", &mut out);
    serde_json::from_slice(&out).unwrap()
}

#[test]
fn er_15_statuses_tell_whose_fault_it_is() {
    let error = |kind: &str, code: &str| json!({"error": {"message": "m", "type": kind, "code": code, "param": null}}).to_string();
    let plain = error("e", "c");
    for (status, body, kind) in [
        (400, plain.as_str(), FaultKind::Rejected { status: 400 }),
        (401, &plain, FaultKind::CredentialRefused),
        (402, &plain, FaultKind::CredentialRefused),
        (403, &plain, FaultKind::CredentialRefused),
        (404, &plain, FaultKind::Rejected { status: 404 }),
        (404, &error("invalid_request_error", "model_not_found"), FaultKind::Upstream(Failure::UnknownModel)),
        (404, r#"{"error":{"message":"model 'x' not found, try pulling it first"}}"#, FaultKind::Upstream(Failure::UnknownModel)),
        (408, &plain, FaultKind::Timeout(Timeout::FirstByte)),
        (413, &plain, FaultKind::Rejected { status: 413 }),
        (422, &plain, FaultKind::Rejected { status: 422 }),
        (429, &plain, FaultKind::RateLimited),
        (429, &error("insufficient_quota", "insufficient_quota"), FaultKind::CredentialRefused),
        (500, &plain, FaultKind::Upstream(Failure::Status)),
        (503, &plain, FaultKind::Upstream(Failure::Overloaded)),
        (529, &plain, FaultKind::Upstream(Failure::Overloaded)),
        (302, "", FaultKind::Upstream(Failure::Protocol)),
    ] {
        assert_eq!(*decode(status, &[], body).kind(), kind, "{status} {body}");
    }
}

/// Told as it is, and not as some other mistake.
#[test]
fn er_14_a_name_that_is_too_long_is_no_full_window() {
    let said = json!({
        "message": "Invalid 'tools[0].function.name': string too long. Expected a string with maximum length 64.",
        "type": "invalid_request_error", "param": "tools[0].function.name", "code": "string_above_max_length",
    });
    let fault = decode(400, &[], &json!({"error": said}).to_string());
    assert_eq!(*fault.kind(), FaultKind::Rejected { status: 400 });
    assert_eq!(encode(&fault)["error"], said);
}

/// Between the two chat dialects: status, type, words.
#[test]
fn er_15_errors_cross_with_their_words() {
    for (status, anthropic, openai, told) in [
        (400, "invalid_request_error", "invalid_request_error", 400),
        (401, "authentication_error", "provider_error", 502),
        (403, "permission_error", "provider_error", 502),
        (404, "not_found_error", "invalid_request_error", 404),
        (413, "request_too_large", "invalid_request_error", 413),
        (429, "rate_limit_error", "rate_limit_error", 429),
        (500, "api_error", "provider_error", 502),
        (529, "overloaded_error", "overloaded_error", 503),
    ] {
        let status_code = StatusCode::from_u16(status).unwrap();
        let body = json!({"type": "error", "error": {"type": anthropic, "message": "said so"}}).to_string();
        let fault = AnthropicMessages.decode_fault(status_code, &HeaderMap::new(), &body.into());
        let body = encode(&fault);
        assert_eq!((&body["error"]["type"], &body["status_code"]), (&openai.into(), &told.into()), "{anthropic}");
        assert_eq!(OpenAiChat.fault_status(&fault).as_u16(), told);
        // Only a mistake of the caller's is told in the provider's words.
        assert_eq!(body["error"]["message"] == "said so", body["error_origin"] == "user", "{body}");

        // `invalid_request_error` is OpenAI's word for every refusal, and Messages' for one of them: the status decides.
        let error = json!({"error": {"message": "said so", "type": "invalid_request_error", "code": "some_code", "param": "messages"}});
        let fault = decode(if status == 529 { 503 } else { status }, &[], &error.to_string());
        let mut out = BytesMut::new();
        AnthropicMessages.encode_fault(&fault, "G-01", &mut out);
        let body: Value = serde_json::from_slice(&out).unwrap();
        let expected = if told == 502 { "api_error" } else { anthropic };
        assert_eq!(body["error"]["type"], expected, "{body}");
        assert_eq!(AnthropicMessages.fault_status(&fault).as_u16(), if status == 529 { 529 } else { told });
        assert_eq!(body["error"]["message"] == "said so", body["error_origin"] == "user", "{body}");
        let kept = body["error"]["code"] == "some_code" && body["error"]["param"] == "messages";
        assert_eq!(kept, body["error_origin"] == "user", "{body}");
    }
}

/// A type is worth what its own API means by it: one that the other happens to have too says nothing there.
#[test]
fn er_15_a_type_counts_in_its_own_dialect_alone() {
    for (dialect, kind) in [(&AnthropicMessages as &dyn Dialect, "weird_error"), (&OpenAiChat, "weird_error")] {
        let said = json!({"type": "error", "error": {"type": kind, "message": "no"}}).to_string();
        let fault = dialect.decode_fault(StatusCode::CONFLICT, &HeaderMap::new(), &said.into());
        let expected = if dialect.name() == OpenAiChat.name() { kind } else { "invalid_request_error" };
        assert_eq!(encode(&fault)["error"]["type"], expected);
    }
    let lost = AnthropicMessages.decode_fault(
        StatusCode::NOT_FOUND,
        &HeaderMap::new(),
        &json!({"type": "error", "error": {"type": "not_found_error", "message": "no such file"}}).to_string().into(),
    );
    assert_eq!(
        encode(&lost)["error"],
        json!({"message": "no such file", "type": "invalid_request_error", "code": "not_found", "param": null})
    );
}

#[test]
fn cp_15_the_message_is_found_in_any_envelope() {
    for (body, message) in [
        (r#"{"error":{"message":"said so","type":"t"}}"#, "said so"),
        (r#"{"error":"said so"}"#, "said so"),
        (r#"[{"error":{"message":"said so","status":"INVALID_ARGUMENT"}}]"#, "said so"),
        (r#"{"message":"said so"}"#, "said so"),
        (r#"{"detail":"said so"}"#, "said so"),
        (r#"{"object":"error","message":"said so","code":400}"#, "said so"),
        (r#"{"errors":[{"message":"said so"}]}"#, "said so"),
        (r#"{"error":{"error":{"message":"said so"}}}"#, "said so"),
        (r#"{"detail":[{"loc":["body"],"msg":"bad"}]}"#, r#"[{"loc":["body"],"msg":"bad"}]"#),
        ("<html><head><title>502 Bad Gateway</title></head></html>", "502 Bad Gateway"),
        ("upstream connect error", "upstream connect error"),
        ("", "the provider gave no reason"),
        (r#"{"error":null}"#, r#"{"error":null}"#),
    ] {
        assert_eq!(decode(400, &[], body).upstream().unwrap().message, message, "{body}");
    }
}

#[test]
fn what_the_provider_said_is_kept() {
    let fault = decode(
        429,
        &[("retry-after-ms", "1500"), ("x-request-id", "req_1")],
        r#"{"error":{"message":"Limit reached for org-AbCdEf123456","type":"tokens","code":"rate_limit_exceeded","param":"n"}}"#,
    );
    assert_eq!(fault.retry_after(), Some(Duration::from_millis(1500)));
    let upstream = fault.upstream().unwrap();
    assert_eq!(upstream.status, Some(429));
    assert_eq!(upstream.request_id.as_deref(), Some("req_1"));
    assert_eq!(upstream.code.as_deref(), Some("rate_limit_exceeded"));
    assert_eq!(upstream.param.as_deref(), Some("n"));
    assert_eq!(upstream.message, "Limit reached for <redacted>");
    assert!(!String::from_utf8_lossy(upstream.raw.as_ref().unwrap()).contains("org-"));
}

#[test]
fn our_own_error_has_every_member() {
    assert_eq!(
        encode(&Fault::new(FaultKind::UnknownModel { model: "gpt-9".into() })),
        json!({
            "error": {"message": "model `gpt-9` is not known here", "type": "invalid_request_error", "code": "model_not_found", "param": "model"},
            "generation_id": "G-01", "status_code": 404, "reason": "not_found_error",
            "description": "model `gpt-9` is not known here", "error_origin": "user", "attempts": [], "details": [],
        })
    );
    let places = [("/messages/0/content", "expected a string"), ("/metadata/a~1b", "is odd")];
    let details = places.map(|(path, message)| Detail { path: path.into(), message: message.into() }).to_vec();
    let body = encode(&Fault::new(FaultKind::InvalidRequest(details)));
    assert_eq!(body["error"]["param"], "messages[0].content");
    assert_eq!(
        body["details"],
        json!([{"path": ["messages", 0, "content"], "message": "expected a string"}, {"path": ["metadata", "a/b"], "message": "is odd"}])
    );
    let attempts = vec![
        AttemptFault { provider: "a".into(), status: Some(503), fault: "overloaded" },
        AttemptFault { provider: "b".into(), status: None, fault: "connect" },
    ];
    let body = encode(&Fault::new(FaultKind::Upstream(Failure::Connect)).with_attempts(attempts));
    assert_eq!(
        body["attempts"],
        json!([{"provider": "a", "status": 503, "fault": "overloaded"}, {"provider": "b", "status": null, "fault": "connect"}])
    );
    assert_eq!(encode(&Fault::new(FaultKind::KeyLimit { reset_at: Some(1_700_000_000) }))["reset_at"], 1_700_000_000);
}

#[test]
fn a_refusal_of_the_callers_request_is_the_providers_own() {
    let said = r#"{"message":"too long","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}"#;
    let body = encode(&decode(400, &[], &format!("{{\"error\":{said}}}")));
    assert_eq!(body["error"], serde_json::from_str::<Value>(said).unwrap());
    assert_eq!(body["status_code"], 400);
    assert_eq!(body["description"], "too long");

    // What is no error object becomes one.
    let body = encode(&decode(422, &[], r#"{"detail":"no"}"#));
    assert_eq!(body["error"], json!({"message": "no", "type": "invalid_request_error", "code": null, "param": null}));
    assert_eq!(body["status_code"], 422);
}

#[test]
fn our_credentials_troubles_are_not_the_callers() {
    let body = encode(&decode(401, &[], r#"{"error":{"message":"Incorrect API key provided: sk-abc12345","code":"invalid_api_key"}}"#));
    assert_eq!(body["status_code"], 502);
    assert_eq!(body["error"]["type"], "provider_error");
    assert!(!body.to_string().contains("sk-"));
}

#[test]
fn an_event_is_one_line_and_no_end_follows() {
    let fault = decode(400, &[], "{\n  \"error\": {\n    \"message\": \"a\\nb\",\r\n    \"type\": \"t\"\n  }\n}").at(Phase::AfterCommit);
    let mut out = BytesMut::new();
    OpenAiChat.encode_fault_event(&fault, "G-01", &mut out);
    let text = String::from_utf8(out.to_vec()).unwrap();
    let data = text.strip_prefix("data: ").unwrap().strip_suffix("\n\n").unwrap();
    assert!(!data.contains(['\n', '\r']));
    assert_eq!(serde_json::from_str::<Value>(data).unwrap()["error"]["message"], "a\nb");
    assert!(!text.contains("[DONE]"));
}
