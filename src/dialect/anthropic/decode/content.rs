//! Content blocks, read into the hub.

use super::{Reader, pointer};
use crate::dialect::{
    Place,
    anthropic::{ISSUER, NAME, losses, request},
    conversation::{Block, BlockKind, Media, MediaSource, Reasoning},
    wire::{Raw, StrOr},
};

impl Reader<'_> {
    /// A message's or a tool result's content.
    pub(super) fn content<'a>(&mut self, content: request::Content<'a>, whole: Place, part: impl Fn(usize) -> Place) -> Vec<Block<'a>> {
        match content {
            StrOr::Str(text) => vec![Block { kind: BlockKind::Text { text: text.0, citations: None }, cache: None, place: whole }],
            StrOr::Or(raws) => raws.into_iter().enumerate().filter_map(|(index, raw)| self.block(raw, part(index))).collect(),
        }
    }

    fn block<'a>(&mut self, raw: Raw<'a>, place: Place) -> Option<Block<'a>> {
        let kind = self.tag(raw, place)?;
        match &*kind {
            "text" => self.text(raw, place),
            "image" => self.image(raw, place),
            "document" => self.document(raw, place),
            "thinking" => self.thinking_block(raw, place),
            "redacted_thinking" => self.redacted_thinking(raw, place),
            "tool_use" => self.tool_use(raw, place),
            "tool_result" => self.tool_result(raw, place),
            "" => {
                self.wrong(place.field("type"), "is required");
                None
            }
            _ => Some(unknown(raw, kind, place)),
        }
    }

    fn text<'a>(&mut self, raw: Raw<'a>, place: Place) -> Option<Block<'a>> {
        let block: request::TextBlockParam<'a> = self.parse(raw, place)?;
        self.unnamed(&block.unknown, place);
        let text = self.required(block.text, place.field("text")).0;
        Some(Block { kind: BlockKind::Text { text, citations: block.citations }, cache: self.cache(block.cache_control, place), place })
    }

    fn image<'a>(&mut self, raw: Raw<'a>, place: Place) -> Option<Block<'a>> {
        let block: request::ImageBlockParam<'a> = self.parse(raw, place)?;
        self.unnamed(&block.unknown, place);
        let media = self.media(block.source, place)?;
        Some(Block { kind: BlockKind::Image { media, detail: None }, cache: self.cache(block.cache_control, place), place })
    }

    fn document<'a>(&mut self, raw: Raw<'a>, place: Place) -> Option<Block<'a>> {
        let block: request::DocumentBlockParam<'a> = self.parse(raw, place)?;
        if block.source.as_ref().is_some_and(|source| source.kind.as_deref() == Some("content")) {
            // A document made of blocks: the hub has no such medium, so only this dialect can say it.
            return Some(unknown(raw, "document".into(), place));
        }
        self.unnamed(&block.unknown, place);
        let kind = BlockKind::Document {
            media: self.media(block.source, place)?,
            title: block.title.map(|title| title.0),
            context: block.context.map(|context| context.0),
            citations: block.citations.and_then(|citations| citations.enabled),
        };
        Some(Block { kind, cache: self.cache(block.cache_control, place), place })
    }

    fn media<'a>(&mut self, source: Option<request::Source<'a>>, place: Place) -> Option<Media<'a>> {
        let Some(source) = source else {
            self.wrong(place.field("source"), "is required");
            return None;
        };
        self.unnamed(&source.unknown, place.field("source"));
        if source.media_type.as_deref().is_some_and(|kind| !is_media_type(kind)) {
            self.wrong(place.field("source/media_type"), "expected a media type");
        }
        let (member, made): (_, fn(_) -> MediaSource<'a>) = match source.kind.as_deref() {
            Some("base64") => (source.data, MediaSource::Base64),
            Some("text") => (source.data, MediaSource::Text),
            Some("url") => (source.url, MediaSource::Url),
            Some("file") => (source.file_id, MediaSource::File),
            _ => {
                self.wrong(place.field("source/type"), "expected `base64`, `url`, `file`, `text` or `content`");
                return None;
            }
        };
        Some(Media { media_type: source.media_type.map(|kind| kind.0), source: made(self.required(member, place.field("source")).0) })
    }

    fn thinking_block<'a>(&mut self, raw: Raw<'a>, place: Place) -> Option<Block<'a>> {
        let block: request::ThinkingBlockParam<'a> = self.parse(raw, place)?;
        self.unnamed(&block.unknown, place);
        // An aborted stream leaves thinking without a signature, or with an empty one.
        let signature = block.signature.filter(|signature| !signature.is_empty()).map(|signature| signature.0);
        let reasoning = Reasoning {
            text: self.required(block.thinking, place.field("thinking")).0,
            issuer: signature.is_some().then_some(ISSUER.into()),
            signature,
            redacted: None,
        };
        Some(Block { kind: BlockKind::Reasoning(reasoning), cache: None, place })
    }

    fn redacted_thinking<'a>(&mut self, raw: Raw<'a>, place: Place) -> Option<Block<'a>> {
        let block: request::RedactedThinkingBlockParam<'a> = self.parse(raw, place)?;
        self.unnamed(&block.unknown, place);
        let redacted = Some(self.required(block.data, place.field("data")).0);
        let reasoning = Reasoning { redacted, issuer: Some(ISSUER.into()), ..Reasoning::default() };
        Some(Block { kind: BlockKind::Reasoning(reasoning), cache: None, place })
    }

    fn tool_use<'a>(&mut self, raw: Raw<'a>, place: Place) -> Option<Block<'a>> {
        let block: request::ToolUseBlockParam<'a> = self.parse(raw, place)?;
        self.unnamed(&block.unknown, place);
        // `direct` is what every call of the caller's own tools says; only another caller says something.
        if block.caller.is_some_and(|caller| request::tag(caller).ok().as_deref() != Some("direct")) {
            self.losses.report_at(&losses::BLOCK_MEMBER, pointer(place, "caller"));
        }
        let kind = BlockKind::ToolCall {
            id: self.required(block.id, place.field("id")).0,
            name: self.required(block.name, place.field("name")).0,
            arguments: block.input.map_or("{}", |input| input.get()).into(),
            freeform: false,
        };
        Some(Block { kind, cache: self.cache(block.cache_control, place), place })
    }

    fn tool_result<'a>(&mut self, raw: Raw<'a>, place: Place) -> Option<Block<'a>> {
        let block: request::ToolResultBlockParam<'a> = self.parse(raw, place)?;
        self.unnamed(&block.unknown, place);
        let content = block.content.map(|content| self.content(content, place.field("content"), |part| place.item("content", part)));
        let kind = BlockKind::ToolResult {
            call_id: self.required(block.tool_use_id, place.field("tool_use_id")).0,
            content: content.unwrap_or_default(),
            is_error: block.is_error,
        };
        Some(Block { kind, cache: self.cache(block.cache_control, place), place })
    }
}

/// Whether `text` is a type, a slash and what may stand behind them in a `data:` URL.
fn is_media_type(text: &str) -> bool {
    text.contains('/') && text.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b',' | b'"' | b'#'))
}

/// A block that only this dialect knows, with everything in it.
fn unknown<'a>(raw: Raw<'a>, kind: std::borrow::Cow<'a, str>, place: Place) -> Block<'a> {
    Block { kind: BlockKind::Unknown { dialect: NAME, kind, raw }, cache: None, place }
}
