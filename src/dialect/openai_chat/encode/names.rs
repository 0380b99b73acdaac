//! Tool names that the API takes: `^[a-zA-Z0-9_-]{1,64}$`.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use crate::dialect::conversation::{BlockKind, Request, ToolChoice, ToolKind};

/// The most bytes of a name.
const LONGEST: usize = 64;

/// The names of one request that had to be rewritten.
///
/// A rewritten name keeps its readable part and gets eight hex digits of the original: so it is the same in every turn of
/// a conversation, whatever other tools come and go, and the provider's prompt cache holds.
pub(super) struct Names<'a> {
    /// Every name that the provider sees.
    taken: HashSet<Cow<'a, str>>,
    /// Caller's and provider's name, in the order they were met.
    rewritten: Vec<(&'a str, String)>,
    /// Where each of them is.
    places: HashMap<&'a str, usize>,
}

impl<'a> Names<'a> {
    /// Looks at every name in `request`.
    pub(super) fn of(request: &'a Request<'_>) -> Self {
        let tools = request.tools.iter().filter_map(|tool| match &tool.kind {
            ToolKind::Function { name, .. } => Some(&**name),
            ToolKind::Unknown { .. } => None,
        });
        let calls = request.turns.iter().flat_map(|turn| &turn.blocks).filter_map(|block| match &block.kind {
            BlockKind::ToolCall { name, .. } => Some(&**name),
            _ => None,
        });
        let chosen = match &request.tool_choice {
            Some(ToolChoice::Function(name)) => Some(&**name),
            _ => None,
        };
        let mut names = Self { taken: HashSet::new(), rewritten: Vec::new(), places: HashMap::new() };
        let mut odd = Vec::new();
        for name in tools.chain(calls).chain(chosen).filter(|name| !name.is_empty()) {
            if fits(name) {
                names.taken.insert(Cow::Borrowed(name));
            } else {
                odd.push(name);
            }
        }
        for name in odd {
            if !names.places.contains_key(name) {
                names.rewrite(name);
            }
        }
        names
    }

    /// Gives `name` one that fits and that nobody has. Whoever makes up names whose hashes meet meets another hash.
    fn rewrite(&mut self, name: &'a str) {
        let plain: String = name.chars().map(|c| if is_fine(c) { c } else { '_' }).take(LONGEST - 9).collect();
        let fresh = (0..=u32::MAX)
            .map(|salt| format!("{plain}_{:08x}", fingerprint(name, salt)))
            .find(|fresh| !self.taken.contains(fresh.as_str()));
        if let Some(fresh) = fresh {
            self.taken.insert(Cow::Owned(fresh.clone()));
            self.places.insert(name, self.rewritten.len());
            self.rewritten.push((name, fresh));
        }
    }

    /// The provider's name for the caller's `name`, and whether it is another.
    pub(super) fn at_provider<'n>(&'n self, name: &'n str) -> (&'n str, bool) {
        match self.places.get(name).and_then(|place| self.rewritten.get(*place)) {
            Some((_, fresh)) => (fresh, true),
            None => (name, false),
        }
    }

    /// `wanted`, or the next name like it that nobody has.
    pub(super) fn unused(&self, wanted: &str) -> String {
        let used = |name: &str| self.taken.contains(name);
        let mut name = Cow::Borrowed(wanted);
        let mut number = 2_u32;
        while used(&name) {
            let suffix = format!("_{number}");
            let keep = wanted.len().min(LONGEST - suffix.len());
            name = Cow::Owned(format!("{}{suffix}", wanted.get(..keep).unwrap_or_default()));
            number = number.saturating_add(1);
        }
        name.into_owned()
    }

    /// The provider's and the caller's name of each tool that was rewritten.
    pub(super) fn renamed(self) -> Vec<(String, String)> {
        self.rewritten.into_iter().map(|(name, fresh)| (fresh, name.to_owned())).collect()
    }
}

fn fits(name: &str) -> bool {
    name.len() <= LONGEST && name.chars().all(is_fine)
}

fn is_fine(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

/// FNV-1a over the salt, if there is any, and the name: any stable hash will do, since collisions are looked for.
fn fingerprint(name: &str, salt: u32) -> u32 {
    let salt = salt.to_le_bytes().into_iter().filter(|_| salt > 0);
    salt.chain(name.bytes()).fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
