//! What the demo says, in no API's words.

use serde_json::{Value, json};

/// What is asked.
pub(super) struct Ask<'a> {
    /// The text to echo.
    pub(super) text: String,
    /// Whether a user said it last, so that it may ask for tools.
    pub(super) from_user: bool,
    pub(super) tools: Vec<&'a str>,
    pub(super) choice: Choice<'a>,
    pub(super) stops: Vec<&'a str>,
    /// The most tokens to say.
    pub(super) limit: Option<u64>,
    /// How often it is said.
    pub(super) choices: u64,
    /// Whether the text must be JSON.
    pub(super) json: bool,
}

/// Which tools are to be called.
pub(super) enum Choice<'a> {
    Free,
    Never,
    Any,
    Named(&'a str),
}

/// What is said.
pub(super) struct Reply {
    /// The text, token by token.
    pub(super) pieces: Vec<String>,
    pub(super) calls: Vec<Call>,
    pub(super) end: End,
    pub(super) tokens: u64,
}

/// A tool call.
pub(super) struct Call {
    pub(super) name: String,
    /// A JSON object.
    pub(super) input: Value,
}

/// Why it ended.
pub(super) enum End {
    Calls,
    Length,
    Said,
    /// At one of the stop sequences.
    Stop(String),
}

/// The most tokens of an answer, all choices together: an event for each is held at once.
const MOST: u64 = 16 << 10;

impl Ask<'_> {
    pub(super) fn reply(&self) -> Reply {
        let most = MOST / self.choices.max(1);
        let calls = self.calls();
        let tokens = calls.iter().map(|call| tokens(&call.name) + tokens(&call.input.to_string())).sum();
        if !calls.is_empty() && tokens <= most {
            return Reply { pieces: Vec::new(), calls, end: End::Calls, tokens };
        }
        let mut text = self.text.clone();
        if self.json && serde_json::from_str::<Value>(&text).is_err() {
            text = json!({ "echo": text }).to_string();
        }
        let first = self.stops.iter().filter(|stop| !stop.is_empty()).filter_map(|stop| Some((text.find(stop)?, *stop))).min();
        let mut end = End::Said;
        if let Some((at, stop)) = first {
            text.truncate(at);
            end = End::Stop(stop.to_owned());
        }
        let mut pieces: Vec<String> = pieces(&text).map(str::to_owned).collect();
        let limit = usize::try_from(self.limit.unwrap_or(most).min(most)).unwrap_or(usize::MAX);
        if pieces.len() > limit {
            pieces.truncate(limit);
            end = End::Length;
        }
        let tokens = pieces.len() as u64;
        Reply { pieces, calls, end, tokens }
    }

    fn calls(&self) -> Vec<Call> {
        let known = |name: &str| self.tools.contains(&name) && !matches!(&self.choice, Choice::Named(only) if *only != name);
        let asked = |line: &str| {
            let rest = line.trim().strip_prefix("call ")?;
            let (name, input) = rest.split_once(' ').unwrap_or((rest, "{}"));
            let input: Value = serde_json::from_str(input).ok()?;
            (known(name) && input.is_object()).then(|| Call { name: name.to_owned(), input })
        };
        if !self.from_user || matches!(self.choice, Choice::Never) {
            return Vec::new();
        }
        // Every line is a call, or it is text like any other.
        let calls: Option<Vec<Call>> = self.text.lines().map(asked).collect();
        let forced = || {
            let name = match self.choice {
                Choice::Any => self.tools.first().copied(),
                Choice::Named(name) => Some(name).filter(|name| known(name)),
                Choice::Free | Choice::Never => None,
            };
            name.map(|name| Call { name: name.to_owned(), input: json!({}) }).into_iter().collect()
        };
        calls.filter(|calls| !calls.is_empty()).unwrap_or_else(forced)
    }
}

/// How many tokens a text has.
pub(super) fn tokens(text: &str) -> u64 {
    pieces(text).count() as u64
}

/// A text's tokens: each word with the white space before it, cut after 16 characters.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut in_word = false;
        let end = rest.char_indices().enumerate().find(|(count, (_, char))| {
            let over = *count == 16 || (in_word && char.is_whitespace());
            in_word |= !char.is_whitespace();
            over
        });
        let (piece, after) = rest.split_at(end.map_or(rest.len(), |(_, (at, _))| at));
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

/// The text of a message's content: a string, or parts of which those that are no text are named.
pub(super) fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().map(part).collect::<Vec<_>>().join("\n"),
        _ => String::new(),
    }
}

fn part(part: &Value) -> String {
    match part["type"].as_str() {
        Some("text") => part["text"].as_str().unwrap_or_default().to_owned(),
        Some("tool_result") => text_of(&part["content"]),
        Some(other) => format!("[{other}]"),
        None => part.as_str().unwrap_or_default().to_owned(),
    }
}

/// A string, or the strings of a list.
pub(super) fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::String(one) => vec![one],
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_add_up_to_the_text() {
        for (text, expected) in [
            ("", &[][..]),
            ("one", &["one"]),
            (" one  two\n", &[" one", "  two", "\n"]),
            ("a-word-of-seventeen", &["a-word-of-sevent", "een"]),
            ("żółć 日本", &["żółć", " 日本"]),
        ] {
            assert_eq!(pieces(text).collect::<Vec<_>>(), expected);
        }
    }
}
