//! Where keys and records are kept.
//!
//! Each store implements a small trait that a layer owns (the [`KeyStore`](crate::auth::KeyStore) of auth, the ledger of
//! the meter), so a host brings its own with one `impl`.
//!
//! Records take two steps, so that no call waits for a database:
//!
//! ```text
//! MeterLayer -> Journal (files, only appended to) -> Shipper -> RecordStore (SQLite, or a host's own)
//! ```

mod form;
mod journal;
mod packed;
mod records;
mod rows;
#[cfg(test)]
mod samples;
#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(feature = "sqlite")]
pub use self::sqlite::{Sqlite, SqliteError};
pub use self::{
    journal::{Journal, JournalBuilder, JournalError, Shipper, Unsettled},
    records::{Batch, Position, RecordRow, RecordStore, StoreFuture, Sum, SumBy},
    rows::RecordRows,
};
