use std::{error::Error, fmt, io, path::PathBuf};

/// Why a journal could not be opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum JournalError {
    /// Another process has this folder open.
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// The disk failed.
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
}

impl JournalError {
    pub(super) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { folder } => write!(f, "{} is in use: another gateway keeps its journal there", folder.display()),
            Self::Io { path, .. } => write!(f, "{} cannot be used", path.display()),
        }
    }
}

impl Error for JournalError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::InUse { .. } => None,
            Self::Io { source, .. } => Some(source),
        }
    }
}
