//! Bytes to frames, cut anywhere.

pub mod sse;

use std::borrow::Cow;

/// One frame of a streamed answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame<'f> {
    /// The event's name; empty where the frame names none.
    pub event: &'f str,
    /// The payload; `None` for a frame of comments only.
    pub data: Option<Cow<'f, str>>,
    /// The frame as it came, its line ends included.
    pub raw: &'f [u8],
}
