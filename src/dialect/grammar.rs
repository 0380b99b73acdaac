//! Checkers of streams: they accept exactly what a strict client accepts.

use std::fmt;

use super::frame::Frame;

/// Checks one dialect's stream, frame by frame.
///
/// The oracle of this crate's tests and fuzzing; use it to check your own gateway. After a violation it says the same
/// one again.
pub trait Grammar: Send {
    /// Checks the next frame.
    ///
    /// # Errors
    /// The rule that it breaks.
    fn frame(&mut self, frame: &Frame<'_>) -> Result<(), Violation>;

    /// Checks that the stream may end here.
    ///
    /// # Errors
    /// What is missing.
    fn finish(&mut self) -> Result<(), Violation>;
}

/// A rule that a stream breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation(pub String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Violation {}
