//! What a translation cannot carry: one table, read by the docs, the tests and the running gateway.
//!
//! Each dialect's folder declares what is lost *on the way into it*, as [`Loss`] constants collected in its `LOSSES`;
//! [`table`] is all of them. A translation names an entry and the place it met; [`Losses`] collects these.

use std::fmt;

use super::Place;

/// An entry of the loss table.
#[derive(Debug, PartialEq, Eq)]
pub struct Loss {
    /// The entry's stable name, `anthropic.request.logit_bias`.
    pub id: &'static str,
    /// Whether a request or an answer loses it.
    pub side: Side,
    /// The dialect that cannot carry it, by [`Dialect::name`](super::Dialect::name).
    pub to: &'static str,
    /// The dialects that can say it, by name; empty means any.
    pub from: &'static [&'static str],
    /// What is lost, in the words of those who can say it.
    pub what: &'static str,
    /// What becomes of it.
    pub fate: Fate,
    /// Why, one lower-case line.
    pub why: &'static str,
}

/// The half of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// From the caller to the provider.
    Request,
    /// From the provider to the caller.
    Answer,
}

/// What becomes of a value that the other dialect cannot say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Carried with a changed value.
    Approximated,
    /// Not carried.
    Dropped,
    /// Refused with a 400: leaving it out would change what the request means.
    Refused,
    /// Carried under another name or value that the answer maps back.
    Renamed,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Approximated => "approximated",
            Self::Dropped => "dropped",
            Self::Refused => "refused",
            Self::Renamed => "renamed",
        })
    }
}

/// An entry met at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The table's entry.
    pub loss: &'static Loss,
    /// A JSON Pointer into the caller's request, or into the provider's answer.
    pub path: String,
}

/// The losses of one translation, each entry and path once.
///
/// Empty costs nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    list: Vec<Lost>,
    unlisted: usize,
}

/// The most losses listed: nobody reads on, and a hostile body could report one per byte.
const MOST: usize = 256;

impl Losses {
    /// Reports `loss` at `place`.
    pub fn report(&mut self, loss: &'static Loss, place: Place) {
        self.report_at(loss, place.to_string());
    }

    /// Reports `loss` at a path that is already a JSON Pointer.
    pub fn report_at(&mut self, loss: &'static Loss, path: String) {
        if self.list.iter().any(|lost| lost.loss.id == loss.id && lost.path == path) {
            return;
        }
        if self.list.len() < MOST {
            self.list.push(Lost { loss, path });
        } else {
            self.unlisted = self.unlisted.saturating_add(1);
        }
    }

    /// What was reported, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Lost> {
        self.list.iter()
    }

    /// How often something more was lost than the 256 that are listed.
    pub fn unlisted(&self) -> usize {
        self.unlisted
    }

    /// Whether nothing was lost.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Adds another translation's losses.
    pub fn extend(&mut self, other: Self) {
        let room = MOST.saturating_sub(self.list.len());
        self.unlisted = self.unlisted.saturating_add(other.unlisted).saturating_add(other.list.len().saturating_sub(room));
        self.list.extend(other.list.into_iter().take(room));
    }
}

/// The whole table.
pub fn table() -> impl Iterator<Item = &'static Loss> {
    super::ALL.iter().flat_map(|dialect| dialect.losses().iter().copied())
}
