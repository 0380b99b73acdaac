//! What flows between the layers: each stage of a call is a request *body*.
//!
//! | stage | says | made by |
//! | --- | --- | --- |
//! | [`Call`] | endpoint, model asked for, streamed or not, preferences, id, tally, payload | `NormalizeLayer` |
//! | [`Routed`] | the call, and the targets in the order to try | `RouteLayer` |
//! | [`Attempt`] | the call, one target, the attempt's number | `RetryLayer` |
//! | [`Outgoing`] | the provider's request, as slices of known length | `TranslateLayer` |
//!
//! All implement [`http_body::Body`], so Tower's and tower-http's own layers fit between ours, and any HTTP client can
//! send any of them.

mod answer;
mod aside;
mod at_once;
mod attempt;
mod call;
mod deadline;
mod endpoint;
mod generation;
mod health;
mod outgoing;
mod preferences;
mod principal;
mod routed;
mod spare;
mod tally;
mod throughput;
mod turn;
mod watchdog;

pub use self::{
    answer::{AnswerBody, REQUEST_ID, X_REQUEST_ID, X_SHOULD_RETRY, fault_response, name_call},
    attempt::Attempt,
    call::{Call, CallFacts, Payload, Upload},
    endpoint::{Access, Endpoint, Missing, Operation, Read},
    generation::GenerationId,
    health::{Breaker, Closed, Health, Pass, Vitals},
    outgoing::Outgoing,
    preferences::{Fidelity, Preferences, Sort},
    principal::{KeyId, KeyKind, Limits, Principal, PrincipalBuilder, Scopes},
    routed::{Plan, Routed},
    tally::{AttemptEntry, AttemptTally, Begin, Intent, Outcome, Tally},
    watchdog::{Watchdog, Watched},
};
pub(crate) use self::{
    answer::{SERVER_TIMING, X_GATEWAY_ATTEMPTS, X_GATEWAY_MODEL, X_GATEWAY_PROVIDER, annotate_fault, write_millis},
    aside::{LONGEST_SCANNED, LONGEST_TRANSLATED, aside},
    at_once::AtOnce,
    deadline::{Alarm, By, by, deadline},
    health::PROBE_WAIT,
    spare::{Spare, SpareExtensions},
    tally::Beginner,
    throughput::throughput,
    turn::Turn,
};
