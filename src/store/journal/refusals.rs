//! Refusals past a threshold, folded together: nobody fills the disk by being refused.

use std::{collections::HashMap, sync::Arc, time::SystemTime};

use crate::{meter::Record, stage::KeyId, store::records::millis};

/// Counts refusals by caller and minute.
#[derive(Debug)]
pub(super) struct Refusals {
    threshold: u64,
    minute: u64,
    callers: HashMap<(Arc<str>, Option<KeyId>), Count>,
}

#[derive(Debug, Default)]
struct Count {
    seen: u64,
    /// The first past the threshold; it stands for all that follow in its minute.
    folded: Option<Record>,
}

impl Refusals {
    /// Lets `threshold` refusals per caller and minute through.
    pub(super) fn new(threshold: u64) -> Self {
        Self { threshold, minute: 0, callers: HashMap::new() }
    }

    /// What is to be written now that a refusal was settled: itself, or nothing; and what earlier minutes have folded.
    /// `none` lets no further one through.
    pub(super) fn pass(&mut self, record: Record, now: SystemTime, none: bool) -> (Option<Record>, Vec<Record>) {
        let folded = self.elapsed(now);
        let caller = (record.workspace_id.clone(), record.key_id.clone());
        let count = self.callers.entry(caller).or_default();
        count.seen += 1;
        if count.seen <= self.threshold && !none {
            return (Some(record), folded);
        }
        match &mut count.folded {
            Some(first) => first.calls += 1,
            None => count.folded = Some(record),
        }
        (None, folded)
    }

    /// What was folded in the minutes before `now`.
    pub(super) fn elapsed(&mut self, now: SystemTime) -> Vec<Record> {
        let minute = millis(now) / 60_000;
        if minute == self.minute {
            return Vec::new();
        }
        self.minute = minute;
        self.all()
    }

    /// All that was folded.
    pub(super) fn all(&mut self) -> Vec<Record> {
        self.callers.drain().filter_map(|(_, count)| count.folded).collect()
    }
}
