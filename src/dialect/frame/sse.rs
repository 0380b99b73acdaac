//! Server-sent events, as the WHATWG's HTML standard frames them.
//!
//! Frames that are whole in a chunk are lent straight from it, without a copy; only what a chunk's end cuts off is
//! carried. Each byte is looked at once for line ends, however the stream is cut.
//!
//! What is of no use to a dialect is skipped here: `id`, `retry`, unknown fields, a leading byte-order mark. All of it
//! is in [`Frame::raw`], and the raws of all frames, put together, are the bytes that came: exactly, save that a last
//! frame that lacks its blank line is given one, so that whatever follows it stands apart. There is one freedom in where
//! raws are cut: a frame that ends in a lone CR at the end of a chunk is handed out at once, and the LF that a later
//! chunk may bring for it opens the next frame's raw.

use std::{borrow::Cow, fmt, mem, ops::Range};

use memchr::memchr2;

use super::Frame;
use crate::dialect::{StreamError, StreamErrorKind};

/// What an answer's frames may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest frame, its line ends and comments included, in bytes. 8 MiB by default.
    pub event_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { event_bytes: 8 << 20 }
    }
}

/// Cuts a byte stream into [`Frame`]s.
///
/// Errors stick: after one, every call gives the same.
///
/// ```
/// use portcullis::dialect::frame::sse::{Limits, Sse};
///
/// let mut sse = Sse::new(Limits::default());
/// let mut seen = Vec::new();
/// for chunk in ["event: ping\r\nda", "ta: {}\r\n\r\ndata: [DONE]"] {
///     sse.feed(chunk.as_bytes(), &mut |frame| Ok(seen.push((frame.event.to_owned(), frame.data.as_deref().map(str::to_owned)))))?;
/// }
/// sse.finish(&mut |frame| Ok(seen.push((frame.event.to_owned(), frame.data.as_deref().map(str::to_owned)))))?;
/// assert_eq!(seen, [("ping".to_owned(), Some("{}".to_owned())), (String::new(), Some("[DONE]".to_owned()))]);
/// # Ok::<(), portcullis::dialect::StreamError>(())
/// ```
#[derive(Default)]
pub struct Sse {
    limits: Limits,
    /// The bytes of a frame that chunks cut; empty while frames come whole.
    carry: Vec<u8>,
    /// What is known of the frame under way.
    fields: Fields,
    /// Whether the last chunk ended in CR, so that an LF now belongs to it.
    after_cr: bool,
    /// Whether the first line, which may bear a byte-order mark, is behind us.
    begun: bool,
    failed: Option<StreamError>,
}

/// Takes a frame.
pub type Sink<'s> = &'s mut dyn FnMut(&Frame<'_>) -> Result<(), StreamError>;

impl Sse {
    /// A framer at the start of a stream.
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Takes the next bytes and hands out each frame that they complete.
    ///
    /// # Errors
    /// A frame past the limit, or what `sink` refused.
    pub fn feed(&mut self, chunk: &[u8], sink: Sink<'_>) -> Result<(), StreamError> {
        self.sticky(|sse| sse.cut(chunk, sink))
    }

    /// Says that no more bytes come. Hands out the last frame even if no blank line ended it, and ends it.
    ///
    /// # Errors
    /// An earlier error, or what `sink` refused.
    pub fn finish(&mut self, sink: Sink<'_>) -> Result<(), StreamError> {
        self.sticky(|sse| {
            let mut raw = mem::take(&mut sse.carry);
            let end = raw.len();
            if sse.fields.line < end {
                sse.line(&raw, &LineEnd { text: end, next: end });
            }
            match raw.as_slice() {
                // Nothing, or what a CRLF left behind whose frame is out already.
                [] | b"\n" => {}
                [.., b'\n'] => raw.push(b'\n'),
                _ => raw.extend_from_slice(b"\n\n"),
            }
            if raw.is_empty() { Ok(()) } else { sse.emit(&raw, sink) }
        })
    }

    /// How many bytes of an unfinished frame are held.
    pub fn held(&self) -> usize {
        self.carry.len()
    }

    fn sticky(&mut self, step: impl FnOnce(&mut Self) -> Result<(), StreamError>) -> Result<(), StreamError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        step(self).inspect_err(|error| {
            self.failed = Some(error.clone());
            self.carry = Vec::new();
        })
    }

    fn cut(&mut self, chunk: &[u8], sink: Sink<'_>) -> Result<(), StreamError> {
        let Some(&first) = chunk.first() else { return Ok(()) };
        let mut rest = chunk;
        // How far `rest` was scanned for line ends.
        let mut scanned = usize::from(mem::take(&mut self.after_cr) && first == b'\n');
        self.fields.line += scanned;

        // A carried frame grows line by line, so that what follows it need not be copied.
        while !self.carry.is_empty() {
            let Some(end) = self.line_end(rest, scanned) else { return self.keep(rest) };
            let (line, more) = rest.split_at(end.next);
            let before = self.carry.len();
            self.keep(line)?;
            (rest, scanned) = (more, 0);
            let mut raw = mem::take(&mut self.carry);
            if self.line(&raw, &LineEnd { text: before + end.text, next: raw.len() }) {
                self.emit(&raw, sink)?;
                raw.clear();
                raw.shrink_to(KEPT_CAPACITY);
            }
            self.carry = raw;
        }
        loop {
            let Some(end) = self.line_end(rest, scanned) else { return self.keep(rest) };
            scanned = end.next;
            if self.line(rest, &end) {
                let (raw, more) = rest.split_at(end.next);
                self.fits(raw.len())?;
                self.emit(raw, sink)?;
                (rest, scanned) = (more, 0);
            }
        }
    }

    /// The next line's end in `bytes`, looked for past `from`. CR, LF and CRLF end a line.
    fn line_end(&mut self, bytes: &[u8], from: usize) -> Option<LineEnd> {
        let text = from + memchr2(b'\n', b'\r', bytes.get(from..)?)?;
        let mut next = text + 1;
        if bytes.get(text) == Some(&b'\r') {
            match bytes.get(next) {
                Some(b'\n') => next += 1,
                Some(_) => {}
                None => self.after_cr = true,
            }
        }
        Some(LineEnd { text, next })
    }

    /// Takes the frame's next line; `frame` begins where the frame does. `true` if the line is blank, which ends it.
    fn line(&mut self, frame: &[u8], end: &LineEnd) -> bool {
        let fields = &mut self.fields;
        let mut start = mem::replace(&mut fields.line, end.next);
        let mut line = frame.get(start..end.text).unwrap_or_default();
        if !mem::replace(&mut self.begun, true)
            && let Some(after) = line.strip_prefix(BYTE_ORDER_MARK)
        {
            start += BYTE_ORDER_MARK.len();
            line = after;
        }
        match field(line) {
            Some((Field::Data, value)) => {
                if fields.data_lines == 0 {
                    fields.data = start + value..end.text;
                }
                fields.data_lines += 1;
            }
            Some((Field::Event, value)) => fields.event = start + value..end.text,
            None => {}
        }
        line.is_empty()
    }

    fn emit(&mut self, raw: &[u8], sink: Sink<'_>) -> Result<(), StreamError> {
        let fields = mem::take(&mut self.fields);
        let event = text(raw.get(fields.event).unwrap_or_default());
        let data = (fields.data_lines > 0).then(|| {
            let first = text(raw.get(fields.data.clone()).unwrap_or_default());
            if fields.data_lines == 1 { first } else { join(first, raw.get(fields.data.end..).unwrap_or_default()) }
        });
        sink(&Frame { event: &event, data, raw })
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        self.fits(self.carry.len() + bytes.len())?;
        self.carry.extend_from_slice(bytes);
        Ok(())
    }

    fn fits(&self, len: usize) -> Result<(), StreamError> {
        let limit = self.limits.event_bytes;
        if len <= limit {
            return Ok(());
        }
        Err(StreamError { kind: StreamErrorKind::TooLarge, message: format!("an event has more than {limit} bytes") })
    }
}

impl fmt::Debug for Sse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sse").field("limits", &self.limits).field("held", &self.held()).field("failed", &self.failed).finish()
    }
}

/// What is known of a frame; positions count from its first byte.
#[derive(Default)]
struct Fields {
    /// Where the line under way begins.
    line: usize,
    event: Range<usize>,
    /// The first `data` line's value. Others are looked up when the frame is complete.
    data: Range<usize>,
    data_lines: usize,
}

/// Where a line's text ends, and where the next line begins.
struct LineEnd {
    text: usize,
    next: usize,
}

enum Field {
    Data,
    Event,
}

/// The field that a line holds, and where its value begins.
fn field(line: &[u8]) -> Option<(Field, usize)> {
    let (field, name) = match line.first()? {
        b'd' => (Field::Data, &b"data"[..]),
        b'e' => (Field::Event, &b"event"[..]),
        _ => return None,
    };
    let value = match line.strip_prefix(name)? {
        [] => name.len(),
        [b':', b' ', ..] => name.len() + 2,
        [b':', ..] => name.len() + 1,
        _ => return None,
    };
    Some((field, value))
}

/// The `data` lines of a frame, `rest` being what follows the first.
fn join<'f>(first: Cow<'f, str>, mut rest: &'f [u8]) -> Cow<'f, str> {
    let mut joined = first.into_owned();
    while !rest.is_empty() {
        let end = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let (line, more) = rest.split_at(end);
        if let Some((Field::Data, value)) = field(line) {
            joined.push('\n');
            joined.push_str(&text(line.get(value..).unwrap_or_default()));
        }
        rest = more.get(1..).unwrap_or_default();
    }
    Cow::Owned(joined)
}

/// `bytes` as text, what is not UTF-8 replaced. Line ends are ASCII, so a line can be decoded apart.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// What the carry keeps allocated after a large frame.
const KEPT_CAPACITY: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    type Seen = Vec<(String, Option<String>, Vec<u8>)>;

    fn frames<'c>(limit: usize, chunks: impl IntoIterator<Item = &'c [u8]>) -> Result<Seen, StreamError> {
        let mut sse = Sse::new(Limits { event_bytes: limit });
        let mut seen = Seen::new();
        let mut sink = |frame: &Frame<'_>| {
            seen.push((frame.event.to_owned(), frame.data.clone().map(Cow::into_owned), frame.raw.to_vec()));
            Ok(())
        };
        chunks.into_iter().try_for_each(|chunk| sse.feed(chunk, &mut sink))?;
        sse.finish(&mut sink)?;
        Ok(seen)
    }

    /// The data of each frame, however the stream is cut in two; `-` for none.
    fn data(stream: &str) -> Vec<String> {
        let data = |seen: Seen| -> Vec<String> {
            // A stray LF that belongs to the CR before it may stand alone at the very end.
            let seen = seen.into_iter().filter(|(.., raw)| raw != b"\n");
            seen.map(|(event, data, _)| format!("{event}{}", data.unwrap_or("-".to_owned()))).collect()
        };
        let whole = frames(1 << 20, [stream.as_bytes()]).unwrap();
        for cut in 0..=stream.len() {
            let (head, tail) = stream.as_bytes().split_at(cut);
            let cut = frames(1 << 20, [head, tail]).unwrap();
            let raw: Vec<_> = cut.iter().flat_map(|(.., raw)| raw).copied().collect();
            assert!(raw.strip_prefix(stream.as_bytes()).is_some_and(|added| [&b""[..], b"\n", b"\n\n"].contains(&added)));
            assert_eq!(data(cut), data(whole.clone()));
        }
        data(whole)
    }

    #[test]
    fn line_ends() {
        assert_eq!(data("data: a\n\ndata: b\r\n\r\ndata: c\r\rdata: d\n\r\ndata: e\r\n\n"), ["a", "b", "c", "d", "e"]);
        assert_eq!(data("data: a\r\ndata: b\r\n\r\n"), ["a\nb"]);
    }

    #[test]
    fn fields() {
        assert_eq!(data("event: x\ndata:a\n\n"), ["xa"]);
        assert_eq!(data("event: x\nevent:y\ndata:  a\nid: 1\nretry: 2\ndatum: no\ndata : no\n\n"), ["y a"]);
        assert_eq!(data("data\n\ndata\ndata\n\ndata:"), ["", "\n", ""]);
        assert_eq!(data(": comment\n\n:\ndata: 1\n:\ndata: 2\n\n\n"), ["-", "1\n2"]);
        assert_eq!(data("event: lone\n\n"), ["lone-"]);
    }

    #[test]
    fn one_byte_order_mark() {
        assert_eq!(data("\u{feff}data: a\ndata: b\n\ndata: c\n\n"), ["a\nb", "c"]);
        assert_eq!(data("\u{feff}\u{feff}data: a\n\n"), ["-"]);
        assert_eq!(data("data: a\n\n\u{feff}data: b\n\n"), ["a", "-"]);
    }

    #[test]
    fn ends_without_a_blank_line() {
        assert_eq!(data("data: a\n\ndata: [DONE]"), ["a", "[DONE]"]);
        assert_eq!(data("data: a\n\ndata: [DONE]\n"), ["a", "[DONE]"]);
        for (stream, ended) in [("data: a", "data: a\n\n"), ("data: a\r", "data: a\r\n\n"), ("data: a\r\n", "data: a\r\n\n")] {
            assert_eq!(frames(99, [stream.as_bytes()]).unwrap()[0].2, ended.as_bytes());
        }
    }

    #[test]
    fn invalid_utf8_is_replaced() {
        let seen = frames(99, [&b"event: \xff\ndata: a\xe2\x82\n\n"[..]]).unwrap();
        assert_eq!((seen[0].0.as_str(), seen[0].1.as_deref()), ("\u{fffd}", Some("a\u{fffd}")));
    }

    #[test]
    fn limits_hold_and_errors_stick() {
        let frame = b"data: 345678\n\n";
        assert_eq!(frames(14, [&frame[..]]).unwrap().len(), 1);
        for cut in 0..=frame.len() {
            let (head, tail) = frame.split_at(cut);
            assert_eq!(frames(13, [head, tail]).unwrap_err().kind, StreamErrorKind::TooLarge);
        }
        let mut sse = Sse::new(Limits { event_bytes: 4 });
        let error = sse.feed(b"data: x", &mut |_| Ok(())).unwrap_err();
        assert_eq!(sse.held(), 0);
        assert_eq!(sse.feed(b"\n\n", &mut |_| Ok(())).unwrap_err(), error);
        assert_eq!(sse.finish(&mut |_| Ok(())).unwrap_err(), error);
        let mut sse = Sse::default();
        let error = sse.feed(b"data: x\n\n", &mut |_| Err(StreamError::order("no"))).unwrap_err();
        assert_eq!(sse.feed(b"data: y\n\n", &mut |_| Ok(())).unwrap_err(), error);
    }

    #[test]
    fn whole_frames_are_lent_from_the_chunk() {
        let chunk = b"data: a\n\ndata: b\n\nda";
        let mut sse = Sse::default();
        let mut sink = |frame: &Frame<'_>| {
            assert!(chunk.as_ptr_range().contains(&frame.raw.as_ptr()));
            assert!(matches!(frame.data, Some(Cow::Borrowed(_))));
            Ok(())
        };
        sse.feed(chunk, &mut sink).unwrap();
        assert_eq!(sse.held(), 2);
    }
}
