//! Where in a body a value stood.

use std::fmt;

use super::json;

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

/// The step is a member that holds the words of the element before it: `function` in a tool of Chat Completions.
const WRAPPER: u32 = u32::MAX - 1;

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
    pub const fn item(self, list: &'static str, index: usize) -> Self {
        self.step(list, if index < WRAPPER as usize { index as u32 } else { WRAPPER - 1 })
    }

    /// The value of the member `name`, which has members of its own.
    #[must_use]
    pub const fn within(self, name: &'static str) -> Self {
        self.step(name, MEMBER)
    }

    /// The same value, which says all it says in its member `name`: so its fields stand in there.
    ///
    /// ```
    /// use portcullis::dialect::Place;
    ///
    /// let tool = Place::of("tools", 1).wrapped("function");
    /// assert_eq!(tool.to_string(), "/tools/1");
    /// assert_eq!(tool.field("strict").to_string(), "/tools/1/function/strict");
    /// ```
    #[must_use]
    pub const fn wrapped(self, name: &'static str) -> Self {
        self.step(name, WRAPPER)
    }

    /// The element of a top-level list that this is, or is in.
    #[must_use]
    pub const fn outermost(self) -> Self {
        Self { steps: [self.steps[0], ("", MEMBER), ("", MEMBER)], leaf: "" }
    }

    const fn step(mut self, name: &'static str, index: u32) -> Self {
        let mut level = 0;
        while level < self.steps.len() {
            if self.steps[level].0.is_empty() {
                self.steps[level] = (name, index);
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

/// A step of a JSON Pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A list's element.
    Index(u64),
    /// An object's member.
    Name(String),
}

/// The steps of a JSON Pointer into a request's body. The pointer itself does not tell an element from a member whose name is
/// a number; a body is an object, and so are the few members whose own members the caller names.
pub(crate) fn steps(pointer: &str) -> impl Iterator<Item = Step> {
    let mut parent = None;
    pointer.split('/').skip(1).map(move |step| {
        let free = parent.replace(step).is_none_or(|parent| NAMED_BY_CALLERS.contains(&parent));
        match step.parse() {
            Ok(index) if !free && step.bytes().all(|byte| byte.is_ascii_digit()) && (step == "0" || !step.starts_with('0')) => {
                Step::Index(index)
            }
            _ => Step::Name(step.replace("~1", "/").replace("~0", "~")),
        }
    })
}

/// A pointer's steps as JSON: `["messages",0,"role"]`.
pub(crate) fn write_steps(path: &mut json::Array<'_>, pointer: &str) {
    for step in steps(pointer) {
        match step {
            Step::Index(index) => json::number(path.item(), index),
            Step::Name(name) => json::string(path.item(), &name),
        }
    }
}

const NAMED_BY_CALLERS: [&str; 4] = ["$defs", "logit_bias", "metadata", "properties"];

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, index) in self.steps.iter().filter(|(name, _)| !name.is_empty()) {
            match *index {
                MEMBER => write!(f, "/{name}")?,
                WRAPPER if self.leaf.is_empty() => {}
                WRAPPER => write!(f, "/{name}")?,
                index => write!(f, "/{name}/{index}")?,
            }
        }
        if self.leaf.is_empty() { Ok(()) } else { write!(f, "/{}", self.leaf) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_in_a_list_is_an_index() {
        for (pointer, expected) in [
            ("", "[]"),
            ("/model", r#"["model"]"#),
            ("/messages/0/role", r#"["messages",0,"role"]"#),
            ("/messages/12/content/3/image_url", r#"["messages",12,"content",3,"image_url"]"#),
            ("/metadata/5", r#"["metadata","5"]"#),
            ("/logit_bias/50256", r#"["logit_bias","50256"]"#),
            ("/tools/1/input_schema/properties/0", r#"["tools",1,"input_schema","properties","0"]"#),
            ("/0", r#"["0"]"#),
            ("/stop/01", r#"["stop","01"]"#),
            ("/stop/+1", r#"["stop","+1"]"#),
            ("/stop/99999999999999999999", r#"["stop","99999999999999999999"]"#),
            ("/metadata/a~1b~0", r#"["metadata","a/b~"]"#),
        ] {
            let mut out = bytes::BytesMut::new();
            let mut path = json::Array::begin(&mut out);
            write_steps(&mut path, pointer);
            path.end();
            assert_eq!(out, expected, "{pointer}");
        }
    }
}
