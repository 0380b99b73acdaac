//! Edits: whatever is removed, added, renamed and replaced, the result is sound and is what was asked for.

use bytes::Bytes;
use portcullis::dialect::{Edits, scan::Members};

use super::Outcome;

/// The first line is a body, what follows are edits: a byte for what to do, a byte for the member.
pub fn law(input: &[u8]) -> Outcome {
    let (body, plan) = input.iter().position(|&byte| byte == b'\n').map_or((input, &[][..]), |at| input.split_at(at));
    edits(body, plan.get(1..).unwrap_or_default())
}

/// Whoever edits a body adds a handful of members. What a thousand of them make is no longer within the scanner's
/// `MAX_MEMBERS`, which is about what callers send.
const MOST_STEPS: usize = 100;

pub fn edits(body: &[u8], plan: &[u8]) -> Outcome {
    let body = Bytes::copy_from_slice(body);
    let Ok(members) = Members::scan(&body) else { return Outcome::Refused };
    let span = |at: &std::ops::Range<usize>| String::from_utf8(body[at.clone()].to_vec()).expect("scanned");
    // What is to come out: the members that were there, `None` once they are removed, and those added around them.
    let mut inside: Vec<_> = members.iter().map(|member| Some((span(&member.name), span(&member.value)))).collect();
    let (mut head, mut tail) = (Vec::new(), Vec::new());
    let mut edits = Edits::default();
    for step in plan.chunks_exact(2).take(MOST_STEPS) {
        let Some(at) = usize::from(step[1]).checked_rem(inside.len()) else { break };
        let member = members.iter().nth(at).expect("counted");
        match step[0] % 6 {
            0 => {
                edits.cut(&members, member);
                inside[at] = None;
            }
            1 => {
                edits.value(member, "[1, 2]");
                inside[at].iter_mut().for_each(|(_, value)| *value = "[1, 2]".to_owned());
            }
            2 => {
                edits.rename(member, "a\"b");
                inside[at].iter_mut().for_each(|(name, _)| *name = r#""a\"b""#.to_owned());
            }
            3 => {
                edits.append(&members, "last", "true");
                tail.push(("\"last\"".to_owned(), "true".to_owned()));
            }
            4 => {
                edits.prepend(&members, "first", "{}");
                head.push(("\"first\"".to_owned(), "{}".to_owned()));
            }
            _ => {
                // An edit inside a value; void where the value goes.
                let inner = Members::of(&body, &member.value);
                inner.iter().for_each(|member| edits.cut(&inner, member));
                if !inner.is_empty()
                    && let Some((_, value)) = &mut inside[at]
                    && *value == span(&member.value)
                {
                    *value = "{}".to_owned();
                }
            }
        }
    }
    let untouched = edits.is_empty();
    let edited = edits.apply(&body).concat();
    assert!(edits.is_empty());
    if untouched {
        assert_eq!(edited, body);
    }
    let after = Members::scan(&edited).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&edited)));
    let span = |at: &std::ops::Range<usize>| String::from_utf8(edited[at.clone()].to_vec()).expect("scanned");
    // What is left of an emptied object is its white space.
    let bare = |text: String| text.split_ascii_whitespace().collect::<String>();
    let found: Vec<_> = after.iter().map(|member| (span(&member.name), bare(span(&member.value)))).collect();
    let wanted: Vec<_> =
        head.into_iter().chain(inside.into_iter().flatten()).chain(tail).map(|(name, value)| (name, bare(value))).collect();
    assert_eq!(found, wanted, "{}", String::from_utf8_lossy(&edited));
    Outcome::Accepted
}
