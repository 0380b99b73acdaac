//! Numbers and texts as the journal and the stores hold them: small ones take little room, and few instructions.
//!
//! | what | bytes |
//! | --- | --- |
//! | a count | seven bits each, the lowest first; the eighth says that more follow |
//! | a truth | 0 or 1 |
//! | a text | its length as a count, then itself |
//! | what may be absent | a truth, then itself if that is 1 |
//! | a list | each after a 1, then a 0 |

/// Appends a count.
#[inline]
pub(super) fn count(out: &mut Vec<u8>, mut value: u64) {
    while value >= MORE {
        out.push(lowest(value | MORE));
        value >>= 7;
    }
    out.push(lowest(value));
}

/// Appends a truth.
pub(super) fn truth(out: &mut Vec<u8>, value: bool) {
    out.push(u8::from(value));
}

/// Appends a text.
#[inline]
pub(super) fn text(out: &mut Vec<u8>, text: &str) {
    count(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Appends what may be absent.
#[inline]
pub(super) fn optional<T>(out: &mut Vec<u8>, value: Option<T>, write: impl FnOnce(&mut Vec<u8>, T)) {
    truth(out, value.is_some());
    if let Some(value) = value {
        write(out, value);
    }
}

/// Appends a list.
#[inline]
pub(super) fn list<T>(out: &mut Vec<u8>, items: impl IntoIterator<Item = T>, write: impl Fn(&mut Vec<u8>, T)) {
    for item in items {
        truth(out, true);
        write(out, item);
    }
    truth(out, false);
}

/// Reads what was written, in the order of writing. `None` where there is no such thing.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn count(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = u64::from(self.byte()?);
            value |= (byte & !MORE) << shift;
            if byte < MORE {
                return Some(value);
            }
        }
        None
    }

    pub(super) fn truth(&mut self) -> Option<bool> {
        Some(self.byte()? != 0)
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        let length = self.count()?;
        std::str::from_utf8(self.bytes(length)?).ok()
    }

    pub(super) fn optional<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        if self.truth()? { read(self).map(Some) } else { Some(None) }
    }

    pub(super) fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let mut items = Vec::new();
        while self.truth()? {
            items.push(read(self)?);
        }
        Some(items)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    pub(super) fn bytes(&mut self, length: u64) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(bytes)
    }
}

/// The bit that says that more bytes of a count follow.
const MORE: u64 = 0x80;

fn lowest(value: u64) -> u8 {
    value.to_le_bytes()[0]
}
