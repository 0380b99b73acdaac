//! From Messages to Messages: the provider's bytes, with the named additions spliced in.

mod watch;

use bytes::{Bytes, BytesMut};
use memchr::memmem;

use self::watch::{Observed, Watch};
use super::answer;
use crate::{
    dialect::{
        AnswerOptions, Edits, End, Losses, Pipe, Seen, Stamp, StreamError,
        frame::Frame,
        json::Object,
        scan::{Member, Members},
        steady::Steady,
    },
    fault::Fault,
};

/// Forwards a Message, streamed or whole.
///
/// With notes, `message_start`'s message gains `provider` and `native_response_id`, and `message_delta`'s usage gains
/// `cost`; a whole Message gains all three and `meta`. Nothing else changes, the id least of all: follow-up calls name it.
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
        let members = scan(data.as_bytes())?;
        let Self { options, watch, .. } = self;
        let notes = options.notes.as_deref();
        let (object, additions) = match watch.event(frame.event, data, &members, seen) {
            Observed::Error => return Ok(()),
            Observed::Stop => {
                self.ended = true;
                (None, None)
            }
            Observed::Start(message) => {
                (Some(message), notes.map(|_| additions(|object| answer::notes(notes, seen.id.as_deref(), object))))
            }
            Observed::Usage(usage) => {
                let used = seen.usage.unwrap_or_default();
                (Some(usage), notes.filter(|_| options.rich_usage).map(|_| additions(|object| answer::cost(notes, &used, object))))
            }
            Observed::Other => (None, None),
        };
        match (object, additions) {
            (Some(object), Some(additions)) if !additions.is_empty() => splice(data, &object, &additions, frame, out),
            _ => {
                out.extend_from_slice(frame.raw);
                if let (true, Some(words)) = (self.steady.is_willing(), watch::words(data.as_bytes(), &members))
                    && let Some(start) = memmem::find(frame.raw, data.as_bytes())
                {
                    let at = start + words.start..start + words.end;
                    self.steady.learn(frame.raw, at.clone(), frame.raw, at);
                }
            }
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

    fn whole(&mut self, body: &Bytes, seen: &mut Seen) -> Result<Vec<Bytes>, StreamError> {
        let members = scan(body)?;
        let text = std::str::from_utf8(body).map_err(|_| StreamError::malformed("the answer is not UTF-8"))?;
        let usage = self.watch.whole(text, &members, seen)?;
        if seen.error.is_some() {
            return Ok(Vec::new());
        }
        let mut edits = Edits::default();
        if let Some(notes) = &self.options.notes {
            let mut value = BytesMut::new();
            crate::dialect::json::string(&mut value, notes.provider());
            edits.append(&members, "provider", &value);
            if let Some(id) = members.find(body, "id") {
                edits.append(&members, "native_response_id", id.text(body));
            }
            value.clear();
            if notes.meta(seen, &mut value) {
                edits.append(&members, "meta", &value);
            }
            value.clear();
            if let (true, Some(used), Some(usage)) = (self.options.rich_usage, seen.usage, usage)
                && notes.cost(&used, &mut value)
            {
                edits.append(&Members::of(body, &usage.value), "cost", &value);
            }
        }
        Ok(edits.apply(body).into_vec())
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}

fn scan(data: &[u8]) -> Result<Members, StreamError> {
    Members::scan(data).map_err(|error| StreamError::malformed(error.to_string()))
}

/// Writes `frame` with `additions` at the end of the object at `at`.
fn splice(data: &str, at: &Member, additions: &[u8], frame: &Frame<'_>, out: &mut BytesMut) {
    let members = Members::of(data.as_bytes(), &at.value);
    let (head, tail) = data.split_at_checked(members.end()).unwrap_or((data, ""));
    let comma: &[u8] = if members.is_empty() { b"" } else { b"," };
    let spliced = [head.as_bytes(), comma, additions, tail.as_bytes()];
    match memmem::find(frame.raw, data.as_bytes()) {
        Some(start) => {
            out.extend_from_slice(&frame.raw[..start]);
            spliced.iter().for_each(|part| out.extend_from_slice(part));
            out.extend_from_slice(&frame.raw[start + data.len()..]);
        }
        // The datum came in several lines, which JSON does not mind in one.
        None => {
            out.extend_from_slice(b"event: ");
            out.extend_from_slice(frame.event.as_bytes());
            out.extend_from_slice(b"\ndata: ");
            out.extend(spliced.iter().flat_map(|part| part.iter()).filter(|byte| **byte != b'\n'));
            out.extend_from_slice(b"\n\n");
        }
    }
}

/// An object's members without its braces.
fn additions(write: impl FnOnce(&mut Object<'_>)) -> Bytes {
    let mut text = BytesMut::new();
    let mut object = Object::begin(&mut text);
    write(&mut object);
    object.end();
    let text = text.freeze();
    text.slice(1..text.len() - 1)
}
