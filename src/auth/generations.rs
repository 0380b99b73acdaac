//! A bounded map that forgets what is not used.

use std::{borrow::Borrow, collections::HashMap, hash::Hash, mem};

/// A map of two generations. When the young one is full, it becomes the old one, and the old one is forgotten; what was
/// looked up in between has been moved. Constant time, no clock, and at most `capacity` entries.
#[derive(Debug)]
pub(super) struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    half: usize,
}

impl<K: Eq + Hash, V> Generations<K, V> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), half: capacity.div_ceil(2).max(1) }
    }

    /// What is kept for `key`, and whether it must be [`keep`](Self::keep)ed not to be forgotten.
    pub(super) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<(&V, bool)>
    where
        K: Borrow<Q>,
    {
        let young = self.young.get(key).map(|value| (value, false));
        young.or_else(|| self.old.get(key).map(|value| (value, true)))
    }

    pub(super) fn keep<Q: Eq + Hash + ?Sized>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
    {
        if let Some((key, value)) = self.old.remove_entry(key) {
            self.insert(key, value);
        }
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.half && !self.young.contains_key(&key) {
            self.old = mem::take(&mut self.young);
        }
        self.old.remove(&key);
        self.young.insert(key, value);
    }

    pub(super) fn remove<Q: Eq + Hash + ?Sized>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
    {
        self.young.remove(key);
        self.old.remove(key);
    }

    pub(super) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_bounded_and_keeps_what_is_used() {
        let mut map = Generations::new(100);
        map.insert(0, ());
        for key in 1..10_000 {
            map.insert(key, ());
            if let Some((_, true)) = map.get(&0) {
                map.keep(&0);
            }
            assert!(map.young.len() + map.old.len() <= 100);
        }
        assert!(map.get(&0).is_some());
        assert!(map.get(&9_999).is_some());
        assert!(map.get(&9_000).is_none());
    }

    #[test]
    fn the_last_value_is_the_one_kept() {
        let mut map = Generations::new(4);
        for value in 0..10 {
            map.insert("a", value);
            map.insert("b", value);
            assert_eq!(map.get("a"), Some((&value, false)));
        }
        map.remove("a");
        assert_eq!(map.get("a"), None);
        map.clear();
        assert_eq!(map.get("b"), None);
    }
}
