//! Citations as annotations.

use std::ops::Range;

use super::{NAME, losses};
use crate::dialect::{
    Losses,
    json::{self, Array},
    wire::{Str, wire},
};

wire! {
    /// What another dialect's citation says that a `url_citation` can.
    pub struct Citation<'a> {
        /// Where the source is: a web page's.
        pub url: Str<'a> = "url",
        /// The same: a search result's.
        pub source: Str<'a> = "source",
        /// The source's title.
        pub title: Str<'a> = "title",
        /// The same: a document's.
        pub document_title: Str<'a> = "document_title",
    }
}

/// Writes a citation of the characters `span` of the content.
pub(super) fn write(list: &mut Array<'_>, dialect: &str, raw: &str, span: Range<u64>, losses: &mut Losses) {
    if dialect == NAME {
        json::line(list.item(), raw);
        return;
    }
    losses.report_at(&losses::ANSWER_CITATION, "/citations".to_owned());
    let citation: Citation<'_> = serde_json::from_str(raw).unwrap_or_default();
    let text = |text: Option<Str<'_>>| text.map(|text| text.0.into_owned()).unwrap_or_default();
    let mut annotation = list.object();
    annotation.str("type", "url_citation");
    let mut url = annotation.object("url_citation");
    url.number("start_index", span.start).number("end_index", span.end);
    url.str("title", &text(citation.title.or(citation.document_title))).str("url", &text(citation.url.or(citation.source)));
    url.end();
    annotation.end();
}
