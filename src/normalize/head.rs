//! What a call's headers say.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::fault::{Fault, FaultKind};

const X_TITLE: HeaderName = HeaderName::from_static("x-title");

/// The most bytes of a header that end up in a record.
pub(super) const MAX_NOTE: usize = 2048;

/// The headers that every call is read by, found in one pass: there are few, and one look by name costs as much. Of several
/// values the first counts.
#[derive(Debug, Default)]
pub(super) struct Head<'h> {
    media: Option<&'h HeaderValue>,
    coding: Option<&'h HeaderValue>,
    length: Option<&'h HeaderValue>,
    title: Option<&'h HeaderValue>,
    referer: Option<&'h HeaderValue>,
    /// Whether there are headers of the gateway's own.
    pub(super) wishes: bool,
}

impl<'h> Head<'h> {
    pub(super) fn of(headers: &'h HeaderMap) -> Self {
        let mut head = Self::default();
        for (name, value) in headers {
            let place = match name {
                name if *name == header::CONTENT_TYPE => &mut head.media,
                name if *name == header::CONTENT_LENGTH => &mut head.length,
                name if *name == header::CONTENT_ENCODING => &mut head.coding,
                name if *name == header::REFERER => &mut head.referer,
                name if *name == X_TITLE => &mut head.title,
                name => {
                    head.wishes |= name.as_str().starts_with("x-gateway-");
                    continue;
                }
            };
            place.get_or_insert(value);
        }
        head
    }

    /// Refuses bodies that are not plain JSON.
    pub(super) fn takes(&self) -> Result<(), Fault> {
        let json = self.media.is_none_or(|value| {
            let media = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
            media.eq_ignore_ascii_case(b"application/json") || media.to_ascii_lowercase().ends_with(b"+json")
        });
        let plain = self.coding.is_none_or(|value| value.as_bytes().eq_ignore_ascii_case(b"identity"));
        if json && plain { Ok(()) } else { Err(FaultKind::UnsupportedMediaType.into()) }
    }

    /// How long the body is said to be.
    pub(super) fn length(&self) -> Option<u64> {
        self.length?.to_str().ok()?.parse().ok()
    }

    /// The application that calls.
    pub(super) fn app(&self) -> Option<&'h str> {
        self.title.and_then(text).or_else(|| self.referer.and_then(text))
    }
}

/// A header's text, if it is short and printable.
pub(super) fn text(value: &HeaderValue) -> Option<&str> {
    value.to_str().ok().filter(|text| text.len() <= MAX_NOTE)
}
