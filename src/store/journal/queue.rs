//! Entries on their way into a segment: what several calls have to say goes there in one `write`.

use super::entry::{self, Kind};
use crate::stage::GenerationId;

/// Whole entries in the order they came, in one piece.
#[derive(Debug, Default)]
pub(super) struct Queue {
    bytes: Vec<u8>,
    waiting: Vec<Waiting>,
    /// How many entries came, ever.
    came: u64,
}

/// An entry in a [`Queue`].
#[derive(Debug)]
pub(super) struct Waiting {
    /// Its number, from 1.
    number: u64,
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
        // A payload that panicked left a part of itself.
        self.bytes.truncate(self.waiting.last().map_or(0, |last| last.end));
        entry::write(kind, &mut self.bytes, payload);
        self.came += 1;
        self.waiting.push(Waiting { number: self.came, kind, id: id.clone(), end: self.bytes.len() });
        self.came
    }

    /// How many entries came, ever: the number of the newest.
    pub(super) fn came(&self) -> u64 {
        self.came
    }

    /// How many bytes wait.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Takes everything out. What is taken leaves its room to what comes: `emptied` is used again.
    pub(super) fn take(&mut self, emptied: Self) -> Self {
        std::mem::replace(self, Self { came: self.came, ..emptied })
    }

    /// Puts back what was taken and could not be written: before what came since.
    pub(super) fn put_back(&mut self, mut taken: Self) {
        let shift = taken.bytes.len();
        taken.bytes.append(&mut self.bytes);
        taken.waiting.extend(self.waiting.drain(..).map(|waiting| Waiting { end: waiting.end + shift, ..waiting }));
        *self = Self { came: self.came, ..taken };
    }

    /// Takes an announcement back. What is no announcement, or gone, stays as it is.
    pub(super) fn withdraw(&mut self, number: u64) {
        let Some(at) = self.waiting.iter().position(|waiting| waiting.number == number && waiting.kind == Kind::Intent) else { return };
        let start = at.checked_sub(1).map_or(0, |before| self.waiting[before].end);
        let length = self.waiting.remove(at).end - start;
        self.bytes.drain(start..start + length);
        self.waiting.iter_mut().skip(at).for_each(|waiting| waiting.end -= length);
    }

    /// The first entries that `room` bytes have room for, one at least, and their bytes; `None` once there are no more.
    pub(super) fn first(&self, room: u64) -> Option<(&[Waiting], &[u8])> {
        let fit = self.waiting.partition_point(|waiting| waiting.end as u64 <= room).max(1);
        let first = self.waiting.get(..fit)?;
        Some((first, self.bytes.get(..first.last()?.end)?))
    }

    /// Drops the first `entries`: they are written.
    pub(super) fn drop_first(&mut self, entries: usize) {
        if entries == self.waiting.len() {
            self.waiting.clear();
            self.bytes.clear();
            self.bytes.shrink_to(USUAL);
        } else if let Some(end) = entries.checked_sub(1).and_then(|last| self.waiting.get(last)).map(|last| last.end) {
            self.waiting.drain(..entries);
            self.waiting.iter_mut().for_each(|waiting| waiting.end -= end);
            self.bytes.drain(..end);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use proptest::prelude::*;

    use super::*;

    fn push(queue: &mut Queue, kind: Kind, payload: &[u8]) -> u64 {
        queue.push(kind, &GenerationId::generate(SystemTime::now()), |out| out.extend_from_slice(payload))
    }

    /// The payloads in `queue`, as a reader finds them in its bytes.
    fn payloads(queue: &Queue) -> Vec<Vec<u8>> {
        let (mut rest, mut found) = (&queue.bytes[..], Vec::new());
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
        assert_eq!((payloads(&queue), queue.came()), (vec![b"a".to_vec(), b"b".to_vec()], 2));
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
        let id = GenerationId::generate(SystemTime::now());
        let pushed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            queue.push(Kind::Intent, &id, |out| {
                out.extend_from_slice(b"half");
                panic!("the other half");
            })
        }));
        assert!(pushed.is_err());
        push(&mut queue, Kind::Settlement, b"b");
        assert_eq!(payloads(&queue), [b"a", b"b"]);
    }

    proptest! {
        /// Whatever the room, the pieces are whole entries, and together all of them.
        #[test]
        fn pieces_are_whole_entries(lengths in proptest::collection::vec(0..40usize, 0..12), room in 0..120u64) {
            let mut queue = Queue::default();
            for length in &lengths {
                push(&mut queue, Kind::Settlement, &vec![7; *length]);
            }
            let all = queue.bytes.clone();
            let mut written = Vec::new();
            while let Some((first, bytes)) = queue.first(room) {
                prop_assert!(first.len() == 1 || bytes.len() as u64 <= room);
                written.extend_from_slice(bytes);
                let entries = first.len();
                queue.drop_first(entries);
                payloads(&queue);
            }
            prop_assert_eq!(written, all);
        }
    }
}
