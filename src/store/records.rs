//! Where records are kept for good.

use std::{future::Future, pin::Pin, sync::Arc, time::SystemTime};

use serde::Serialize;
use tower::BoxError;

use super::RecordRows;

/// A call's record as a store takes it: packed, and the columns to find and sum it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordRow<'a> {
    /// The call's id, unique; ids are ordered by time.
    pub id: &'a str,
    /// The workspace it belongs to.
    pub workspace: &'a str,
    /// The key it was made with.
    pub key: Option<&'a str>,
    /// The model's id.
    pub model: Option<&'a str>,
    /// The provider's name.
    pub provider: Option<&'a str>,
    /// When it was made, in Unix milliseconds.
    pub created_ms: u64,
    /// Its cost in nano-USD.
    pub cost_nanos: u64,
    /// How many calls it stands for.
    pub calls: u64,
    /// All input tokens.
    pub input_tokens: u64,
    /// All output tokens.
    pub output_tokens: u64,
    /// Whether it succeeded.
    pub success: bool,
    /// All of the record, for a fifth of the room that its [`json`](Self::json) takes. A store that keeps it gets the row
    /// again by [`read`](Self::read).
    pub packed: &'a [u8],
}

/// A place in a journal: everything before it was shipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The segment's number.
    pub segment: u64,
    /// The byte in it.
    pub offset: u64,
}

/// Records to be stored together with the place that they reach to.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The journal's id.
    pub journal: Arc<str>,
    /// The records, in the order they were settled.
    pub records: RecordRows,
    /// Where the journal goes on.
    pub upto: Position,
}

/// What a [`RecordStore`]'s methods return.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send + 'a>>;

/// A database that keeps records.
///
/// A journal is shipped here in batches. Each batch is stored in one transaction with the position it reaches to, and a
/// record whose id is there already is left as it is: so each call is stored, and summed, exactly once.
pub trait RecordStore: Send + Sync + 'static {
    /// How far the journal with this id was shipped.
    fn position<'a>(&'a self, journal: &'a str) -> StoreFuture<'a, Option<Position>>;

    /// Stores a batch, all of it or nothing.
    fn insert(&self, batch: Batch) -> StoreFuture<'_, ()>;

    /// The JSON of a call's record, if it belongs to `workspace`.
    fn find<'a>(&'a self, id: &'a str, workspace: &'a str) -> StoreFuture<'a, Option<String>>;

    /// Sums of `workspace`, or of all, grouped and ordered by `by`.
    fn sums<'a>(&'a self, by: SumBy, workspace: Option<&'a str>) -> StoreFuture<'a, Vec<Sum>>;
}

/// What sums are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SumBy {
    /// The day the call was made, in UTC: `2026-11-22`.
    Day,
    /// The key's id.
    Key,
    /// The model's id.
    Model,
    /// The provider's name.
    Provider,
}

/// What a group of calls came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sum {
    /// The group's name; empty for calls that have none, such as refusals before a provider was chosen.
    pub group: String,
    /// Calls.
    pub calls: u64,
    /// Those that did not succeed.
    pub failed: u64,
    /// All input tokens.
    pub input_tokens: u64,
    /// All output tokens.
    pub output_tokens: u64,
    /// What they cost in nano-USD.
    pub cost_nanos: u64,
}

impl SumBy {
    /// All, by name.
    pub const ALL: [Self; 4] = [Self::Day, Self::Key, Self::Model, Self::Provider];

    /// Its name: `day`, `key`, `model`, `provider`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Key => "key",
            Self::Model => "model",
            Self::Provider => "provider",
        }
    }
}

/// Unix milliseconds. Times that no calendar has (a broken clock) are the epoch, as in a record's JSON: a day that has no
/// name would break every sum by day.
pub(super) fn millis(time: SystemTime) -> u64 {
    // 9999-12-30T22:00:00Z, which is in the year 9999 wherever it is read.
    const LAST: u64 = 253_402_207_200_000;
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let millis = since.as_secs().saturating_mul(1_000).saturating_add(since.subsec_millis().into());
    if millis <= LAST { millis } else { 0 }
}
