//! What is wrong with a configuration, and where.

use std::{error::Error, fmt, io, path::PathBuf};

/// Why a configuration cannot be used: everything that was found wrong, not only the first.
///
/// `Display` is one line per problem: `gateway.toml:12:11: providers.openai.api_key: environment variable
/// OPENAI_API_KEY is not set`. No line holds a value that came from a secret or from the environment.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file is there and says something wrong.
    Invalid(Vec<Problem>),
    /// The file cannot be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file, as it was named; empty for a configuration that is the environment's.
    pub file: String,
    /// The line, from 1; 0 if it has none.
    pub line: usize,
    /// The column in characters, from 1; 0 if it has none.
    pub column: usize,
    /// The key: `models[3].targets[0].provider`; empty if the text is not even TOML.
    pub key: String,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.is_empty() {
            write!(f, "{}:", self.file)?;
        }
        if self.line > 0 {
            write!(f, "{}:{}:", self.line, self.column)?;
        }
        let space = if self.file.is_empty() { "" } else { " " };
        match self.key.as_str() {
            "" => write!(f, "{space}{}", self.message),
            key => write!(f, "{space}{key}: {}", self.message),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(problems) => problems.iter().enumerate().try_for_each(|(index, problem)| {
                let separator = if index == 0 { "" } else { "\n" };
                write!(f, "{separator}{problem}")
            }),
            Self::Unreadable { path, .. } => write!(f, "{} cannot be read", path.display()),
        }
    }
}

impl Error for ConfigError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Invalid(_) => None,
            Self::Unreadable { source, .. } => Some(source),
        }
    }
}
