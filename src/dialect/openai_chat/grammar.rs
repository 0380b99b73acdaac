//! Checks a stream of chunks.
//!
//! ```text
//! stream:  (chunk | comment)*  (usage | meta)?  [DONE]
//!        | (chunk | comment)*  error
//! choice:  {role}  {piece}*  {finish_reason}
//! ```
//!
//! All chunks have one `id`, `created` and `model`. A choice's first piece has its role, no other has. Calls are numbered
//! from 0 without gaps; the first piece of each has id, type and name, no other has. Nothing of a choice follows its
//! `finish_reason`; nothing but usage follows the last one's.

use smallvec::SmallVec;

use crate::dialect::{
    frame::Frame,
    grammar::{Grammar, Violation},
    wire::{self, Number, Raw, Str, wire},
};

wire! {
    /// A chunk, every member as strict as the API's reference.
    pub struct Chunk<'a> {
        /// One and the same in all chunks.
        pub id: Str<'a> = "id",
        /// `chat.completion.chunk`.
        pub object: Str<'a> = "object",
        /// One and the same in all chunks.
        pub created: Number<'a> = "created",
        /// One and the same in all chunks.
        pub model: Str<'a> = "model",
        /// The choices that grow.
        pub choices: Vec<Choice<'a>> = "choices",
        /// What was used.
        pub usage: Usage<'a> = "usage",
        /// How the call went, if the caller asked.
        pub meta: Raw<'a> = "meta",
        /// The end of a stream that failed.
        pub error: Raw<'a> = "error",
    }

    /// What was used.
    pub struct Usage<'a> {
        /// Input.
        pub prompt_tokens: Number<'a> = "prompt_tokens",
        /// Output.
        pub completion_tokens: Number<'a> = "completion_tokens",
        /// Their sum.
        pub total_tokens: Number<'a> = "total_tokens",
    }

    /// A choice that grows.
    pub struct Choice<'a> {
        /// Its number.
        pub index: Number<'a> = "index",
        /// By what.
        pub delta: Delta<'a> = "delta",
        /// Why it ended.
        pub finish_reason: Str<'a> = "finish_reason",
    }

    /// What a choice grows by.
    pub struct Delta<'a> {
        /// `assistant`.
        pub role: Str<'a> = "role",
        /// Text.
        pub content: Str<'a> = "content",
        /// A refusal.
        pub refusal: Str<'a> = "refusal",
        /// Reasoning.
        pub reasoning_content: Str<'a> = "reasoning_content",
        /// Calls.
        pub tool_calls: Vec<ToolCall<'a>> = "tool_calls",
    }

    /// A call that grows.
    pub struct ToolCall<'a> {
        /// Its position.
        pub index: Number<'a> = "index",
        /// Its id.
        pub id: Raw<'a> = "id",
        /// `function`.
        pub kind: Raw<'a> = "type",
        /// The function.
        pub function: Function<'a> = "function",
    }

    /// A function that is called.
    pub struct Function<'a> {
        /// Its name.
        pub name: Raw<'a> = "name",
        /// More of its arguments.
        pub arguments: Str<'a> = "arguments",
    }
}

/// A checker of one stream.
#[derive(Debug, Default)]
pub(super) struct ChatGrammar {
    head: Option<(String, Option<u64>, String)>,
    choices: SmallVec<[State; 1]>,
    usage: bool,
    end: Option<End>,
    broken: Option<Violation>,
}

#[derive(Debug)]
enum End {
    Done,
    Error,
}

#[derive(Debug)]
struct State {
    index: u64,
    calls: u64,
    finished: bool,
}

impl ChatGrammar {
    fn check(&mut self, data: &str) -> Result<(), String> {
        match self.end {
            Some(End::Done) => return Err("something follows [DONE]".into()),
            Some(End::Error) => return Err("something follows the error".into()),
            None => {}
        }
        if data == "[DONE]" {
            self.end = Some(End::Done);
            return self.all_finished("[DONE]");
        }
        let chunk: Chunk<'_> = wire::read(data).map_err(|detail| format!("chunk{}: {}", detail.path, detail.message))?;
        if chunk.error.is_some() {
            self.end = Some(End::Error);
            return Ok(());
        }
        self.head(&chunk)?;
        if self.usage {
            return Err("a chunk follows the usage".into());
        }
        let choices = chunk.choices.ok_or("choices are missing")?;
        match (chunk.usage, choices.is_empty()) {
            (Some(_), false) => return Err("usage stands beside choices".into()),
            (Some(usage), true) => {
                for count in [usage.prompt_tokens, usage.completion_tokens, usage.total_tokens] {
                    count.and_then(Number::count).ok_or("usage lacks a count")?;
                }
                self.usage = true;
                return self.all_finished("usage");
            }
            (None, true) if !self.choices.is_empty() && chunk.meta.is_none() => {
                return Err("a chunk has neither choices, usage nor meta".into());
            }
            (None, _) => {}
        }
        choices.into_iter().try_for_each(|choice| self.choice(choice))
    }

    fn head(&mut self, chunk: &Chunk<'_>) -> Result<(), String> {
        if chunk.object.as_deref() != Some("chat.completion.chunk") {
            return Err("object is not chat.completion.chunk".into());
        }
        let id = chunk.id.as_deref().filter(|id| !id.is_empty()).ok_or("id is missing")?;
        let created = chunk.created.ok_or("created is missing")?.count();
        let model = chunk.model.as_deref().ok_or("model is missing")?;
        match &self.head {
            None => self.head = Some((id.to_owned(), created, model.to_owned())),
            Some((known, ..)) if known != id => return Err("id changes".into()),
            Some((_, known, _)) if *known != created => return Err("created changes".into()),
            Some((.., known)) if known != model => return Err("model changes".into()),
            Some(_) => {}
        }
        Ok(())
    }

    fn choice(&mut self, choice: Choice<'_>) -> Result<(), String> {
        let index = choice.index.and_then(Number::count).ok_or("a choice has no index")?;
        let delta = choice.delta.ok_or("a choice has no delta")?;
        let known = self.choices.iter().position(|state| state.index == index);
        match (&delta.role, known) {
            (Some(role), None) if &**role == "assistant" => {}
            (Some(_), None) => return Err("the role is not assistant".into()),
            (Some(_), Some(_)) => return Err("the role is told twice".into()),
            (None, None) => return Err("a choice begins without its role".into()),
            (None, Some(_)) => {}
        }
        let at = known.unwrap_or_else(|| {
            self.choices.push(State { index, calls: 0, finished: false });
            self.choices.len() - 1
        });
        let Some(state) = self.choices.get_mut(at) else { return Ok(()) };
        if state.finished {
            return Err("a finished choice goes on".into());
        }
        delta.tool_calls.unwrap_or_default().into_iter().try_for_each(|call| state.call(&call))?;
        match choice.finish_reason.as_deref() {
            None => Ok(()),
            Some("tool_calls") if state.calls == 0 => Err("finish_reason is tool_calls, and there are none".into()),
            Some("stop" | "length" | "tool_calls" | "content_filter" | "function_call") => {
                state.finished = true;
                Ok(())
            }
            Some(_) => Err("finish_reason is not one of the API's".into()),
        }
    }

    fn all_finished(&self, what: &str) -> Result<(), String> {
        if self.choices.is_empty() {
            return Err(format!("{what} comes before any choice"));
        }
        if self.choices.iter().all(|state| state.finished) { Ok(()) } else { Err(format!("{what} comes before a choice's finish_reason")) }
    }
}

impl State {
    fn call(&mut self, call: &ToolCall<'_>) -> Result<(), String> {
        let index = call.index.and_then(Number::count).ok_or("a tool call has no index")?;
        let function = call.function.as_ref().ok_or("a tool call has no function")?;
        let full = |text: Option<Raw<'_>>| text.is_some_and(|text| text.get().starts_with('"') && text.get() != "\"\"");
        if index == self.calls {
            self.calls += 1;
            if !full(call.id) || !full(function.name) || call.kind.map(|kind| kind.get()) != Some("\"function\"") {
                return Err("a tool call begins without id, type or name".into());
            }
        } else if index > self.calls {
            return Err("tool calls are not numbered densely".into());
        } else if call.id.is_some() || call.kind.is_some() || function.name.is_some() {
            return Err("a tool call is named twice".into());
        }
        Ok(())
    }
}

impl Grammar for ChatGrammar {
    fn frame(&mut self, frame: &Frame<'_>) -> Result<(), Violation> {
        if let Some(violation) = &self.broken {
            return Err(violation.clone());
        }
        let Some(data) = &frame.data else { return Ok(()) };
        self.check(data).map_err(|rule| self.broken.insert(Violation(rule)).clone())
    }

    fn finish(&mut self) -> Result<(), Violation> {
        match (&self.broken, &self.end) {
            (Some(violation), _) => Err(violation.clone()),
            (None, Some(_)) => Ok(()),
            (None, None) => Err(Violation("the stream ends without [DONE] or an error".into())),
        }
    }
}
