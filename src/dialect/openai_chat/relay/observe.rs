//! What a chunk or a whole answer tells the gateway, read in one walk over its bytes.

use std::{borrow::Cow, ops::Range};

use smallvec::SmallVec;

use crate::dialect::{
    Seen,
    openai_chat::usage::Counts,
    scan::{Members, ScanError, Walk, by_name},
};

/// What was told.
#[derive(Debug, Default)]
pub(super) struct Told<'b> {
    /// How many choices there are.
    pub(super) choices: usize,
    /// `id` and `model`, as JSON.
    id: Option<&'b [u8]>,
    model: Option<&'b [u8]>,
    /// Whether this is an error in an answer's place.
    error: bool,
    counts: Option<Counts>,
    /// The choices that began, each with its end, if that is here too.
    begun: SmallVec<[Choice<'b>; 1]>,
    made: Made,
}

/// A choice that began, and why it ended if it did: the reason as JSON.
#[derive(Debug)]
struct Choice<'b> {
    index: u32,
    finish: Option<&'b [u8]>,
}

/// What the model made.
#[derive(Debug, Default)]
struct Made {
    content: bool,
    bytes: usize,
    /// Where the last message's words stand, without their quotes, if there is nothing else in it.
    words: Option<Range<usize>>,
}

/// The members that edits are made to.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Those of the top level.
    pub(super) members: Members,
    /// Those of `usage`, if it is an object.
    pub(super) usage: Members,
    pub(super) counted: bool,
}

/// Reads an answer or a chunk into what is empty, and large to hand on. Of a repeated member the last counts.
pub(super) fn read<'b>(body: &'b [u8], places: &mut Places, told: &mut Told<'b>) -> Result<(), ScanError> {
    let Places { members, usage, counted } = places;
    let (mut said_choices, mut said_message) = (false, false);
    members.visit_into(body, |walk, name| {
        by_name!(name, {
            "id" => told.id = Some(walk.skip()),
            "model" => told.model = Some(walk.skip()),
            "object" => told.error |= walk.skip() == b"\"error\"",
            "error" => told.error |= walk.skip() != b"null",
            "message" | "detail" | "msg" | "errors" => said_message |= walk.skip() != b"null",
            "choices" => {
                said_choices = walk.peek() != Some(b'n');
                (told.choices, told.made) = (0, Made::default());
                told.begun.clear();
                walk.elements(|walk| told.choice(walk));
            },
            // Groq's streams count here.
            "x_groq" => walk.object(|walk, name| {
                if *name.text() == *b"usage" {
                    told.usage(walk, &mut Members::default());
                }
            }),
            "usage" => {
                // An object takes the place of what a choice or another one said; `null` only that of another one.
                if walk.peek() == Some(b'{') || std::mem::take(counted) {
                    told.counts = None;
                }
                *counted = told.usage(walk, usage);
            },
            _ => {},
        });
    })?;
    told.error |= said_message && !said_choices;
    Ok(())
}

impl<'b> Told<'b> {
    /// Whether this is an error in an answer's place. A choice may bear it too, as OpenRouter's do.
    pub(super) fn is_error(&self) -> bool {
        self.error
    }

    /// Notes it.
    pub(super) fn tell(&self, seen: &mut Seen) {
        let text = |json: Option<&'b [u8]>| json.and_then(string).filter(|text| !text.is_empty());
        seen.named(text(self.id).as_deref(), text(self.model).as_deref());
        // A choice began, whatever of it is here.
        self.begun.iter().for_each(|choice| seen.began(choice.index));
        if self.made.content {
            seen.came(self.made.bytes);
        }
        for choice in &self.begun {
            if let Some(reason) = text(choice.finish) {
                seen.closed(choice.index, &reason);
            }
        }
        self.tell_usage(seen);
    }

    /// Notes what was used, which an error in the answer's place may say too.
    pub(super) fn tell_usage(&self, seen: &mut Seen) {
        if let Some(usage) = self.counts.as_ref().and_then(Counts::usage) {
            seen.usage = usage.believed();
        }
    }

    /// Whether a choice ends here.
    pub(super) fn closes(&self) -> bool {
        self.begun.iter().any(|choice| choice.finish.is_some_and(|reason| reason.starts_with(b"\"")))
    }

    /// Where the words stand, without their quotes, in a chunk that has one choice, and in it words and nothing else.
    pub(super) fn words(&self) -> Option<Range<usize>> {
        let alone = matches!(self.begun[..], [Choice { finish: None | Some(b"null"), .. }]);
        self.made.words.clone().filter(|_| alone)
    }

    fn choice(&mut self, walk: &mut Walk<'b>) {
        let (mut index, mut finish) = (None, None);
        walk.object(|walk, name| {
            by_name!(name, {
                "index" => index = std::str::from_utf8(walk.skip()).ok().and_then(|index| index.parse().ok()),
                "delta" | "message" => self.made.message(walk),
                "finish_reason" => finish = Some(walk.skip()),
                "error" => self.error |= matches!(walk.peek(), Some(b'{' | b'"')),
                // Moonshot's streams count here.
                "usage" => _ = self.usage(walk, &mut Members::default()),
                _ => {},
            });
        });
        let index = index.unwrap_or_else(|| u32::try_from(self.choices).unwrap_or(u32::MAX));
        self.begun.push(Choice { index, finish });
        self.choices += 1;
    }

    /// Reads a `usage` member and lists what is in it, unless there was one; says whether it is an object.
    fn usage(&mut self, walk: &mut Walk<'b>, members: &mut Members) -> bool {
        if self.counts.is_some() {
            return false;
        }
        let counts = self.counts.insert(Counts::default());
        let object = walk.members_into(members, |walk, name| counts.take(walk, name));
        if !object {
            self.counts = None;
        }
        object
    }
}

impl Made {
    /// Counts what the model made: every member of a message that is not about it.
    fn message(&mut self, walk: &mut Walk<'_>) {
        let mut members = 0;
        // `reasoning` beside `reasoning_content` is the same words again.
        let (mut reasoning, mut reasoning_content) = (None, None);
        walk.object(|walk, name| {
            members += 1;
            self.words = None;
            by_name!(name, {
                "role" => {},
                "content" => {
                    let start = walk.at() + 1;
                    let json = walk.skip();
                    self.said(json);
                    if !json.starts_with(b"\"") {
                        self.bytes += if is_empty(json) { 0 } else { json.len() };
                    } else if members == 1 && json.len() > 2 {
                        self.words = Some(start..start + json.len() - 2);
                    }
                },
                "reasoning" => reasoning = Some(walk.skip()),
                "reasoning_content" => reasoning_content = Some(walk.skip()),
                "tool_calls" => walk.elements(|walk| {
                    walk.object(|walk, name| by_name!(name, { "function" | "custom" => self.function(walk), _ => {} }));
                }),
                "function_call" => self.function(walk),
                _ => self.said(walk.skip()),
            });
        });
        let twice = reasoning_content.is_some_and(|json| !matches!(json, b"null" | b"\"\""));
        [reasoning_content, reasoning.filter(|_| !twice)].into_iter().flatten().for_each(|json| self.said(json));
    }

    /// A call's name and arguments. The call's start alone is something to see.
    fn function(&mut self, walk: &mut Walk<'_>) {
        walk.object(|walk, _| {
            let json = walk.skip();
            if json.starts_with(b"\"") {
                self.content = true;
                self.bytes += json.len() - 2;
            }
        });
    }

    /// Takes a member's value. What is no string (annotations, details, sound) is content, though not the model's words.
    fn said(&mut self, json: &[u8]) {
        if !is_empty(json) {
            self.content = true;
            self.bytes += if json.starts_with(b"\"") { json.len() - 2 } else { 0 };
        }
    }
}

fn is_empty(json: &[u8]) -> bool {
    matches!(json, b"null" | b"\"\"" | b"[]" | b"{}")
}

/// A JSON string's text.
fn string(json: &[u8]) -> Option<Cow<'_, str>> {
    let inside = json.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if memchr::memchr(b'\\', inside).is_some() {
        serde_json::from_slice(json).ok().map(Cow::Owned)
    } else {
        std::str::from_utf8(inside).ok().map(Cow::Borrowed)
    }
}
