//! Where in a body a value stood.

use std::fmt;

/// A short JSON Pointer that is `Copy` and costs nothing until it is printed.
///
/// ```
/// use portcullis::dialect::Place;
///
/// let part = Place::of("messages", 3).item("content", 1).field("cache_control");
/// assert_eq!(part.to_string(), "/messages/3/content/1/cache_control");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    steps: [(&'static str, u32); 3],
    leaf: &'static str,
}

/// "No index": the step is a member, not an element.
const MEMBER: u32 = u32::MAX;

impl Place {
    /// The body itself.
    pub const ROOT: Self = Self { steps: [("", MEMBER); 3], leaf: "" };

    /// The `index`th element of the top-level list `list`.
    pub const fn of(list: &'static str, index: usize) -> Self {
        Self::ROOT.item(list, index)
    }

    /// The top-level member `name`.
    pub const fn member(name: &'static str) -> Self {
        Self { leaf: name, ..Self::ROOT }
    }

    /// The `index`th element of `list`, one level down. Past three levels it stays where it is.
    #[must_use]
    pub const fn item(mut self, list: &'static str, index: usize) -> Self {
        let mut level = 0;
        while level < self.steps.len() {
            if self.steps[level].0.is_empty() {
                let index = if index < MEMBER as usize { index as u32 } else { MEMBER - 1 };
                self.steps[level] = (list, index);
                return self;
            }
            level += 1;
        }
        self
    }

    /// A member of the value here. `name` may hold several steps, `image_url/detail`.
    #[must_use]
    pub const fn field(self, name: &'static str) -> Self {
        Self { leaf: name, ..self }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (list, index) in self.steps.iter().filter(|(list, _)| !list.is_empty()) {
            write!(f, "/{list}/{index}")?;
        }
        if self.leaf.is_empty() { Ok(()) } else { write!(f, "/{}", self.leaf) }
    }
}
