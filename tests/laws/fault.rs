//! Whatever a provider's error says, ours is sound: as a body, and as the last event of a stream.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, StatusCode, header::RETRY_AFTER};
use portcullis::{
    dialect::{
        ALL,
        frame::sse::{Limits, Sse},
        scan::Members,
    },
    fault::{Fault, Phase},
};
use serde_json::Value;

use super::{Outcome, assert_object};

/// Takes a provider's error body; the first line may be its status and its `Retry-After`.
pub fn law(input: &[u8]) -> Outcome {
    let (status, headers, body) = parts(input);
    for provider in ALL {
        let fault = provider.decode_fault(status, &headers, &body);
        for phase in [Phase::BeforeHead, Phase::BeforeCommit, Phase::AfterCommit] {
            rendered(&fault.clone().at(phase));
        }
    }
    if Members::scan(&body).is_ok() { Outcome::Accepted } else { Outcome::Refused }
}

fn rendered(fault: &Fault) {
    for caller in ALL {
        let mut out = BytesMut::new();
        caller.encode_fault(fault, "G-01KAQ5S9M0VYJ3T8W2Z6X4C1BD", &mut out);
        assert_object(&out, caller.name());
        // A provider's own error object may hold what is JSON but no Unicode text.
        if let Ok(body) = serde_json::from_slice::<Value>(&out) {
            assert!(body["error"]["message"].is_string(), "no message: {body}");
            assert!(body["error"]["type"].is_string(), "no type: {body}");
        }
        assert!(caller.fault_status(fault).is_client_error() || caller.fault_status(fault).is_server_error());

        let mut out = BytesMut::new();
        caller.encode_fault_event(fault, "G-01KAQ5S9M0VYJ3T8W2Z6X4C1BD", &mut out);
        let mut sse = Sse::new(Limits::default());
        let mut events = 0;
        let read = sse.feed(&out, &mut |frame| {
            assert_object(frame.data.as_deref().expect("an error has data").as_bytes(), caller.name());
            events += 1;
            Ok(())
        });
        assert_eq!((read, sse.held(), events), (Ok(()), 0, 1), "{}", String::from_utf8_lossy(&out));
    }
}

fn parts(input: &[u8]) -> (StatusCode, HeaderMap, Bytes) {
    let (line, rest) = input.iter().position(|&byte| byte == b'\n').map_or((&[][..], input), |at| (&input[..at], &input[at + 1..]));
    let mut words = line.split(|&byte| byte == b' ');
    let status = words.next().and_then(|word| StatusCode::from_bytes(word).ok());
    let mut headers = HeaderMap::new();
    if let Some(Ok(value)) = words.next().map(HeaderValue::from_bytes) {
        headers.insert(RETRY_AFTER, value);
    }
    match status {
        Some(status) => (status, headers, Bytes::copy_from_slice(rest)),
        None => (StatusCode::BAD_GATEWAY, headers, Bytes::copy_from_slice(input)),
    }
}
