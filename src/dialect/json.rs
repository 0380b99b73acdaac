//! Writes JSON text straight into a buffer.

use bytes::{BufMut, BytesMut};

use super::scan;

/// Writes one object, member by member; [`end`](Self::end) closes it.
///
/// Members come out in the order they are written, so a body reads like the API's reference and equal inputs make
/// equal bytes.
#[derive(Debug)]
#[must_use = "an object is closed by `end`"]
pub struct Object<'b> {
    out: &'b mut BytesMut,
    first: bool,
}

impl<'b> Object<'b> {
    /// Opens an object.
    pub fn begin(out: &'b mut BytesMut) -> Self {
        out.put_u8(b'{');
        Self { out, first: true }
    }

    /// Goes on with an object whose closing brace is not written yet, and which has members.
    pub(crate) fn resume(out: &'b mut BytesMut) -> Self {
        Self { out, first: false }
    }

    /// Writes a member's name and gives the buffer for its value. The name must need no escapes.
    #[inline]
    pub fn key(&mut self, name: &str) -> &mut BytesMut {
        if std::mem::take(&mut self.first) {
            self.out.put_slice(b"\"");
        } else {
            self.out.put_slice(b",\"");
        }
        self.out.put_slice(name.as_bytes());
        self.out.put_slice(b"\":");
        self.out
    }

    /// A member that is a string.
    #[inline]
    pub fn str(&mut self, name: &str, value: &str) -> &mut Self {
        string(self.key(name), value);
        self
    }

    /// A member that is one of the API's own words, and so of this code's: a string that needs no escapes.
    #[inline]
    pub(crate) fn word(&mut self, name: &str, word: &'static str) -> &mut Self {
        let out = self.key(name);
        out.put_u8(b'"');
        out.put_slice(word.as_bytes());
        out.put_u8(b'"');
        self
    }

    /// A member whose value is JSON text already.
    #[inline]
    pub fn raw(&mut self, name: &str, value: &str) -> &mut Self {
        self.key(name).put_slice(value.as_bytes());
        self
    }

    /// A member that is a number.
    #[inline]
    pub fn number(&mut self, name: &str, value: u64) -> &mut Self {
        number(self.key(name), value);
        self
    }

    /// A member that is `true` or `false`.
    pub fn bool(&mut self, name: &str, value: bool) -> &mut Self {
        self.raw(name, if value { "true" } else { "false" })
    }

    /// A member that may turn out not to be: there is none unless `write` says so.
    pub(crate) fn perhaps(&mut self, name: &str, write: impl FnOnce(&mut BytesMut) -> bool) -> &mut Self {
        let (start, first) = (self.out.len(), self.first);
        if !write(self.key(name)) {
            self.out.truncate(start);
            self.first = first;
        }
        self
    }

    /// A member that is an object.
    pub fn object(&mut self, name: &str) -> Object<'_> {
        Object::begin(self.key(name))
    }

    /// A member that is an array.
    pub fn array(&mut self, name: &str) -> Array<'_> {
        Array::begin(self.key(name))
    }

    /// Closes the object.
    pub fn end(self) {
        self.out.put_u8(b'}');
    }
}

/// Writes one array, element by element; [`end`](Self::end) closes it.
#[derive(Debug)]
#[must_use = "an array is closed by `end`"]
pub struct Array<'b> {
    out: &'b mut BytesMut,
    first: bool,
}

impl<'b> Array<'b> {
    /// Opens an array.
    pub fn begin(out: &'b mut BytesMut) -> Self {
        out.put_u8(b'[');
        Self { out, first: true }
    }

    /// Gives the buffer for the next element.
    pub fn item(&mut self) -> &mut BytesMut {
        if !std::mem::take(&mut self.first) {
            self.out.put_u8(b',');
        }
        self.out
    }

    /// An element that is an object.
    pub fn object(&mut self) -> Object<'_> {
        Object::begin(self.item())
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.first
    }

    /// Closes the array.
    pub fn end(self) {
        self.out.put_u8(b']');
    }
}

/// Writes `value` as a JSON string.
pub fn string(out: &mut BytesMut, value: &str) {
    out.reserve(value.len() + 2);
    out.put_u8(b'"');
    escaped(out, value);
    out.put_u8(b'"');
}

/// Writes `value` as the inside of a JSON string: escaped, without the quotes.
pub fn escaped(out: &mut BytesMut, value: &str) {
    let mut rest = value.as_bytes();
    loop {
        let (plain, more) = rest.split_at(scan::plain(rest).0);
        out.put_slice(plain);
        let Some((&byte, after)) = more.split_first() else { return };
        let escape = ESCAPES[byte as usize];
        if escape == b'u' {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            out.put_slice(&[b'\\', b'u', b'0', b'0', HEX[(byte >> 4) as usize], HEX[(byte & 15) as usize]]);
        } else {
            out.put_slice(&[b'\\', escape]);
        }
        rest = after;
    }
}

/// Writes JSON text on one line, as an event stream needs it.
pub fn line(out: &mut BytesMut, text: &str) {
    let start = out.len();
    out.put_slice(text.as_bytes());
    unbreak(out.get_mut(start..).unwrap_or_default());
}

/// Puts JSON text on one line: line breaks, which can only stand where white space can, become blanks.
pub fn unbreak(mut text: &mut [u8]) {
    while let Some(at) = memchr::memchr2(b'\n', b'\r', text) {
        text[at] = b' ';
        text = &mut text[at + 1..];
    }
}

/// Writes a number.
pub fn number(out: &mut BytesMut, value: u64) {
    out.put_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// What follows the backslash for each byte that [`scan::plain`] stops at.
const ESCAPES: [u8; 256] = {
    let mut table = [0; 256];
    let mut control = 0;
    while control < 0x20 {
        table[control] = b'u';
        control += 1;
    }
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table[0x08] = b'b';
    table[0x09] = b't';
    table[0x0a] = b'n';
    table[0x0c] = b'f';
    table[0x0d] = b'r';
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_of_any_length_are_escaped_wherever_they_need_it() {
        for special in ['"', '\\', '\n', '\u{1}', '\u{1f}', '\u{7f}', 'é', '\u{2028}'] {
            for before in 0..140 {
                let text = format!("{}{special}{}{special}", "x".repeat(before), "y".repeat(before % 17));
                let mut out = BytesMut::new();
                string(&mut out, &text);
                assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
                assert_eq!(out, serde_json::to_string(&text).unwrap());
            }
        }
    }
}
