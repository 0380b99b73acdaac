//! What a SQLite file can do to us.

use std::{error::Error, fmt};

use rusqlite::ErrorCode;
use tower::BoxError;

/// Why a SQLite file could not be opened, read or written.
#[derive(Debug)]
#[non_exhaustive]
pub enum SqliteError {
    /// The disk or the database failed.
    Failed(BoxError),
    /// The file was written by a newer version of the gateway.
    NewerSchema {
        /// The schema's number in the file.
        found: i64,
        /// The last number that this build knows.
        known: i64,
    },
    /// The file is the database of another program, or none.
    NotOurs,
}

impl SqliteError {
    pub(super) fn failed(cause: impl Into<BoxError>) -> Self {
        Self::Failed(cause.into())
    }
}

impl fmt::Display for SqliteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(_) => f.write_str("the database failed"),
            Self::NewerSchema { found, known } => {
                write!(f, "the database has schema {found}, and this version knows up to {known}: use a newer gateway")
            }
            Self::NotOurs => f.write_str("the file is not a database of this gateway"),
        }
    }
}

impl Error for SqliteError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed(cause) => Some(&**cause),
            Self::NewerSchema { .. } | Self::NotOurs => None,
        }
    }
}

impl From<rusqlite::Error> for SqliteError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::NotOurs,
            _ => Self::Failed(error.into()),
        }
    }
}
