//! Content blocks.

use std::borrow::Cow;

use base64::Engine;

use super::{Writer, is_blank, write_input};
use crate::dialect::{
    Place,
    anthropic::{NAME, losses, media, request},
    conversation::{Block, BlockKind, CacheMarker, Media, MediaSource},
    json::{Array, Object},
    wire::Raw,
};

/// What the API says of images it takes.
const IMAGE_TYPES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

/// The forms of a citation that the API knows.
const CITATION_TYPES: [&str; 5] =
    ["char_location", "page_location", "content_block_location", "web_search_result_location", "search_result_location"];

/// What is known of a document beside its bytes.
#[derive(Default)]
struct About<'b> {
    title: Option<&'b str>,
    context: Option<&'b str>,
    citations: Option<bool>,
}

impl Writer<'_, '_, '_> {
    /// Writes `block` as the next of `content`.
    pub(super) fn block(&mut self, block: &Block<'_>, content: &mut Array<'_>) {
        let place = block.place;
        let cache = block.cache.as_ref();
        match &block.kind {
            BlockKind::Text { text, citations } => {
                let mut object = content.object();
                object.word("type", "text").str("text", text);
                if let Some(citations) = citations {
                    if are_ours(*citations) {
                        object.raw("citations", citations.get());
                    } else {
                        self.losses.report(&losses::CITATIONS, place.field("citations"));
                    }
                }
                close(object, cache);
            }
            BlockKind::Refusal(text) => {
                let mut object = content.object();
                object.word("type", "text").str("text", text);
                close(object, cache);
            }
            BlockKind::Reasoning(reasoning) => {
                if let Some(signature) = &reasoning.signature {
                    let mut object = content.object();
                    object.word("type", "thinking").str("thinking", &reasoning.text).str("signature", signature);
                    object.end();
                }
                if let Some(data) = &reasoning.redacted {
                    let mut object = content.object();
                    object.word("type", "redacted_thinking").str("data", data);
                    object.end();
                }
                if cache.is_some() {
                    self.losses.report(&losses::CACHE_MARKER, place.field("cache_control"));
                }
            }
            BlockKind::Image { media, detail } => {
                if detail.as_deref().is_some_and(|detail| detail != "auto") {
                    self.losses.report(&losses::IMAGE_DETAIL, place.field("image_url/detail"));
                }
                self.image(media, place, cache, content);
            }
            BlockKind::Document { media, title, context, citations } => {
                let about = About { title: title.as_deref(), context: context.as_deref(), citations: *citations };
                self.document(media, about, place, cache, content);
            }
            BlockKind::Audio(_) => self.refuse(&losses::AUDIO, place),
            BlockKind::ToolCall { id, name, arguments, freeform } => {
                let mut object = content.object();
                let written = self.tool_names.conforming(name);
                if written != &**name {
                    self.losses.report(&losses::TOOL_NAME, place.field("name"));
                }
                object.word("type", "tool_use").str("id", self.call_ids.conforming(id)).str("name", written);
                if !write_input(arguments, object.key("input")) {
                    self.losses.report(&losses::TOOL_ARGUMENTS, place.field(if *freeform { "input" } else { "arguments" }));
                }
                close(object, cache);
            }
            BlockKind::ToolResult { call_id, content: result, is_error } => {
                let mut object = content.object();
                object.word("type", "tool_result").str("tool_use_id", self.call_ids.conforming(call_id));
                self.result(result, &mut object);
                if let Some(is_error) = is_error {
                    object.bool("is_error", *is_error);
                }
                close(object, cache);
            }
            BlockKind::Unknown { dialect, raw, .. } if *dialect == NAME => {
                content.item().extend_from_slice(raw.get().as_bytes());
            }
            BlockKind::Unknown { kind, .. } => self.refuse_foreign(&losses::FOREIGN_BLOCK, kind, place),
        }
    }

    /// A tool's result: a string if it is one plain text, nothing if it says nothing.
    fn result(&mut self, result: &[Block<'_>], object: &mut Object<'_>) {
        let blank = |block: &&Block<'_>| matches!(&block.kind, BlockKind::Text { text, .. } if is_blank(text));
        let said: Vec<&Block<'_>> = result.iter().filter(|block| !blank(block)).collect();
        match said.as_slice() {
            [] => {}
            [Block { kind: BlockKind::Text { text, citations: None }, cache: None, .. }] => _ = object.str("content", text),
            blocks => {
                let mut content = object.array("content");
                blocks.iter().for_each(|block| self.block(block, &mut content));
                content.end();
            }
        }
    }

    fn image(&mut self, media: &Media<'_>, place: Place, cache: Option<&CacheMarker<'_>>, content: &mut Array<'_>) {
        if let MediaSource::Base64(data) = &media.source {
            // What the bytes say counts: the API compares, and refuses a wrong label.
            let said = media.essence().map(|said| if said == "image/jpg" { "image/jpeg" } else { said });
            let media_type = media::sniff(data).or(said);
            return match media_type {
                Some("application/pdf") => self.document(media, About::default(), place, cache, content),
                Some(media_type) if IMAGE_TYPES.contains(&media_type) => {
                    let mut object = content.object();
                    object.word("type", "image");
                    base64_source(media_type, data, &mut object);
                    close(object, cache);
                }
                _ => self.refuse(&losses::IMAGE_TYPE, place),
            };
        }
        let mut object = content.object();
        object.word("type", "image");
        if !reference_source(&media.source, &mut object) {
            self.wrong(place, "an image cannot be text");
        }
        close(object, cache);
    }

    fn document(&mut self, media: &Media<'_>, about: About<'_>, place: Place, cache: Option<&CacheMarker<'_>>, content: &mut Array<'_>) {
        if let MediaSource::Base64(data) = &media.source
            && media::sniff(data).or(media.essence()).is_some_and(|kind| kind.starts_with("image/"))
        {
            if about.title.or(about.context).is_some() {
                self.losses.report(&losses::IMAGE_TITLE, place.field("file/filename"));
            }
            return self.image(media, place, cache, content);
        }
        let mut object = content.object();
        object.word("type", "document");
        match &media.source {
            MediaSource::Base64(data) => match media::sniff(data).or(media.essence()) {
                Some("application/pdf") => base64_source("application/pdf", data, &mut object),
                Some(media_type) if media_type.starts_with("text/") => match text_of(data) {
                    Some(text) => text_source(&text, &mut object),
                    None => self.wrong(place, "the text document is not base64 of UTF-8"),
                },
                _ => self.refuse(&losses::DOCUMENT_TYPE, place),
            },
            MediaSource::Text(text) => text_source(text, &mut object),
            source => _ = reference_source(source, &mut object),
        }
        if let Some(title) = about.title {
            object.str("title", title);
        }
        if let Some(context) = about.context {
            object.str("context", context);
        }
        if let Some(enabled) = about.citations {
            let mut citations = object.object("citations");
            citations.bool("enabled", enabled);
            citations.end();
        }
        close(object, cache);
    }
}

/// Writes a cache breakpoint, if there is one.
pub fn cache_control(cache: Option<&CacheMarker<'_>>, object: &mut Object<'_>) {
    if let Some(CacheMarker { ttl }) = cache {
        let mut control = object.object("cache_control");
        control.word("type", "ephemeral");
        if let Some(ttl) = ttl {
            control.str("ttl", ttl);
        }
        control.end();
    }
}

fn close(mut object: Object<'_>, cache: Option<&CacheMarker<'_>>) {
    cache_control(cache, &mut object);
    object.end();
}

fn base64_source(media_type: &str, data: &str, object: &mut Object<'_>) {
    let mut source = object.object("source");
    source.word("type", "base64").str("media_type", media_type).str("data", data);
    source.end();
}

fn text_source(text: &str, object: &mut Object<'_>) {
    let mut source = object.object("source");
    source.word("type", "text").word("media_type", "text/plain").str("data", text);
    source.end();
}

/// A URL or a file's id. `false` for anything else.
fn reference_source(source: &MediaSource<'_>, object: &mut Object<'_>) -> bool {
    let (kind, member, value) = match source {
        MediaSource::Url(url) => ("url", "url", url),
        MediaSource::File(id) => ("file", "file_id", id),
        MediaSource::Base64(_) | MediaSource::Text(_) => return false,
    };
    let mut source = object.object("source");
    source.word("type", kind).str(member, value);
    source.end();
    true
}

fn text_of(base64: &str) -> Option<Cow<'_, str>> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(base64).ok()?;
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

fn are_ours(citations: Raw<'_>) -> bool {
    let list: Result<Vec<Raw<'_>>, _> = serde_json::from_str(citations.get());
    list.is_ok_and(|list| list.iter().all(|one| request::tag(*one).is_ok_and(|kind| CITATION_TYPES.contains(&&*kind))))
}
