//! Reading a document so that every complaint knows its place.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    ops::Range,
    time::Duration,
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Problem, value};
use crate::catalog::{Meter, Rate};

/// What the environment says of a variable.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A document, the environment around it, and what was found wrong so far.
pub(super) struct Document<'a> {
    file: &'a str,
    text: &'a str,
    /// Where each line begins.
    lines: Vec<usize>,
    environment: Environment<'a>,
    problems: RefCell<Vec<Problem>>,
    /// Whether a secret is written out in the file.
    holds_secrets: Cell<bool>,
}

/// A table, read key by key. What nobody asked for is unknown, and refused by [`finish`](Self::finish).
pub(super) struct Section<'d, 'a> {
    document: &'d Document<'a>,
    path: String,
    span: Range<usize>,
    fields: BTreeMap<&'d str, (Range<usize>, &'d Spanned<DeValue<'a>>)>,
    known: Vec<&'static str>,
}

/// A value, and where it stands.
#[derive(Clone)]
pub(super) struct Field<'d, 'a> {
    document: &'d Document<'a>,
    path: String,
    span: Range<usize>,
    value: &'d DeValue<'a>,
}

impl<'a> Document<'a> {
    pub(super) fn new(file: &'a str, text: &'a str, environment: Environment<'a>) -> Self {
        let lines = std::iter::once(0).chain(memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1)).collect();
        Self { file, text, lines, environment, problems: RefCell::default(), holds_secrets: Cell::new(false) }
    }

    /// The document's tree, if it is TOML.
    pub(super) fn parse(&self) -> Option<Spanned<DeTable<'a>>> {
        let parsed = DeTable::parse(self.text);
        // The parser's own `Display` quotes the line, which may hold a secret.
        parsed.map_err(|error| self.fail("", &error.span().unwrap_or_default(), error.message())).ok()
    }

    pub(super) fn section<'d>(&'d self, tree: &'d Spanned<DeTable<'a>>) -> Section<'d, 'a> {
        Section::new(self, String::new(), tree.span(), tree.get_ref())
    }

    pub(super) fn variable(&self, name: &str) -> Option<String> {
        (self.environment)(name)
    }

    /// Everything that was found wrong, in the file's order.
    pub(super) fn problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort();
        problems
    }

    /// Whether a secret is written out in the text, and not taken from the environment.
    pub(super) fn holds_secrets(&self) -> bool {
        self.holds_secrets.get()
    }

    fn fail(&self, path: &str, span: &Range<usize>, message: impl Into<String>) {
        let line = self.lines.partition_point(|start| *start <= span.start);
        let start = line.checked_sub(1).and_then(|index| self.lines.get(index)).copied().unwrap_or(0);
        let column = self.text.get(start..span.start).map_or(0, |before| before.chars().count()) + 1;
        let (file, key) = (self.file.to_owned(), path.to_owned());
        self.problems.borrow_mut().push(Problem { file, line, column, key, message: message.into() });
    }
}

impl<'d, 'a> Section<'d, 'a> {
    fn new(document: &'d Document<'a>, path: String, span: Range<usize>, table: &'d DeTable<'a>) -> Self {
        let fields = table.iter().map(|(key, value)| (key.get_ref().as_ref(), (key.span(), value))).collect();
        Self { document, path, span, fields, known: Vec::new() }
    }

    /// The value of `key`, if it is there.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Field<'d, 'a>> {
        self.known.push(key);
        let (_, value) = self.fields.remove(key)?;
        Some(self.field(key, value.span(), value))
    }

    /// The value of `key`; its absence is a problem.
    pub(super) fn need(&mut self, key: &'static str) -> Option<Field<'d, 'a>> {
        let field = self.take(key);
        if field.is_none() {
            self.fail(format!("`{key}` is missing"));
        }
        field
    }

    /// All values with names of the operator's choice, in the file's order, each with the place of its name.
    pub(super) fn drain(&mut self) -> Vec<(&'d str, Field<'d, 'a>)> {
        let mut fields: Vec<_> = std::mem::take(&mut self.fields).into_iter().collect();
        fields.sort_by_key(|(_, (span, _))| span.start);
        fields.into_iter().map(|(key, (span, value))| (key, self.field(key, span, value))).collect()
    }

    /// Complains of the section as a whole.
    pub(super) fn fail(&self, message: impl Into<String>) {
        self.document.fail(&self.path, &self.span, message);
    }

    /// Refuses what nobody asked for. Gives whether the document is sound so far.
    pub(super) fn finish(mut self) -> bool {
        self.known.sort_unstable();
        for (key, (span, _)) in &self.fields {
            let path = join(&self.path, key);
            self.document.fail(&path, span, format!("this key is not known here; known are {}", self.known.join(", ")));
        }
        self.document.problems.borrow().is_empty()
    }

    fn field(&self, key: &str, span: Range<usize>, value: &'d Spanned<DeValue<'a>>) -> Field<'d, 'a> {
        Field { document: self.document, path: join(&self.path, key), span, value: value.get_ref() }
    }
}

impl<'d, 'a> Field<'d, 'a> {
    /// Complains of the value.
    pub(super) fn fail(&self, message: impl Into<String>) {
        self.document.fail(&self.path, &self.span, message);
    }

    /// A string, with `${NAME}` replaced.
    pub(super) fn text(&self) -> Option<String> {
        let raw = self.expect("a string", self.value.as_str())?;
        let replaced = value::substitute(raw, &|name| self.document.variable(name));
        replaced.map_err(|message| self.fail(message)).ok()
    }

    /// A string that must not be blank or a placeholder, and is never told in a complaint.
    pub(super) fn secret(&self) -> Option<String> {
        let secret = self.text()?;
        if secret.trim().is_empty() {
            self.fail("this secret is empty");
            return None;
        }
        if value::is_placeholder(&secret) {
            self.fail("this is a placeholder and no secret");
            return None;
        }
        if self.value.as_str() == Some(&secret) {
            self.document.holds_secrets.set(true);
        }
        Some(secret)
    }

    /// A string as `read` understands it; `expected` says what that is.
    pub(super) fn parse<T>(&self, expected: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let value = read(&self.text()?);
        if value.is_none() {
            // The raw text: what came from the environment is nobody's business.
            let raw = self.value.as_str().unwrap_or_default();
            self.fail(format!("`{}` is not {expected}", raw.escape_debug()));
        }
        value
    }

    /// A stretch of time: `"500ms"`, `"5s"`, `"10m"`, `"1h"`.
    pub(super) fn duration(&self) -> Option<Duration> {
        self.parse("a time such as \"500ms\", \"5s\" or \"10m\"", value::duration)
    }

    /// A stretch of time that is not none at all.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.parse("a time above zero such as \"500ms\", \"5s\" or \"10m\"", |text| value::duration(text).filter(|time| !time.is_zero()))
    }

    /// A number of bytes: `"32MiB"`, or bytes as an integer.
    pub(super) fn size(&self) -> Option<u64> {
        match self.value {
            DeValue::Integer(_) => self.integer(1, i64::MAX as u64),
            _ => self.parse("a size such as \"32MiB\"", value::size),
        }
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self) -> Option<bool> {
        self.expect("true or false", self.value.as_bool())
    }

    /// A whole number from `least` to `most`.
    pub(super) fn integer(&self, least: u64, most: u64) -> Option<u64> {
        let integer = self.expect("a whole number", self.value.as_integer())?;
        let value = u64::from_str_radix(integer.as_str(), integer.radix()).ok().filter(|value| (least..=most).contains(value));
        if value.is_none() {
            self.fail(format!("{integer} is not a whole number from {least} to {most}"));
        }
        value
    }

    /// A price in USD. A bare number is read by its digits, so that it stays exact.
    pub(super) fn rate(&self, meter: Meter) -> Option<Rate> {
        let text = match self.value {
            DeValue::Float(float) => float.as_str().to_owned(),
            DeValue::Integer(integer) => integer.to_string(),
            _ => self.text()?,
        };
        Rate::parse(&text, meter).map_err(|error| self.fail(error.to_string())).ok()
    }

    /// A table.
    pub(super) fn section(&self) -> Option<Section<'d, 'a>> {
        let table = self.expect("a table", self.value.as_table())?;
        Some(Section::new(self.document, self.path.clone(), self.span.clone(), table))
    }

    /// The elements of a list.
    pub(super) fn list(&self) -> Vec<Self> {
        let Some(list) = self.expect("a list", self.value.as_array()) else { return Vec::new() };
        let element = |(index, value): (usize, &'d Spanned<DeValue<'a>>)| Self {
            document: self.document,
            path: format!("{}[{index}]", self.path),
            span: value.span(),
            value: value.get_ref(),
        };
        list.iter().enumerate().map(element).collect()
    }

    /// A list of strings.
    pub(super) fn texts(&self) -> Vec<String> {
        self.list().iter().filter_map(Self::text).collect()
    }

    fn expect<T>(&self, expected: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            let found = match self.value {
                DeValue::Array(_) => "a list",
                DeValue::Boolean(_) => "true or false",
                DeValue::Datetime(_) => "a date",
                DeValue::Float(_) => "a number",
                DeValue::Integer(_) => "a whole number",
                DeValue::String(_) => "a string",
                DeValue::Table(_) => "a table",
            };
            self.fail(format!("{expected} is expected here, not {found}"));
        }
        value
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
