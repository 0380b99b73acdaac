//! Edits of a body that leave the rest of its bytes alone.

use std::ops::Range;

use bytes::Bytes;
use smallvec::SmallVec;

/// Edits of one body: ranges and what replaces them.
#[derive(Clone, Debug, Default)]
pub struct Edits {
    list: SmallVec<[(Range<usize>, Bytes); 4]>,
}

impl Edits {
    /// Replaces `range` by `with`; an empty range inserts, an empty `with` removes. Ranges must not overlap.
    pub fn replace(&mut self, range: Range<usize>, with: impl Into<Bytes>) {
        self.list.push((range, with.into()));
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The edited body as slices of `body` and of the replacements, in order, without a copy.
    pub fn apply(mut self, body: &Bytes) -> SmallVec<[Bytes; 8]> {
        self.list.sort_by_key(|(range, _)| (range.start, range.end));
        let mut parts = SmallVec::new();
        let mut at = 0;
        for (range, with) in self.list {
            debug_assert!(at <= range.start && range.end <= body.len(), "edits overlap");
            if at < range.start {
                parts.push(body.slice(at..range.start));
            }
            if !with.is_empty() {
                parts.push(with);
            }
            at = range.end;
        }
        if at < body.len() {
            parts.push(body.slice(at..));
        }
        parts
    }
}
