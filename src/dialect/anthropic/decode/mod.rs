//! A Messages request, read into the hub.

mod content;

use super::{NAME, losses, request};
use crate::{
    dialect::{
        GATEWAY_MEMBERS, Losses, Place,
        conversation::{CacheMarker, Effort, Instruction, OutputFormat, ReasoningConfig, Request, Role, Tool, ToolChoice, ToolKind, Turn},
        wire::{self, Raw, Str, StrOr, Unknown},
    },
    fault::Detail,
};

/// Reads `body`. What the hub has no word for is reported to `losses`.
///
/// # Errors
/// Each place that is not the API's shape.
pub fn decode<'a>(body: &'a str, losses: &mut Losses) -> Result<Request<'a>, Vec<Detail>> {
    let params: request::MessageCreateParams<'a> = match wire::read(body) {
        Ok(params) => params,
        Err(detail) => return Err(vec![detail]),
    };
    let mut reader = Reader { losses, details: Vec::new() };
    let request = reader.request(params);
    if reader.details.is_empty() { Ok(request) } else { Err(reader.details) }
}

/// Collects what is wrong and what is lost while the request is read.
struct Reader<'l> {
    losses: &'l mut Losses,
    details: Vec<Detail>,
}

impl Reader<'_> {
    fn request<'a>(&mut self, params: request::MessageCreateParams<'a>) -> Request<'a> {
        for (name, _) in params.unknown.iter().filter(|(name, _)| !GATEWAY_MEMBERS.contains(&&**name)) {
            self.losses.report_at(&losses::MEMBER, pointer(Place::ROOT, name));
        }
        let mut request = Request {
            model: self.required(params.model, Place::member("model")).0,
            stream: params.stream.unwrap_or(false),
            stop: params.stop_sequences.unwrap_or_default().into_iter().map(|stop| stop.0).collect(),
            temperature: params.temperature,
            top_p: params.top_p,
            top_k: params.top_k,
            service_tier: params.service_tier.map(|tier| tier.0),
            ..Request::default()
        };
        match params.max_tokens.map(wire::Number::count) {
            Some(Some(tokens)) => request.max_output_tokens = Some(tokens),
            Some(None) => self.wrong(Place::member("max_tokens"), "expected a whole number"),
            None => self.wrong(Place::member("max_tokens"), "is required"),
        }
        if let Some(metadata) = params.metadata {
            self.unnamed(&metadata.unknown, Place::member("metadata"));
            request.user = metadata.user_id.map(|id| id.0);
        }
        if let Some(system) = params.system {
            self.instructions(&mut request, system, Place::member("system"), |index| Place::of("system", index));
        }
        match params.messages {
            Some(messages) => messages.into_iter().enumerate().for_each(|(index, message)| self.message(&mut request, index, message)),
            None => self.wrong(Place::member("messages"), "is required"),
        }
        for (index, raw) in params.tools.unwrap_or_default().into_iter().enumerate() {
            let place = Place::of("tools", index);
            request.tools.extend(self.tool(raw, place));
        }
        if let Some(choice) = params.tool_choice {
            self.tool_choice(&mut request, choice);
        }
        self.thinking(&mut request, params.thinking, params.output_config, params.output_format);
        request
    }

    /// The system prompt, or a `system` message among the others.
    fn instructions<'a>(
        &mut self,
        request: &mut Request<'a>,
        content: StrOr<'a, Vec<request::TextBlockParam<'a>>>,
        whole: Place,
        part: impl Fn(usize) -> Place,
    ) {
        let after = request.turns.len();
        let mut push = |text, cache, place| request.instructions.push(Instruction { text, developer: false, after, cache, place });
        match content {
            StrOr::Str(text) => push(text.0, None, whole),
            StrOr::Or(blocks) => {
                for (index, block) in blocks.into_iter().enumerate() {
                    let place = part(index);
                    self.unnamed(&block.unknown, place);
                    push(self.required(block.text, place.field("text")).0, self.cache(block.cache_control, place), place);
                }
            }
        }
    }

    fn message<'a>(&mut self, request: &mut Request<'a>, index: usize, message: request::MessageParam<'a>) {
        let place = Place::of("messages", index);
        self.unnamed(&message.unknown, place);
        let Some(content) = message.content else {
            return self.wrong(place.field("content"), "is required");
        };
        let role = match message.role.as_deref() {
            Some("user") => Role::User,
            Some("assistant") => Role::Assistant,
            Some("system") => return self.system_message(request, content, index),
            _ => return self.wrong(place.field("role"), "expected `user`, `assistant` or `system`"),
        };
        let blocks = self.content(content, place.field("content"), |part| place.item("content", part));
        request.turns.push(Turn { role, name: None, blocks, place });
    }

    fn system_message<'a>(&mut self, request: &mut Request<'a>, content: request::Content<'a>, index: usize) {
        let place = Place::of("messages", index);
        let content = match content {
            StrOr::Str(text) => StrOr::Str(text),
            StrOr::Or(raws) => {
                let blocks = raws.into_iter().enumerate();
                StrOr::Or(blocks.filter_map(|(part, raw)| self.parse(raw, place.item("content", part))).collect())
            }
        };
        self.instructions(request, content, place.field("content"), |part| place.item("content", part));
    }

    fn tool<'a>(&mut self, raw: Raw<'a>, place: Place) -> Option<Tool<'a>> {
        let kind = self.tag(raw, place)?;
        if !matches!(&*kind, "" | "custom") {
            return Some(Tool { kind: ToolKind::Unknown { dialect: NAME, kind, raw }, cache: None, place });
        }
        let tool: request::ToolParam<'a> = self.parse(raw, place)?;
        self.unnamed(&tool.unknown, place);
        if tool.input_schema.is_some_and(|schema| !schema.get().starts_with('{')) {
            self.wrong(place.field("input_schema"), "expected an object");
        }
        let kind = ToolKind::Function {
            name: self.required(tool.name, place.field("name")).0,
            description: tool.description.map(|description| description.0),
            parameters: tool.input_schema,
            strict: tool.strict,
        };
        Some(Tool { kind, cache: self.cache(tool.cache_control, place), place })
    }

    fn tool_choice<'a>(&mut self, request: &mut Request<'a>, choice: request::ToolChoiceParam<'a>) {
        self.unnamed(&choice.unknown, Place::member("tool_choice"));
        request.parallel_tool_calls = choice.disable_parallel_tool_use.map(|disable| !disable);
        request.tool_choice = match choice.kind.as_deref() {
            Some("auto") => Some(ToolChoice::Auto),
            Some("any") => Some(ToolChoice::Required),
            Some("none") => Some(ToolChoice::None),
            Some("tool") => Some(ToolChoice::Function(self.required(choice.name, Place::member("tool_choice/name")).0)),
            _ => {
                self.wrong(Place::member("tool_choice/type"), "expected `auto`, `any`, `tool` or `none`");
                None
            }
        };
    }

    fn thinking<'a>(
        &mut self,
        request: &mut Request<'a>,
        thinking: Option<request::ThinkingConfigParam<'a>>,
        config: Option<request::OutputConfigParam<'a>>,
        format: Option<request::OutputFormatParam<'a>>,
    ) {
        let mut reasoning = ReasoningConfig::default();
        if let Some(thinking) = thinking {
            self.unnamed(&thinking.unknown, Place::member("thinking"));
            reasoning.budget_tokens = thinking.budget_tokens.and_then(wire::Number::count);
            reasoning.at.budget_tokens = reasoning.budget_tokens.map_or("", |_| "thinking/budget_tokens");
            match thinking.kind.as_deref() {
                Some("enabled") => reasoning.enabled = Some(true),
                Some("disabled") => reasoning.enabled = Some(false),
                Some("adaptive") => (reasoning.enabled, reasoning.adaptive) = (Some(true), true),
                Some(_) => self.losses.report(&losses::BLOCK_MEMBER, Place::member("thinking/type")),
                None => self.wrong(Place::member("thinking/type"), "is required"),
            }
            reasoning.at.enabled = reasoning.enabled.map_or("", |_| "thinking");
        }
        let mut place = "output_format";
        let mut format = format;
        if let Some(config) = config {
            self.unnamed(&config.unknown, Place::member("output_config"));
            reasoning.effort = config.effort.map(|effort| Effort::from_name(&effort));
            reasoning.at.effort = reasoning.effort.as_ref().map_or("", |_| "output_config/effort");
            if config.format.is_some() {
                (format, place) = (config.format, "output_config/format");
            }
        }
        request.reasoning = (reasoning != ReasoningConfig::default()).then_some(reasoning);
        request.output_format_at = place;
        request.output_format = format.map(|format| {
            self.unnamed(&format.unknown, Place::member(place));
            OutputFormat::JsonSchema { name: None, description: None, schema: format.schema, strict: Some(true) }
        });
    }

    /// Parses one variant of an open union.
    fn parse<'a, T: wire::Wire<'a>>(&mut self, raw: Raw<'a>, place: Place) -> Option<T> {
        match wire::read(raw.get()) {
            Ok(value) => Some(value),
            Err(detail) => {
                self.details.push(Detail { path: format!("{place}{}", detail.path), ..detail });
                None
            }
        }
    }

    /// The `type` of an open union's element.
    fn tag<'a>(&mut self, raw: Raw<'a>, place: Place) -> Option<std::borrow::Cow<'a, str>> {
        let tag = request::tag(raw).ok();
        if tag.is_none() {
            self.wrong(place, "expected an object with a `type`");
        }
        tag
    }

    fn cache<'a>(&mut self, cache: Option<request::CacheControl<'a>>, place: Place) -> Option<CacheMarker<'a>> {
        let cache = cache?;
        self.unnamed(&cache.unknown, place.field("cache_control"));
        Some(CacheMarker { ttl: cache.ttl.map(|ttl| ttl.0) })
    }

    /// A string that must be there.
    fn required<'a>(&mut self, value: Option<Str<'a>>, place: Place) -> Str<'a> {
        value.unwrap_or_else(|| {
            self.wrong(place, "is required");
            Str::default()
        })
    }

    fn wrong(&mut self, place: Place, message: &str) {
        self.details.push(Detail { path: place.to_string(), message: message.to_owned() });
    }

    /// Reports the members of the object at `place` that its type does not name.
    fn unnamed(&mut self, unknown: &Unknown<'_>, place: Place) {
        for (name, _) in unknown.iter().filter(|(_, value)| value.get() != "null") {
            self.losses.report_at(&losses::BLOCK_MEMBER, pointer(place, name));
        }
    }
}

/// A member's JSON Pointer, its name escaped.
fn pointer(place: Place, name: &str) -> String {
    format!("{place}/{}", name.replace('~', "~0").replace('/', "~1"))
}
