//! Content: text, or parts by `type`.

use std::borrow::Cow;

use super::Reader;
use crate::dialect::{
    Place,
    conversation::{Block, BlockKind, CacheMarker, Media, MediaSource},
    openai_chat::{
        NAME,
        request::{CacheControl, ContentPart, File, InputAudio},
    },
    wire::{Raw, Str, StrOr, Tag},
};

/// Reads the content of the message at `place`.
pub(super) fn read<'a>(content: StrOr<'a, Vec<Raw<'a>>>, place: Place, blocks: &mut Vec<Block<'a>>, reader: &mut Reader<'_>) {
    match content {
        StrOr::Str(text) => {
            // Mostly there is no more.
            blocks.reserve_exact(1);
            blocks.push(Block { kind: BlockKind::Text { text: text.0, citations: None }, cache: None, place: place.field("content") });
        }
        StrOr::Or(parts) => {
            let parts = parts.into_iter().enumerate();
            blocks.extend(parts.filter_map(|(index, raw)| part(raw, place.item("content", index), reader)));
        }
    }
}

/// Reads one part.
pub(super) fn part<'a>(raw: Raw<'a>, place: Place, reader: &mut Reader<'_>) -> Option<Block<'a>> {
    let Tag(Some(Str(kind))) = reader.nested(raw.get(), place)? else {
        reader.wrong(place.field("type"), "is missing");
        return None;
    };
    if !matches!(&*kind, "text" | "image_url" | "input_audio" | "file" | "refusal") {
        return Some(Block { kind: BlockKind::Unknown { dialect: NAME, kind, raw }, cache: None, place });
    }
    let part: ContentPart<'a> = reader.nested(raw.get(), place)?;
    let cache = part.cache_control.or(part.prompt_cache_breakpoint).as_deref().map(cache_marker);
    reader.unknown(&part.unknown, place);
    let block = match &*kind {
        "text" => part.text.map(|text| BlockKind::Text { text: text.0, citations: None }),
        "refusal" => part.refusal.map(|text| BlockKind::Refusal(text.0)),
        "image_url" => part.image_url.and_then(|image| match image {
            StrOr::Str(url) => Some(picture(url.0, None)),
            StrOr::Or(image) => {
                reader.unknown(&image.unknown, place.field("image_url"));
                image.url.map(|url| picture(url.0, image.detail.map(|detail| detail.0)))
            }
        }),
        "input_audio" => part.input_audio.and_then(|audio| {
            reader.unknown(&audio.unknown, place.field("input_audio"));
            sound(audio)
        }),
        _ => part.file.and_then(|file| {
            reader.unknown(&file.unknown, place.field("file"));
            document(file)
        }),
    };
    if block.is_none() {
        reader.wrong(format_args!("{place}/{kind}"), "is missing or incomplete");
    }
    block.map(|kind| Block { kind, cache, place })
}

/// The hub's word for a cache marker.
pub(super) fn cache_marker<'a>(marker: &CacheControl<'a>) -> CacheMarker<'a> {
    CacheMarker { ttl: marker.ttl.clone().map(|ttl| ttl.0) }
}

/// An image, unless the `data:` URL says that it is none.
fn picture<'a>(url: Cow<'a, str>, detail: Option<Cow<'a, str>>) -> BlockKind<'a> {
    let media = located(url);
    match media.media_type.as_deref() {
        Some(kind) if !kind.starts_with("image/") => BlockKind::Document { media, title: None, context: None, citations: None },
        _ => BlockKind::Image { media, detail },
    }
}

fn sound(audio: InputAudio<'_>) -> Option<BlockKind<'_>> {
    let media_type = audio.format.map(|format| match &*format {
        "mp3" => Cow::Borrowed("audio/mpeg"),
        other => Cow::Owned(format!("audio/{other}")),
    });
    Some(BlockKind::Audio(Media { media_type, source: MediaSource::Base64(audio.data?.0) }))
}

fn document(file: File<'_>) -> Option<BlockKind<'_>> {
    let media = match (file.file_data, file.file_id) {
        (Some(data), _) if data.starts_with("data:") || data.starts_with("http") => located(data.0),
        (Some(data), _) => {
            let pdf = file.filename.as_deref().is_some_and(|name| name.to_ascii_lowercase().ends_with(".pdf"));
            Media { media_type: pdf.then_some(Cow::Borrowed("application/pdf")), source: MediaSource::Base64(data.0) }
        }
        (None, id) => Media { media_type: None, source: MediaSource::File(id?.0) },
    };
    Some(BlockKind::Document { media, title: file.filename.map(|name| name.0), context: None, citations: None })
}

/// What a URL stands for: the bytes inside a base64 `data:` URL, or a place.
fn located(url: Cow<'_, str>) -> Media<'_> {
    match url {
        Cow::Borrowed(url) => match data_url(url) {
            Some((media_type, data)) => {
                Media { media_type: media_type.map(Cow::Borrowed), source: MediaSource::Base64(Cow::Borrowed(data)) }
            }
            None => Media { media_type: None, source: MediaSource::Url(Cow::Borrowed(url)) },
        },
        // Escapes in a URL (`\/`): rare enough to copy.
        Cow::Owned(url) => match data_url(&url) {
            Some((media_type, data)) => Media {
                media_type: media_type.map(|kind| Cow::Owned(kind.to_owned())),
                source: MediaSource::Base64(Cow::Owned(data.to_owned())),
            },
            None => Media { media_type: None, source: MediaSource::Url(Cow::Owned(url)) },
        },
    }
}

/// The media type, with its parameters, and the base64 data of a `data:` URL.
fn data_url(url: &str) -> Option<(Option<&str>, &str)> {
    let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
    let kind = head.strip_suffix(";base64")?;
    Some(((!kind.is_empty()).then_some(kind), data))
}
