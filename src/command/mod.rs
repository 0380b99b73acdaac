//! The command line of the example binary: serve, check, administer.
//!
//! ```no_run
//! fn main() -> std::process::ExitCode {
//!     portcullis::command::run()
//! }
//! ```
//!
//! | exit code | means |
//! | --- | --- |
//! | 0 | done; after a signal: every running answer came to its end |
//! | 1 | something failed: the message says what |
//! | 2 | the arguments or the configuration are wrong |
//! | 3 | the drain's deadline passed, and running answers were ended |
//! | 4 | a second signal cut the drain short |

mod arguments;
mod assemble;
mod check;
mod house;
mod keys;
mod models;
mod serve;
mod signals;
mod usage;
mod workers;

use std::{
    fmt::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use tower::BoxError;

use self::arguments::{Arguments, Command};
use crate::config::ConfigError;

/// Reads the process's arguments, does what they say on a runtime of its own, and gives the exit code.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::of(error).report(),
    };
    let done = runtime.block_on(async {
        match arguments.command.clone().unwrap_or(Command::Serve) {
            Command::Serve => serve::serve(&arguments).await,
            Command::Check => check::check(&arguments),
            Command::Keys(keys) => keys::keys(&arguments, keys).await,
            Command::Models => models::models(&arguments),
            Command::Usage { by, workspace } => usage::usage(&arguments, by, workspace.as_deref()).await,
        }
    });
    // A blocking read of a database that hangs must not keep the process.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match done {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

/// Why a command failed.
#[derive(Debug)]
struct Failure {
    error: BoxError,
    code: u8,
}

impl Failure {
    fn of(error: impl Into<BoxError>) -> Self {
        Self { error: error.into(), code: 1 }
    }

    /// Tells the error and its causes.
    fn report(&self) -> ExitCode {
        let mut text = self.error.to_string();
        let mut cause = self.error.source();
        while let Some(error) = cause {
            let _ = write!(text, ": {error}");
            cause = error.source();
        }
        eprintln!("{text}");
        ExitCode::from(self.code)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self { error: error.into(), code: 2 }
    }
}

/// An error with what was being done.
#[derive(Debug)]
struct While {
    doing: String,
    error: BoxError,
}

/// Says what was being done when `error` came.
fn failed_to<E: Into<BoxError>>(doing: impl Into<String>) -> impl FnOnce(E) -> Failure {
    move |error| Failure::of(While { doing: doing.into(), error: error.into() })
}

impl fmt::Display for While {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}", self.doing)
    }
}

impl std::error::Error for While {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.error.as_ref())
    }
}
