//! The top-level members of a JSON object, as spans.

use std::ops::Range;

use smallvec::SmallVec;

/// The deepest nesting taken.
pub const MAX_DEPTH: usize = 128;

/// The members of a JSON object, found in one pass that checks the whole text: structure, strings, UTF-8, depth.
#[derive(Clone, Debug, Default)]
pub struct Members {
    list: SmallVec<[Member; 12]>,
    end: usize,
}

/// One member of an object.
#[derive(Clone, Debug)]
pub struct Member {
    /// The name's bytes, its quotes included.
    pub name: Range<usize>,
    /// The value's bytes.
    pub value: Range<usize>,
}

/// A text that is no JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanError {
    /// Nested deeper than [`MAX_DEPTH`].
    Depth {
        /// The offending byte.
        offset: usize,
    },
    /// JSON, but no object.
    NoObject,
    /// Not JSON.
    Syntax {
        /// The offending byte.
        offset: usize,
    },
}
