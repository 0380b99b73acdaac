//! Which part of a list a query asks for.

use http::Uri;

use super::query;
use crate::fault::Fault;

/// A part of a list: `limit`, `offset`, and with Anthropic's clients their cursor `after_id` or `before_id`.
pub(super) struct Page {
    pub(super) limit: Option<usize>,
    pub(super) offset: usize,
    cursor: Option<Cursor>,
}

/// From where a page is counted: the id of an entry, which is not on it.
enum Cursor {
    After(String),
    Before(String),
}

impl Page {
    /// For OpenAI's clients, which do not page: everything, unless asked otherwise.
    pub(super) fn numbered(uri: &Uri) -> Result<Self, Fault> {
        Ok(Self { limit: number(uri, "limit")?, offset: number(uri, "offset")?.unwrap_or(0), cursor: None })
    }

    /// For Anthropic's clients, which ask for the next page while an answer says `has_more`.
    ///
    /// Source: Anthropic API reference, "List Models".
    pub(super) fn by_cursor(uri: &Uri) -> Result<Self, Fault> {
        let limit = number(uri, "limit")?.unwrap_or(20);
        if !(1..=1000).contains(&limit) {
            return Err(Fault::invalid("", "the query member `limit` is from 1 to 1000"));
        }
        let cursor = match (query::value(uri, "after_id"), query::value(uri, "before_id")) {
            (Some(_), Some(_)) => return Err(Fault::invalid("", "a page is asked for with `after_id` or with `before_id`")),
            (after, before) => after.map(Cursor::After).or(before.map(Cursor::Before)),
        };
        Ok(Self { limit: Some(limit), offset: number(uri, "offset")?.unwrap_or(0), cursor })
    }

    /// The page of `all`, in their order, and whether there are more in the direction it was asked in.
    ///
    /// # Errors
    /// The cursor names no entry: a client that got the first page again would ask for ever.
    pub(super) fn of<'l, T>(&self, all: &'l [T], id: impl Fn(&T) -> &str) -> Result<(&'l [T], bool), Fault> {
        let at = |cursor: &str| {
            let place = all.iter().position(|entry| id(entry) == cursor);
            place.ok_or_else(|| Fault::invalid("", "the query's `after_id` or `before_id` names no entry of this list"))
        };
        let backwards = matches!(self.cursor, Some(Cursor::Before(_)));
        let reachable = match &self.cursor {
            None => all,
            Some(Cursor::After(id)) => all.get(at(id)? + 1..).unwrap_or_default(),
            Some(Cursor::Before(id)) => all.get(..at(id)?).unwrap_or_default(),
        };
        let left = reachable.len().saturating_sub(self.offset);
        let taken = left.min(self.limit.unwrap_or(left));
        let start = if backwards { left - taken } else { reachable.len() - left };
        Ok((reachable.get(start..start + taken).unwrap_or_default(), left > taken))
    }
}

fn number(uri: &Uri, name: &str) -> Result<Option<usize>, Fault> {
    let number = query::value(uri, name).map(|text| text.parse::<usize>()).transpose();
    number.map_err(|_| Fault::invalid("", format!("the query member `{name}` is a number")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[&str] = &["a", "b", "c", "d", "e"];

    fn page(query: &str) -> Option<(String, bool)> {
        let page = Page::by_cursor(&format!("/v1/models?{query}").parse().unwrap()).ok()?;
        page.of(ALL, |entry| entry).ok().map(|(page, more)| (page.concat(), more))
    }

    #[test]
    fn cursors_go_both_ways() {
        for (query, expected) in [
            ("", Some(("abcde", false))),
            ("limit=2", Some(("ab", true))),
            ("limit=2&after_id=b", Some(("cd", true))),
            ("limit=2&after_id=d", Some(("e", false))),
            ("limit=2&after_id=c", Some(("de", false))),
            ("after_id=e", Some(("", false))),
            ("limit=2&before_id=e", Some(("cd", true))),
            ("limit=2&before_id=c", Some(("ab", false))),
            ("limit=2&before_id=b", Some(("a", false))),
            ("before_id=a", Some(("", false))),
            ("limit=1&offset=1&after_id=a", Some(("c", true))),
            ("limit=1&offset=1&before_id=e", Some(("c", true))),
            ("offset=18446744073709551615&after_id=a", Some(("", false))),
            ("limit=1000", Some(("abcde", false))),
            ("limit=0", None),
            ("limit=1001", None),
            ("limit=x", None),
            ("after_id=z", None),
            ("before_id=z", None),
            ("after_id=a&before_id=c", None),
        ] {
            assert_eq!(page(query), expected.map(|(page, more)| (page.to_owned(), more)), "{query}");
        }
    }
}
