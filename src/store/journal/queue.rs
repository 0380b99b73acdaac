//! Entries on their way into a segment: what several calls have to say goes there in one `write`.

use std::collections::VecDeque;

use super::entry::{self, Kind};
use crate::stage::GenerationId;

/// Whole entries in the order they came, in one piece.
#[derive(Debug, Default)]
pub(super) struct Queue {
    bytes: Vec<u8>,
    waiting: VecDeque<Waiting>,
    /// How many entries came, ever.
    came: u64,
    /// Where the first entry begins: before it lies what is written.
    start: usize,
}

/// An entry in a [`Queue`].
#[derive(Debug)]
pub(super) struct Waiting {
    /// Its number, from 1.
    pub(super) number: u64,
    pub(super) kind: Kind,
    pub(super) id: GenerationId,
    /// Where its bytes end.
    end: usize,
}

/// Room that stays reserved when the queue was longer once.
const USUAL: usize = 256 << 10;

impl Queue {
    /// Appends an entry about call `id`, whose payload is what `payload` appends. Gives its number.
    pub(super) fn push(&mut self, kind: Kind, id: &GenerationId, payload: impl FnOnce(&mut Vec<u8>)) -> u64 {
        self.cut();
        entry::write(kind, &mut self.bytes, payload);
        self.came += 1;
        self.waiting.push_back(Waiting { number: self.came, kind, id: id.clone(), end: self.bytes.len() });
        self.came
    }

    /// Drops what no entry ends: a payload that panicked left a part of itself.
    fn cut(&mut self) {
        self.bytes.truncate(self.end());
    }

    fn end(&self) -> usize {
        self.waiting.back().map_or(self.start, |last| last.end)
    }

    /// How many bytes wait.
    pub(super) fn len(&self) -> usize {
        self.end() - self.start
    }

    /// Takes everything out. What is taken leaves its room to what comes: `emptied` is used again.
    pub(super) fn take(&mut self, emptied: Self) -> Self {
        std::mem::replace(self, Self { came: self.came, ..emptied })
    }

    /// Puts back what was taken and could not be written: before what came since.
    pub(super) fn put_back(&mut self, mut taken: Self) {
        taken.cut();
        self.cut();
        taken.bytes.drain(..taken.start);
        let written = std::mem::take(&mut taken.start);
        taken.waiting.iter_mut().for_each(|waiting| waiting.end -= written);
        let shift = taken.bytes.len();
        taken.bytes.append(&mut self.bytes);
        taken.waiting.extend(self.waiting.drain(..).map(|waiting| Waiting { end: waiting.end + shift, ..waiting }));
        *self = Self { came: self.came, ..taken };
    }

    /// Takes an announcement back. What is no announcement, or gone, stays as it is.
    pub(super) fn withdraw(&mut self, number: u64) {
        let Ok(at) = self.waiting.binary_search_by_key(&number, |waiting| waiting.number) else { return };
        let start = at.checked_sub(1).and_then(|before| self.waiting.get(before)).map_or(self.start, |before| before.end);
        let Some(entry) = self.waiting.get(at).filter(|entry| entry.kind == Kind::Intent) else { return };
        let length = entry.end - start;
        self.waiting.remove(at);
        self.bytes.drain(start..start + length);
        self.waiting.iter_mut().skip(at).for_each(|waiting| waiting.end -= length);
    }

    /// How many of the first entries `room` bytes have room for, one at least, and their bytes; `None` once there are no
    /// more.
    pub(super) fn first(&self, room: u64) -> Option<(usize, &[u8])> {
        let fit = self.waiting.partition_point(|waiting| (waiting.end - self.start) as u64 <= room).max(1);
        let last = self.waiting.get(fit - 1)?;
        Some((fit, self.bytes.get(self.start..last.end)?))
    }

    /// Takes the first entry out: it is written.
    pub(super) fn pop(&mut self) -> Option<Waiting> {
        let first = self.waiting.pop_front()?;
        self.start = first.end;
        if self.waiting.is_empty() {
            self.start = 0;
            self.bytes.clear();
            self.bytes.shrink_to(USUAL);
        }
        Some(first)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        panic::{AssertUnwindSafe, catch_unwind},
        time::SystemTime,
    };

    use proptest::prelude::*;

    use super::*;

    fn push(queue: &mut Queue, kind: Kind, payload: &[u8]) -> u64 {
        queue.push(kind, &GenerationId::generate(SystemTime::now()), |out| out.extend_from_slice(payload))
    }

    /// The payloads in `queue`, as a reader finds them in its bytes.
    fn payloads(queue: &Queue) -> Vec<Vec<u8>> {
        let (mut rest, mut found) = (&queue.bytes[queue.start..], Vec::new());
        while let Some((entry, length)) = entry::read(rest) {
            let (entry::Entry::Intent(payload) | entry::Entry::Settlement(payload)) = entry;
            found.push(payload.to_vec());
            rest = &rest[length..];
        }
        assert!(rest.is_empty() && found.len() == queue.waiting.len());
        found
    }

    #[test]
    fn what_is_put_back_comes_first() {
        let mut queue = Queue::default();
        push(&mut queue, Kind::Intent, b"a");
        let taken = queue.take(Queue::default());
        assert_eq!((queue.len(), payloads(&taken)), (0, vec![b"a".to_vec()]));
        assert_eq!(push(&mut queue, Kind::Settlement, b"b"), 2);
        queue.put_back(taken);
        assert_eq!(payloads(&queue), [b"a", b"b"]);
        assert_eq!(push(&mut queue, Kind::Settlement, b"c"), 3);
    }

    #[test]
    fn an_announcement_is_taken_back_and_a_settlement_is_not() {
        let mut queue = Queue::default();
        let numbers = [Kind::Intent, Kind::Settlement, Kind::Intent].map(|kind| push(&mut queue, kind, &[kind as u8; 5]));
        numbers.into_iter().chain([7]).for_each(|number| queue.withdraw(number));
        assert_eq!(payloads(&queue), [[Kind::Settlement as u8; 5]]);
    }

    #[test]
    fn half_a_payload_is_nothing() {
        let mut queue = Queue::default();
        push(&mut queue, Kind::Intent, b"a");
        let half = |queue: &mut Queue| {
            let id = GenerationId::generate(SystemTime::now());
            let pushed = catch_unwind(AssertUnwindSafe(|| {
                queue.push(Kind::Intent, &id, |out| {
                    out.extend_from_slice(b"half");
                    panic!("the other half");
                })
            }));
            assert!(pushed.is_err());
        };
        half(&mut queue);
        push(&mut queue, Kind::Settlement, b"b");
        assert_eq!(payloads(&queue), [b"a", b"b"]);
        // Nor where it is taken, and put back before others.
        half(&mut queue);
        let taken = queue.take(Queue::default());
        push(&mut queue, Kind::Settlement, b"c");
        half(&mut queue);
        queue.put_back(taken);
        assert_eq!(payloads(&queue), [b"a", b"b", b"c"]);
    }

    proptest! {
        /// Whatever the room, the pieces are whole entries, and together all of them.
        #[test]
        fn pieces_are_whole_entries(lengths in proptest::collection::vec(0..40usize, 0..12), room in 0..120u64, put_back: bool) {
            let mut queue = Queue::default();
            for length in &lengths {
                push(&mut queue, Kind::Settlement, &vec![7; *length]);
            }
            let all = queue.bytes.clone();
            let (mut written, mut number) = (Vec::new(), 0);
            while let Some((first, bytes)) = queue.first(room) {
                prop_assert!(first == 1 || bytes.len() as u64 <= room);
                written.extend_from_slice(bytes);
                for _ in 0..first {
                    number += 1;
                    prop_assert_eq!(queue.pop().map(|entry| entry.number), Some(number));
                }
                payloads(&queue);
                if put_back {
                    let taken = queue.take(Queue::default());
                    queue.put_back(taken);
                }
            }
            prop_assert_eq!(written, all);
        }
    }
}
