//! Readiness is the inner service's; its errors become faults.

use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use portcullis::{
    meter::{MemoryLedger, MeterLayer},
    stage::{Call, Outcome},
};
use tower_test::mock;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_service_that_is_never_ready_is_never_called() {
    let ledger = MemoryLedger::default();
    let (mut meter, mut handle) = mock::spawn_layer::<Request<Call>, Response<Full<Bytes>>, _>(MeterLayer::new(ledger.clone()));
    handle.allow(0);
    assert!(meter.poll_ready().is_pending());
    handle.allow(1);
    assert!(meter.poll_ready().is_ready());
    assert!(ledger.records().is_empty(), "what was not called has no record");
}

#[tokio::test(start_paused = true)]
async fn an_error_of_readiness_is_a_fault_and_no_record() {
    let ledger = MemoryLedger::default();
    let (mut meter, mut handle) = mock::spawn_layer::<Request<Call>, Response<Full<Bytes>>, _>(MeterLayer::new(ledger.clone()));
    handle.send_error("gone");
    let Poll::Ready(Err(fault)) = meter.poll_ready() else { panic!("the error is passed on") };
    assert_eq!(fault.code(), "internal");
    assert!(ledger.records().is_empty());
}

#[tokio::test(start_paused = true)]
async fn ready_then_error() {
    let ledger = MemoryLedger::default();
    let (mut meter, mut handle) = mock::spawn_layer::<Request<Call>, Response<Full<Bytes>>, _>(MeterLayer::new(ledger.clone()));
    assert!(meter.poll_ready().is_ready());
    let answer = meter.call(call(false));
    handle.next_request().await.unwrap().1.send_error(tower::load_shed::error::Overloaded::new());
    assert_eq!(answer.await.unwrap_err().code(), "overloaded");
    assert_eq!(ledger.records()[0].outcome, Outcome::Failed);
}

#[tokio::test(start_paused = true)]
async fn the_payload_goes_on_untouched_and_the_answer_comes_back_so() {
    let ledger = MemoryLedger::default();
    let (mut meter, mut handle) = mock::spawn_layer::<Request<Call>, Response<Full<Bytes>>, _>(MeterLayer::new(ledger.clone()));
    assert!(meter.poll_ready().is_ready());
    let answer = meter.call(call(false));
    let (request, respond) = handle.next_request().await.unwrap();
    assert_eq!(request.into_body().collect().await.unwrap().to_bytes().len(), 400);
    respond.send_response(Response::new(Full::new("whole".into())));
    let body = answer.await.unwrap().into_body();
    assert_eq!(body.size_hint().exact(), Some(5));
    assert_eq!(body.collect().await.unwrap().to_bytes(), "whole");
    assert_eq!(ledger.records().len(), 1);
}
