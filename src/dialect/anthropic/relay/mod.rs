//! From Messages to Messages: the provider's bytes, with the named additions spliced in.

mod watch;

use bytes::{Bytes, BytesMut};
use memchr::memmem;
use smallvec::SmallVec;

use self::watch::{Observed, Watch};
use crate::{
    dialect::{
        AnswerOptions, Edits, End, Losses, Notes, Pipe, Seen, Stamp, StreamError, Usage, frame::Frame, json, scan::Members, steady::Steady,
    },
    fault::Fault,
};

/// Forwards a Message, streamed or whole.
///
/// With notes, `message_start`'s message gains `provider` and `native_response_id`, `message_delta` gains `meta` and its usage
/// `cost`; a whole Message gains all four. Nothing else changes, the id least of all: follow-up calls name it.
pub struct MessageRelay {
    stamp: Stamp,
    options: AnswerOptions,
    watch: Watch,
    ended: bool,
    failed: Option<StreamError>,
    losses: Losses,
    steady: Steady,
}

impl MessageRelay {
    /// A relay of the answer that `stamp` and `options` belong to.
    pub fn new(stamp: Stamp, options: AnswerOptions) -> Self {
        Self { stamp, options, watch: Watch::default(), ended: false, failed: None, losses: Losses::default(), steady: Steady::default() }
    }

    fn event(&mut self, data: &str, frame: &Frame<'_>, out: &mut BytesMut, seen: &mut Seen) -> Result<(), StreamError> {
        let body = data.as_bytes();
        let mut members = Members::default();
        scan(body, &mut members)?;
        let Self { options, watch, .. } = self;
        let notes = options.notes.as_deref();
        let mut edits = Edits::default();
        match watch.event(frame.event, data, &members, seen) {
            Observed::Error => return Ok(()),
            Observed::Stop => self.ended = true,
            Observed::Start(message) => {
                if let Some(notes) = notes {
                    name(notes, seen.id.as_deref(), body, &Members::of(body, &message.value), &mut edits);
                }
            }
            Observed::Delta(usage) => {
                if let Some(notes) = notes {
                    meta(notes, seen, body, &members, &mut edits);
                }
                if let (Some(notes), Some(used), Some(usage), true) = (notes, &seen.usage, usage, options.rich_usage) {
                    cost(notes, used, body, &Members::of(body, &usage.value), &mut edits);
                }
            }
            Observed::Other => {}
        }
        if !edits.is_empty() {
            splice(data, &mut edits, frame, out);
            return Ok(());
        }
        out.extend_from_slice(frame.raw);
        if let (true, Some(words)) = (self.steady.is_willing(), watch::words(body, &members))
            && let Some(start) = memmem::find(frame.raw, body)
        {
            let at = start + words.start..start + words.end;
            self.steady.learn(frame.raw, at.clone(), frame.raw, at);
        }
        Ok(())
    }
}

impl Pipe for MessageRelay {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut BytesMut, seen: &mut Seen) -> Result<(), StreamError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        // A line end that a cut severed from its frame still belongs to what went out.
        let blank = frame.raw.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
        match &frame.data {
            // Nothing may follow the end, or an error.
            _ if (self.ended && !blank) || seen.error.is_some() => Ok(()),
            None => {
                out.extend_from_slice(frame.raw);
                Ok(())
            }
            Some(data) => match self.steady.words(frame) {
                Some(words) => {
                    self.steady.write(words, out);
                    if !words.is_empty() {
                        seen.came(words.len());
                    }
                    Ok(())
                }
                None => {
                    self.steady.forget();
                    self.event(data, frame, out, seen).inspect_err(|error| self.failed = Some(error.clone()))
                }
            },
        }
    }

    fn finish(&mut self, _: &mut BytesMut, _: &mut Seen) -> Result<End, StreamError> {
        match &self.failed {
            Some(error) => Err(error.clone()),
            None => Ok(if self.ended { End::Complete } else { End::Truncated }),
        }
    }

    fn fail(&mut self, fault: &Fault, out: &mut BytesMut) {
        super::error::encode_event(fault, &self.stamp.id, out);
    }

    fn whole(&mut self, body: &Bytes, seen: &mut Seen) -> Result<SmallVec<[Bytes; 1]>, StreamError> {
        let mut members = Members::default();
        scan(body, &mut members)?;
        let usage = self.watch.whole(body, &members, seen)?;
        if seen.error.is_some() {
            return Ok(SmallVec::new());
        }
        let mut edits = Edits::default();
        if let Some(notes) = &self.options.notes {
            name(notes.as_ref(), seen.id.as_deref(), body, &members, &mut edits);
            meta(notes.as_ref(), seen, body, &members, &mut edits);
            if let (true, Some(used), Some(usage)) = (self.options.rich_usage, seen.usage, usage) {
                cost(notes.as_ref(), &used, body, &Members::of(body, &usage.value), &mut edits);
            }
        }
        Ok(edits.apply(body))
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}

fn scan(data: &[u8], members: &mut Members) -> Result<(), StreamError> {
    members.visit_into(data, |_, _| ()).map_err(|error| StreamError::malformed(error.to_string()))
}

/// Names the provider, and its id of the answer, in a message. What a gateway behind us wrote there gives way.
fn name(notes: &dyn Notes, id: Option<&str>, body: &[u8], message: &Members, edits: &mut Edits) {
    edits.write(body, message, "provider", |out| json::string(out, notes.provider()));
    if let Some(id) = id {
        edits.write(body, message, "native_response_id", |out| json::string(out, id));
    }
}

/// Tells how the call went, if the caller asked.
fn meta(notes: &dyn Notes, seen: &Seen, body: &[u8], members: &Members, edits: &mut Edits) {
    edits.write(body, members, "meta", |out| _ = notes.meta(seen.model.as_deref(), seen.usage.as_ref(), out));
}

/// Tells the cost of `used` in `usage`, if there is one to tell.
fn cost(notes: &dyn Notes, used: &Usage, body: &[u8], usage: &Members, edits: &mut Edits) {
    edits.write(body, usage, "cost", |out| _ = notes.cost(used, out));
}

/// Writes `frame` with its datum edited.
fn splice(data: &str, edits: &mut Edits, frame: &Frame<'_>, out: &mut BytesMut) {
    match memmem::find(frame.raw, data.as_bytes()) {
        Some(start) => {
            out.extend_from_slice(&frame.raw[..start]);
            edits.apply_to(data.as_bytes(), out);
            out.extend_from_slice(&frame.raw[start + data.len()..]);
        }
        // The datum came in several lines, which JSON does not mind in one.
        None => {
            out.extend_from_slice(b"event: ");
            out.extend_from_slice(frame.event.as_bytes());
            out.extend_from_slice(b"\ndata: ");
            let mut edited = BytesMut::new();
            edits.apply_to(data.as_bytes(), &mut edited);
            out.extend(edited.iter().filter(|byte| **byte != b'\n'));
            out.extend_from_slice(b"\n\n");
        }
    }
}
