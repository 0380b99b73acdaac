//! Checkers of streams: they accept exactly what a strict client accepts.
//!
//! Order, balanced blocks, dense indexes, required members, one end: what a vendor's SDK relies on without looking. In
//! debug builds everything that a translation writes goes through the caller dialect's checker.
//!
//! ```
//! use portcullis::dialect::{StreamError, frame::sse::Sse, named};
//!
//! let stream = b"data: {\"id\":\"c-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[]}\n\n";
//! let mut grammar = named("openai-chat").expect("it is built in").grammar();
//! let mut sse = Sse::default();
//! sse.feed(stream, &mut |frame| grammar.frame(frame).map_err(|violation| StreamError::order(violation.0)))?;
//! // The stream is sound so far, but it must not end here.
//! assert!(grammar.finish().is_err());
//! # Ok::<(), StreamError>(())
//! ```

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
