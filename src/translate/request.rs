//! A call in its target's words, and the pipe that its answer goes through.

use std::{
    sync::{Arc, OnceLock},
    time::{Instant, UNIX_EPOCH},
};

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

use super::{layer::Config, notes::AnswerNotes};
use crate::{
    catalog::Target,
    dialect::{self, AnswerOptions, Crossing, Dialect, Edits, EventMap, Losses, Notes, Pipe, Stamp, operations},
    fault::{Detail, Fault, FaultKind},
    stage::{Attempt, CallFacts, Fidelity, LONGEST_TRANSLATED, Operation, Outgoing, Payload, aside},
};

/// What an attempt comes to in its target's dialect.
pub(super) struct Translated {
    pub(super) dialect: &'static dyn Dialect,
    pub(super) body: Outgoing,
    pub(super) pipe: Box<dyn Pipe>,
    pub(super) notes: Arc<AnswerNotes>,
    /// What the request lost.
    pub(super) losses: Losses,
}

/// A call's body in its target's dialect.
pub(super) struct Said {
    slices: SmallVec<[Bytes; 1]>,
    exchange: dialect::Exchange,
    losses: Losses,
}

/// Says `attempt` in its target's dialect, if its body was not `said` before.
///
/// # Errors
/// What the dialect cannot say; in strict mode, what it would lose.
pub(super) fn translate(
    attempt: Attempt,
    config: &Config,
    map: Option<Box<dyn EventMap>>,
    said: Option<Box<Said>>,
) -> Result<Translated, Fault> {
    let Attempt { call, target, number, tally, .. } = attempt;
    let sent = Instant::now();
    let notes = Arc::new(AnswerNotes { call: call.facts().clone(), target, tally, attempt: number, sent, committed: OnceLock::new() });
    let (facts, target) = (&*notes.call, &notes.target);
    let caller = facts.dialect;
    let dialect = dialect_of(facts, target);
    let options = AnswerOptions {
        include_usage: facts.include_usage,
        rich_usage: facts.rich_usage && config.annotate,
        notes: config.annotate.then(|| notes.clone() as Arc<dyn Notes>),
    };
    let stamp = Stamp {
        id: facts.id.shared(),
        created: facts.created.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        model: target.model.clone(),
    };
    let Payload::Whole(body) = call.payload() else {
        // An upload goes up as it came, to a provider of its own dialect.
        let pipe = own_pipe(facts.operation, caller, stamp, options);
        let body = Outgoing::from_payload(target.clone(), dialect, call.payload().clone());
        return Ok(Translated { dialect, body, pipe, notes, losses: Losses::default() });
    };
    let own_words = dialect.name() == caller.name();
    // Only a chat answer is made of events.
    let map = map.filter(|_| facts.operation == Operation::Chat);
    let Said { slices, exchange, losses } = match said {
        Some(said) => *said,
        None => say(body, facts, target)?,
    };
    let strict = facts.preferences.require_parameters || facts.preferences.fidelity.unwrap_or(config.fidelity) == Fidelity::Strict;
    if strict && !losses.is_empty() {
        return Err(Fault::new(FaultKind::Lossy(losses.iter().map(refused).collect())));
    }
    let pipe: Box<dyn Pipe> = match (facts.operation, map) {
        (Operation::Chat, Some(map)) => Box::new(Crossing::new(dialect, caller, &exchange, stamp, options).map_events(map)),
        (Operation::Chat, None) if !own_words => Box::new(Crossing::new(dialect, caller, &exchange, stamp, options)),
        (operation, _) => own_pipe(operation, caller, stamp, options),
    };
    let body = Outgoing::from_slices(target.clone(), dialect, slices);
    Ok(Translated { dialect, body, pipe, notes, losses })
}

/// Says the body of a long `attempt` aside; of any other, nothing.
///
/// # Errors
/// What the dialect cannot say.
pub(super) async fn said_aside(attempt: &Attempt) -> Result<Option<Box<Said>>, Fault> {
    let Some(body) = long(attempt).cloned() else { return Ok(None) };
    let (facts, target) = (attempt.call.facts().clone(), attempt.target.clone());
    aside(move || say(&body, &facts, &target).map(Box::new)).await?.map(Some)
}

/// The body of an attempt, if it may take long to say.
pub(super) fn long(attempt: &Attempt) -> Option<&Bytes> {
    // Most are short, whatever is to be done to them.
    let body = attempt.call.payload().whole().filter(|body| body.len() > LONGEST_TRANSLATED)?;
    let (facts, target) = (attempt.call.facts(), &attempt.target);
    // In the caller's own words, what stands at the top level is at hand. A role stands in each message of a chat.
    let roles = facts.operation == Operation::Chat && !target.capabilities.developer_role;
    let at_hand = !roles && dialect_of(facts, target).name() == facts.dialect.name();
    (!at_hand).then_some(body)
}

/// The dialect that `target` is spoken to in.
fn dialect_of(facts: &CallFacts, target: &Target) -> &'static dyn Dialect {
    if facts.operation == Operation::Chat { target.dialect_for(facts.dialect) } else { facts.dialect }
}

/// Says a call's body in its target's dialect.
#[inline]
fn say(body: &Bytes, facts: &CallFacts, target: &Target) -> Result<Said, Fault> {
    let (caller, dialect) = (facts.dialect, dialect_of(facts, target));
    let aim = dialect::Target {
        model: &target.model,
        issuer: &target.provider.issuer,
        capabilities: &target.capabilities,
        want_usage: facts.stream,
    };
    let mut losses = Losses::default();
    if dialect.name() == caller.name() {
        let mut edits = Edits::default();
        match facts.operation {
            Operation::Chat => dialect.patch_request(body, &facts.members, &aim, &mut edits),
            _ => operations::patch_request(body, &facts.members, &aim, &mut edits),
        }
        return Ok(Said { slices: edits.apply(body), exchange: dialect::Exchange::default(), losses });
    }
    // The scan has checked it.
    let text = std::str::from_utf8(body).map_err(|_| Fault::new(FaultKind::InvalidJson { offset: 0 }))?;
    let invalid = |details: Vec<Detail>| Fault::new(FaultKind::InvalidRequest(details));
    // A `match`, which moves what is large once less.
    let request = match caller.decode_request(text, &mut losses) {
        Ok(request) => request,
        Err(details) => return Err(invalid(details)),
    };
    let mut out = BytesMut::with_capacity(body.len() + 256);
    let exchange = dialect.encode_request(&request, &aim, &mut out, &mut losses).map_err(invalid)?;
    Ok(Said { slices: smallvec::smallvec![out.freeze()], exchange, losses })
}

/// The pipe for a provider of the caller's own dialect.
fn own_pipe(operation: Operation, caller: &'static dyn Dialect, stamp: Stamp, options: AnswerOptions) -> Box<dyn Pipe> {
    match operation {
        Operation::Chat => caller.relay(stamp, options),
        Operation::Embeddings => operations::relay(operations::Operation::Embeddings, caller, stamp, options),
        Operation::Images => operations::relay(operations::Operation::Images, caller, stamp, options),
        Operation::Moderations => operations::relay(operations::Operation::Moderations, caller, stamp, options),
    }
}

fn refused(lost: &dialect::Lost) -> Detail {
    Detail { path: lost.path.clone(), message: format!("would be {}: {}", lost.loss.fate, lost.loss.why) }
}
