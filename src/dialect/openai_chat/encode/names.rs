//! Tool names that the API takes: `^[a-zA-Z0-9_-]{1,64}$`.

use std::borrow::Cow;

use crate::dialect::conversation::{BlockKind, Request, ToolChoice, ToolKind};

/// The most bytes of a name.
const LONGEST: usize = 64;

/// The names of one request that had to be rewritten.
///
/// A rewritten name keeps its readable part and gets eight hex digits of the original: so it is the same in every turn of
/// a conversation, whatever other tools come and go, and the provider's prompt cache holds.
pub(super) struct Names<'a> {
    /// Every name that is fine as it is.
    taken: Vec<&'a str>,
    /// Caller's and provider's name.
    rewritten: Vec<(&'a str, String)>,
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
        let (taken, odd): (Vec<_>, Vec<_>) = tools.chain(calls).chain(chosen).filter(|name| !name.is_empty()).partition(|name| fits(name));
        let mut names = Self { taken, rewritten: Vec::new() };
        for name in odd {
            if !names.rewritten.iter().any(|(known, _)| *known == name) {
                let plain: String = name.chars().map(|c| if is_fine(c) { c } else { '_' }).take(LONGEST - 9).collect();
                let fresh = names.unused(&format!("{plain}_{:08x}", fingerprint(name)));
                names.rewritten.push((name, fresh));
            }
        }
        names
    }

    /// The provider's name for the caller's `name`, and whether it is another.
    pub(super) fn at_provider<'n>(&'n self, name: &'n str) -> (&'n str, bool) {
        match self.rewritten.iter().find(|(known, _)| *known == name) {
            Some((_, fresh)) => (fresh, true),
            None => (name, false),
        }
    }

    /// `wanted`, or the next name like it that nobody has.
    pub(super) fn unused(&self, wanted: &str) -> String {
        let used = |name: &str| self.taken.contains(&name) || self.rewritten.iter().any(|(_, fresh)| fresh == name);
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

/// FNV-1a: any stable hash will do, since collisions are looked for.
fn fingerprint(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
