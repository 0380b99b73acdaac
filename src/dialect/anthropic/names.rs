//! Names and ids that the API takes: `a-zA-Z0-9_-`, and for tools at most 128 of them.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

/// The longest tool name.
const LONGEST_TOOL_NAME: usize = 128;

/// Names as they are written for the provider: those that conform stay, others are rewritten, alike wherever they stand,
/// always the same way, and never into each other.
#[derive(Debug, Default)]
pub struct Names<'r> {
    /// In the order they were met.
    rewritten: Vec<(&'r str, String)>,
    /// Where each of them is.
    places: HashMap<&'r str, usize>,
}

impl<'r> Names<'r> {
    /// Tool names, whose rewriting the answer undoes.
    pub fn tools(names: impl Iterator<Item = &'r str> + Clone) -> Self {
        Self::new(names, LONGEST_TOOL_NAME)
    }

    /// Ids of tool calls.
    pub fn ids(ids: impl Iterator<Item = &'r str> + Clone) -> Self {
        Self::new(ids, usize::MAX)
    }

    fn new(names: impl Iterator<Item = &'r str> + Clone, longest: usize) -> Self {
        let mut foreign = names.clone().filter(|name| !conforms(name, longest)).peekable();
        if foreign.peek().is_none() {
            return Self::default();
        }
        let mut these = Self::default();
        let mut taken: HashSet<String> = names.map(str::to_owned).collect();
        for name in foreign {
            if these.places.contains_key(name) {
                continue;
            }
            if let Some(free) = (0u32..).map(|salt| rewrite(name, longest, salt)).find(|candidate| taken.insert(candidate.clone())) {
                these.places.insert(name, these.rewritten.len());
                these.rewritten.push((name, free));
            }
        }
        these
    }

    /// How `name` is written for the provider.
    pub fn conforming<'n>(&'n self, name: &'n str) -> &'n str {
        self.places.get(name).and_then(|&place| self.rewritten.get(place)).map_or(name, |(_, written)| written)
    }

    /// What was rewritten: the provider's name, then the caller's.
    pub fn renamed(&self) -> Vec<(String, String)> {
        self.rewritten.iter().map(|(original, written)| (written.clone(), (*original).to_owned())).collect()
    }
}

/// An id that Messages takes, made from any id; equal ids give equal ones.
pub fn conforming_id(id: &str) -> Cow<'_, str> {
    if conforms(id, usize::MAX) { Cow::Borrowed(id) } else { Cow::Owned(rewrite(id, usize::MAX, 0)) }
}

fn conforms(name: &str, longest: usize) -> bool {
    !name.is_empty() && name.len() <= longest && name.bytes().all(is_allowed)
}

fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// The name with other characters replaced, and a hash that keeps it apart from its like.
fn rewrite(name: &str, longest: usize, salt: u32) -> String {
    let hash = format!("_{:08x}", fnv1a(name.as_bytes(), salt));
    let room = longest - hash.len();
    let legal = name.chars().map(|char| if char.is_ascii() && is_allowed(char as u8) { char } else { '_' });
    legal.take(room).chain(hash.chars()).collect()
}

/// The FNV-1a hash of 32 bits: small, and the same everywhere.
fn fnv1a(bytes: &[u8], salt: u32) -> u32 {
    bytes.iter().fold(0x811c_9dc5 ^ salt, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tl_02_names_are_rewritten_without_collisions() {
        let names = ["a.b", "a_b", "a b", "a/b", "fine-name"];
        let rewritten = Names::tools(names.into_iter());
        let written: HashSet<&str> = names.iter().map(|name| rewritten.conforming(name)).collect();
        assert_eq!(written.len(), names.len());
        assert!(written.iter().all(|name| conforms(name, LONGEST_TOOL_NAME)));
        assert_eq!(rewritten.conforming("a_b"), "a_b");
        for (provider, caller) in rewritten.renamed() {
            assert_eq!(rewritten.conforming(&caller), provider);
        }
    }

    #[test]
    fn tl_02_a_rewritten_name_never_meets_a_real_one() {
        let first = Names::tools(std::iter::once("a.b"));
        let squatter = first.conforming("a.b").to_owned();
        let names = Names::tools(["a.b", squatter.as_str()].into_iter());
        assert_ne!(names.conforming("a.b"), squatter);
        assert_eq!(names.conforming(&squatter), squatter);
    }

    #[test]
    fn long_and_empty_names_fit() {
        let long = "x".repeat(300);
        let names = Names::tools([long.as_str(), ""].into_iter());
        assert!(conforms(names.conforming(&long), LONGEST_TOOL_NAME));
        assert!(conforms(names.conforming(""), LONGEST_TOOL_NAME));
    }

    #[test]
    fn ar_27_ids_are_rewritten_the_same_way_everywhere() {
        assert_eq!(conforming_id("call:1"), conforming_id("call:1"));
        assert_ne!(conforming_id("call:1"), conforming_id("call.1"));
        assert_eq!(Names::ids(std::iter::once("call:1")).conforming("call:1"), conforming_id("call:1"));
        assert_eq!(conforming_id("toolu_01-a"), "toolu_01-a");
    }
}
