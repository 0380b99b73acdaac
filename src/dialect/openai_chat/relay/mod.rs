//! A provider's answer to a caller of the same dialect: its bytes, with a few spliced in.
//!
//! Nothing is parsed into values; the members that matter are found as spans.
//!
//! | | bare (no notes) | with notes |
//! | --- | --- | --- |
//! | every chunk | as it came | `id` is the gateway's |
//! | first chunk | as it came | `provider` too |
//! | the first to leave no choice open, caller asked for `meta` and not for usage | as it came | `native_response_id`, `meta` too |
//! | usage, caller asked | as it came | in one chunk of its own before `[DONE]`, with `provider`, `native_response_id`, `meta`, cost |
//! | usage, caller did not ask | left out | left out |
//! | no usage, caller asked for it and `meta` | as it came | a chunk without choices before `[DONE]`, with `native_response_id`, `meta` |
//! | whole answer | as it came | `id`, `provider`, `native_response_id`, `meta`, enriched `usage` |

mod observe;
mod usage;

use bytes::{Bytes, BytesMut};
use smallvec::{SmallVec, smallvec};

use self::observe::{Places, Told};
use super::error;
use crate::{
    dialect::{
        AnswerOptions, Edits, End, Losses, Pipe, Seen, Stamp, StreamError,
        frame::Frame,
        json,
        scan::{Member, Members},
        steady::Steady,
    },
    fault::Fault,
};

/// A pipe for one answer.
pub(super) struct ChatRelay {
    stamp: Stamp,
    options: AnswerOptions,
    /// The gateway's id as a JSON string, for a stream's chunks.
    id: Bytes,
    /// Whether a chunk went out.
    begun: bool,
    /// The usage chunk, or the one that stands in for it, ready to go out before the end.
    usage: Option<Bytes>,
    /// What the chunk at hand gains, if it leaves no choice open.
    ending: Option<Box<Ending>>,
    /// Whether `meta` was told.
    told: bool,
    losses: Losses,
    failed: Option<StreamError>,
    steady: Steady,
}

/// How the call went, for a caller who asked and gets no usage chunk: JSON texts.
struct Ending {
    id: BytesMut,
    meta: BytesMut,
}

impl ChatRelay {
    pub(super) fn new(stamp: Stamp, options: AnswerOptions) -> Self {
        Self {
            stamp,
            options,
            id: Bytes::new(),
            begun: false,
            usage: None,
            ending: None,
            told: false,
            losses: Losses::default(),
            failed: None,
            steady: Steady::default(),
        }
    }

    fn chunk(&mut self, frame: &Frame<'_>, data: &str, out: &mut BytesMut, seen: &mut Seen) -> Result<(), StreamError> {
        let body = data.as_bytes();
        let mut places = Places::default();
        let mut told = Told::default();
        read(body, &mut places, &mut told)?;
        if frame.event == "error" || told.is_error() {
            told.tell_usage(seen);
            seen.error = Some(error::upstream(data, None));
            return Ok(());
        }
        told.tell(seen);
        if self.id.is_empty() {
            let mut id = BytesMut::new();
            json::string(&mut id, &self.stamp.id);
            self.id = id.freeze();
        }
        let (before, first) = (out.len(), !self.begun);
        let (members, choices) = (&places.members, told.choices);
        let usage = members.find(body, "usage");
        let counted = usage.filter(|usage| usage.bytes(body) != b"null");

        if !self.options.include_usage {
            self.ending = if told.closes() { self.ending(seen) } else { None };
            self.told |= self.ending.is_some();
            // A chunk of usage alone is there because we asked for it, and so is `"usage": null` in the others.
            if counted.is_none() || choices > 0 {
                self.splice(frame, data, members, usage, out);
            }
        } else if self.options.notes.is_none() || counted.is_none() {
            self.splice(frame, data, members, None, out);
            // Should no usage come, the end of the choices is what tells `meta`.
            if self.usage.is_none() && told.closes() && self.ending(seen).is_some() {
                self.usage = Some(usage::chunk(body, &places, &self.id, &self.options, seen));
            }
        } else {
            self.usage = Some(usage::chunk(body, &places, &self.id, &self.options, seen));
            if choices > 0 {
                self.splice(frame, data, members, usage, out);
            }
        }
        if !first
            && counted.is_none()
            && self.steady.is_willing()
            && let Some(words) = told.words().and_then(|words| body.get(words))
        {
            self.learn(frame, words, out.get(before..).unwrap_or_default());
        }
        Ok(())
    }

    /// What the end of the choices gains, once. Most callers do not ask, and then this is nothing.
    fn ending(&self, seen: &Seen) -> Option<Box<Ending>> {
        let notes = self.options.notes.as_deref().filter(|_| seen.finished && !self.told)?;
        let (mut id, mut meta) = (BytesMut::new(), BytesMut::new());
        if !notes.meta(seen.model.as_deref(), seen.usage.as_ref(), &mut meta) {
            return None;
        }
        if let Some(said) = &seen.id {
            json::string(&mut id, said);
        }
        Some(Box::new(Ending { id, meta }))
    }

    /// Remembers a chunk that brings `words` and nothing else.
    fn learn(&mut self, frame: &Frame<'_>, words: &[u8], written: &[u8]) {
        let payload = |raw: &[u8]| {
            let line = raw.strip_prefix(b"data: ")?;
            let mut told = Told::default();
            observe::read(line.trim_ascii_end(), &mut Places::default(), &mut told).ok()?;
            let words = told.words()?;
            Some(words.start + 6..words.end + 6)
        };
        if let (Some(at), Some(written_at)) = (payload(frame.raw), payload(written))
            && frame.raw.get(at.clone()) == Some(words)
        {
            self.steady.learn(frame.raw, at, written, written_at);
        }
    }

    /// Forwards a chunk with our id, and without `usage`, if it has to go.
    fn splice(&mut self, frame: &Frame<'_>, data: &str, members: &Members, usage: Option<&Member>, out: &mut BytesMut) {
        let first = !std::mem::replace(&mut self.begun, true);
        let body = data.as_bytes();
        // What is there twice is changed in both places: parsers disagree on which one counts.
        let twice = members.repeated(body, &["id", "usage"]).is_some();
        let ending = self.ending.take();
        let Some(notes) = &self.options.notes else {
            match usage {
                Some(usage) if !twice => write(frame, data, out, |out| cut(body, 0..body.len(), members, usage, out)),
                Some(_) => {
                    let mut edits = Edits::default();
                    edits.remove(body, members, "usage");
                    write(frame, data, out, |out| edits.apply_to(body, out));
                }
                None => out.extend_from_slice(frame.raw),
            }
            return;
        };
        match (members.find(body, "id"), first || twice || ending.is_some()) {
            // The steady case: nothing is allocated.
            (Some(id), false) => write(frame, data, out, |out| {
                // Which of the two comes first is the provider's choice.
                let (head, tail) = (0..id.value.start, id.value.end..body.len());
                match usage {
                    Some(usage) if usage.value.start < id.value.start => cut(body, head, members, usage, out),
                    _ => out.extend_from_slice(body.get(head).unwrap_or_default()),
                }
                out.extend_from_slice(&self.id);
                match usage {
                    Some(usage) if usage.value.start > id.value.start => cut(body, tail, members, usage, out),
                    _ => out.extend_from_slice(body.get(tail).unwrap_or_default()),
                }
            }),
            _ => {
                let mut edits = Edits::default();
                edits.set(body, members, "id", &self.id);
                if usage.is_some() {
                    edits.remove(body, members, "usage");
                }
                if first {
                    edits.write(body, members, "provider", |out| json::string(out, notes.provider()));
                }
                if let Some(Ending { id, meta }) = ending.as_deref() {
                    edits.set(body, members, "native_response_id", id);
                    edits.set(body, members, "meta", meta);
                }
                write(frame, data, out, |out| edits.apply_to(body, out));
            }
        }
    }

    /// Writes what was held back for the end.
    fn flush(&mut self, out: &mut BytesMut) {
        if let Some(usage) = self.usage.take() {
            out.extend_from_slice(b"data: ");
            out.extend_from_slice(&usage);
            out.extend_from_slice(b"\n\n");
        }
    }
}

impl Pipe for ChatRelay {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut BytesMut, seen: &mut Seen) -> Result<(), StreamError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        if seen.ended || seen.error.is_some() {
            return Ok(());
        }
        let Some(data) = &frame.data else {
            // A comment.
            out.extend_from_slice(frame.raw);
            return Ok(());
        };
        if let Some(words) = self.steady.words(frame) {
            self.steady.write(words, out);
            if !words.is_empty() {
                seen.came(words.len());
            }
            return Ok(());
        }
        self.steady.forget();
        match data.trim_ascii() {
            "[DONE]" => {
                seen.ended = true;
                // With a choice unfinished this is no end, and the caller must not take it for one.
                if seen.finished {
                    self.flush(out);
                    out.extend_from_slice(frame.raw);
                }
                Ok(())
            }
            "" => {
                out.extend_from_slice(frame.raw);
                Ok(())
            }
            _ => self.chunk(frame, data, out, seen).inspect_err(|error| self.failed = Some(error.clone())),
        }
    }

    fn finish(&mut self, out: &mut BytesMut, seen: &mut Seen) -> Result<End, StreamError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        if !seen.finished || seen.error.is_some() {
            return Ok(End::Truncated);
        }
        if !seen.ended && self.options.notes.is_some() {
            self.flush(out);
            out.extend_from_slice(b"data: [DONE]\n\n");
        }
        seen.ended = true;
        Ok(End::Complete)
    }

    fn fail(&mut self, fault: &Fault, out: &mut BytesMut) {
        error::encode_event(fault, &self.stamp.id, out);
    }

    fn whole(&mut self, body: &Bytes, seen: &mut Seen) -> Result<SmallVec<[Bytes; 1]>, StreamError> {
        let mut places = Places::default();
        let mut told = Told::default();
        read(body, &mut places, &mut told)?;
        if told.is_error() {
            told.tell_usage(seen);
            seen.error = Some(error::upstream(std::str::from_utf8(body).unwrap_or_default(), None));
            return Ok(SmallVec::new());
        }
        told.tell(seen);
        if told.choices == 0 {
            return Err(StreamError::malformed("there are no choices"));
        }
        if !seen.finished {
            return Err(StreamError::malformed("a choice has no finish_reason"));
        }
        seen.ended = true;
        let Some(notes) = &self.options.notes else { return Ok(smallvec![body.clone()]) };
        let mut edits = Edits::default();
        edits.write(body, &places.members, "id", |out| json::string(out, &self.stamp.id));
        edits.write(body, &places.members, "provider", |out| json::string(out, notes.provider()));
        usage::annotate(body, &places, &self.options, seen, &mut edits);
        Ok(edits.apply(body))
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}

fn read<'b>(body: &'b [u8], places: &mut Places, told: &mut Told<'b>) -> Result<(), StreamError> {
    observe::read(body, places, told).map_err(|error| StreamError::malformed(error.to_string()))
}

/// Forwards a frame with another payload, its other lines as they came.
fn write(frame: &Frame<'_>, data: &str, out: &mut BytesMut, payload: impl FnOnce(&mut BytesMut)) {
    // The payload lies inside the frame, unless it was joined from several lines.
    let start = (data.as_ptr() as usize).checked_sub(frame.raw.as_ptr() as usize);
    let inside = start.map(|start| start..start + data.len()).filter(|span| frame.raw.get(span.clone()) == Some(data.as_bytes()));
    match inside {
        Some(span) => {
            out.extend_from_slice(frame.raw.get(..span.start).unwrap_or_default());
            payload(out);
            out.extend_from_slice(frame.raw.get(span.end..).unwrap_or_default());
        }
        None => {
            out.extend_from_slice(b"data: ");
            let before = out.len();
            payload(out);
            json::unbreak(out.get_mut(before..).unwrap_or_default());
            out.extend_from_slice(b"\n\n");
        }
    }
}

/// Writes `body[span]` without `member` and its comma.
fn cut(body: &[u8], span: std::ops::Range<usize>, members: &Members, member: &Member, out: &mut BytesMut) {
    let at = members.iter().position(|other| other == member).unwrap_or_default();
    let before = at.checked_sub(1).and_then(|at| members.iter().nth(at));
    let after = members.iter().nth(at + 1);
    let gap = match (before, after) {
        (Some(before), _) => before.value.end..member.value.end,
        (None, Some(after)) => member.name.start..after.name.start,
        (None, None) => member.name.start..member.value.end,
    };
    out.extend_from_slice(body.get(span.start..gap.start.max(span.start)).unwrap_or_default());
    out.extend_from_slice(body.get(gap.end.min(span.end)..span.end).unwrap_or_default());
}
