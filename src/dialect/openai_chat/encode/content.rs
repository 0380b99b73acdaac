//! Content: a string where one text is all there is, else parts.

use std::borrow::Cow;

use super::Writer;
use crate::dialect::{
    Place,
    conversation::{Block, BlockKind, CacheMarker, Media, MediaSource},
    json::{self, Array, Object},
    openai_chat::{NAME, losses},
};

/// A text part.
pub(super) struct Part<'p> {
    text: &'p str,
    cache: Option<&'p CacheMarker<'p>>,
    /// Where the marker stood, or would have.
    place: Place,
}

impl<'p> Part<'p> {
    pub(super) fn text(text: &'p str, cache: Option<&'p CacheMarker<'p>>, place: Place) -> Self {
        Self { text, cache, place }
    }

    /// Takes the marker of the value around it, which stood at `place`, in the stead of its own.
    pub(super) fn mark(&mut self, cache: &'p CacheMarker<'p>, place: Place, writer: &mut Writer<'_>) {
        marked(self.cache, self.place, writer);
        (self.cache, self.place) = (Some(cache), place);
    }

    /// A block that is nothing but text.
    fn of(block: &'p Block<'_>) -> Option<Self> {
        match &block.kind {
            BlockKind::Text { text, citations: None } => Some(Self::text(text, block.cache.as_ref(), block.place)),
            _ => None,
        }
    }
}

/// Writes the `content` of a message of texts.
pub(super) fn write(message: &mut Object<'_>, parts: Vec<Part<'_>>, writer: &mut Writer<'_>) {
    match parts.as_slice() {
        [] => {
            message.str("content", "");
        }
        [only] if !marked(only.cache, only.place, writer) => {
            message.str("content", only.text);
        }
        // Markers need parts; where these are not taken, neither are those.
        parts if !writer.target.capabilities.text_parts => {
            for part in parts.iter().filter(|part| part.cache.is_some()) {
                writer.lost(&losses::CACHE_CONTROL, part.place.field("cache_control"));
            }
            let texts: Vec<&str> = parts.iter().map(|part| part.text).collect();
            message.str("content", &texts.join("\n\n"));
        }
        parts => {
            let mut list = message.array("content");
            for part in parts {
                let mut object = list.object();
                object.str("type", "text").str("text", part.text);
                write_marker(&mut object, part.cache, part.place, writer);
                object.end();
            }
            list.end();
        }
    }
}

/// Writes the `content` of a message of blocks.
pub(super) fn write_blocks(message: &mut Object<'_>, blocks: &[&Block<'_>], writer: &mut Writer<'_>) {
    let texts: Option<Vec<Part<'_>>> = blocks.iter().map(|block| Part::of(block)).collect();
    if let Some(texts) = texts {
        return write(message, texts, writer);
    }
    let mut list = message.array("content");
    blocks.iter().for_each(|block| write_part(&mut list, block, writer));
    list.end();
}

/// Writes a text of ours before what it is about.
pub(super) fn write_label(list: &mut Array<'_>, text: &str) {
    let mut part = list.object();
    part.str("type", "text").str("text", text);
    part.end();
}

/// Writes one part.
pub(super) fn write_part(list: &mut Array<'_>, block: &Block<'_>, writer: &mut Writer<'_>) {
    let place = block.place;
    let cache = block.cache.as_ref();
    match &block.kind {
        BlockKind::Text { text, citations } => {
            if citations.is_some() {
                writer.lost(&losses::CITATIONS, place.field("citations"));
            }
            let mut part = list.object();
            part.str("type", "text").str("text", text);
            write_marker(&mut part, cache, place, writer);
            part.end();
        }
        BlockKind::Image { media, detail } => match &media.source {
            MediaSource::Url(_) | MediaSource::Base64(_) => {
                let mut part = list.object();
                part.str("type", "image_url");
                let mut image = part.object("image_url");
                write_url(image.key("url"), media, "image/png");
                if let Some(detail) = detail {
                    image.str("detail", detail);
                }
                image.end();
                write_marker(&mut part, cache, place, writer);
                part.end();
            }
            MediaSource::File(_) | MediaSource::Text(_) => writer.refuse(&losses::IMAGE_SOURCE, place),
        },
        BlockKind::Audio(media) => match &media.source {
            MediaSource::Base64(data) => {
                let mut part = list.object();
                part.str("type", "input_audio");
                let mut audio = part.object("input_audio");
                audio.str("data", data).str("format", audio_format(media.media_type.as_deref()));
                audio.end();
                write_marker(&mut part, cache, place, writer);
                part.end();
            }
            _ => writer.refuse(&losses::UNKNOWN_BLOCK, place),
        },
        BlockKind::Document { media, title, context, citations } => {
            if *citations == Some(true) {
                writer.lost(&losses::CITATIONS, place.field("citations"));
            }
            if let Some(context) = context {
                writer.lost(&losses::DOCUMENT_CONTEXT, place.field("context"));
                write_label(list, context);
            }
            write_document(list, block, media, title.as_deref(), writer);
        }
        BlockKind::Refusal(text) => {
            let mut part = list.object();
            part.str("type", "refusal").str("refusal", text);
            part.end();
        }
        BlockKind::Unknown { dialect, raw, .. } if *dialect == NAME => list.item().extend_from_slice(raw.get().as_bytes()),
        BlockKind::Unknown { kind, .. } => writer.refuse_foreign(&losses::UNKNOWN_BLOCK, kind, place),
        // The rest has its own place in a message, or none at all.
        _ => writer.refuse(&losses::UNKNOWN_BLOCK, place),
    }
}

fn write_document(list: &mut Array<'_>, block: &Block<'_>, media: &Media<'_>, title: Option<&str>, writer: &mut Writer<'_>) {
    let place = block.place;
    match &media.source {
        MediaSource::Base64(_) => {
            let mut part = list.object();
            part.str("type", "file");
            let mut file = part.object("file");
            file.str("filename", title.filter(|title| !title.is_empty()).unwrap_or("document.pdf"));
            write_url(file.key("file_data"), media, "application/pdf");
            file.end();
            write_marker(&mut part, block.cache.as_ref(), place, writer);
            part.end();
        }
        MediaSource::File(id) => {
            let mut part = list.object();
            part.str("type", "file");
            let mut file = part.object("file");
            file.str("file_id", id);
            file.end();
            write_marker(&mut part, block.cache.as_ref(), place, writer);
            part.end();
        }
        MediaSource::Text(text) => {
            writer.lost(&losses::DOCUMENT_TEXT, place);
            let text = match title {
                Some(title) => Cow::Owned(format!("{title}\n\n{text}")),
                None => Cow::Borrowed(&**text),
            };
            let mut part = list.object();
            part.str("type", "text").str("text", &text);
            write_marker(&mut part, block.cache.as_ref(), place, writer);
            part.end();
        }
        MediaSource::Url(_) => writer.refuse(&losses::DOCUMENT_SOURCE, place),
    }
}

/// Writes a medium as a URL; its bytes as a `data:` URL, of type `usual` where nobody said another.
fn write_url(out: &mut bytes::BytesMut, media: &Media<'_>, usual: &str) {
    match &media.source {
        MediaSource::Base64(data) => {
            out.extend_from_slice(b"\"data:");
            json::escaped(out, media.media_type.as_deref().unwrap_or(usual));
            out.extend_from_slice(b";base64,");
            json::escaped(out, data);
            out.extend_from_slice(b"\"");
        }
        MediaSource::Url(text) | MediaSource::File(text) | MediaSource::Text(text) => json::string(out, text),
    }
}

fn audio_format(media_type: Option<&str>) -> &str {
    match media_type {
        Some("audio/mpeg" | "audio/mp3") => "mp3",
        Some(other) => other.strip_prefix("audio/").map_or("wav", |format| format.strip_prefix("x-").unwrap_or(format)),
        None => "wav",
    }
}

/// Whether a marker is to be written; reports it where the provider has none.
fn marked(cache: Option<&CacheMarker<'_>>, place: Place, writer: &mut Writer<'_>) -> bool {
    let taken = writer.target.capabilities.cache_control;
    if cache.is_some() && !taken {
        writer.lost(&losses::CACHE_CONTROL, place.field("cache_control"));
    }
    cache.is_some() && taken
}

/// Writes a prompt-cache breakpoint where the provider takes one.
pub(super) fn write_marker(object: &mut Object<'_>, cache: Option<&CacheMarker<'_>>, place: Place, writer: &mut Writer<'_>) {
    let Some(marker) = cache.filter(|_| marked(cache, place, writer)) else { return };
    let mut control = object.object("cache_control");
    control.str("type", "ephemeral");
    if let Some(ttl) = &marker.ttl {
        control.str("ttl", ttl);
    }
    control.end();
}
