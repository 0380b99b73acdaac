//! Tools and the choice among them, the functions of old included.

use super::{Reader, content};
use crate::dialect::{
    Place,
    conversation::{Request, Tool, ToolChoice, ToolKind},
    openai_chat::{
        NAME, losses,
        request::{AllowedTools, ChatCompletionRequest, FunctionDefinition, Tool as WireTool},
    },
    wire::{Raw, Str, StrOr, Tag},
};

/// Moves tools and tool choice from `wire` to `request`.
pub(super) fn read<'a>(wire: &mut ChatCompletionRequest<'a>, request: &mut Request<'a>, reader: &mut Reader<'_>) {
    let tools = wire.tools.take().unwrap_or_default().into_iter().enumerate();
    request.tools.extend(tools.filter_map(|(index, raw)| tool(raw, Place::of("tools", index), reader)));
    for (index, definition) in wire.functions.take().unwrap_or_default().into_iter().enumerate() {
        let place = Place::of("functions", index);
        request.tools.extend(function(definition, place, reader).map(|kind| Tool { kind, cache: None, place }));
    }
    request.parallel_tool_calls = wire.parallel_tool_calls;
    request.tool_choice = match (wire.tool_choice.take(), wire.function_call.take()) {
        (Some(StrOr::Str(mode)), _) => choice(&mode, "/tool_choice", reader),
        (Some(StrOr::Or(named)), _) => {
            reader.unknown(&named.unknown, "/tool_choice");
            match (named.allowed_tools, named.function.or(named.custom).and_then(|function| function.name)) {
                (Some(allowed), _) => narrowed(allowed, request, reader),
                (None, Some(name)) => Some(ToolChoice::Function(name.0)),
                (None, None) => {
                    reader.wrong("/tool_choice/function/name", "is missing");
                    None
                }
            }
        }
        (None, Some(StrOr::Str(mode))) => choice(&mode, "/function_call", reader),
        (None, Some(StrOr::Or(function))) => function.name.map(|name| ToolChoice::Function(name.0)),
        (None, None) => None,
    };
}

fn tool<'a>(raw: Raw<'a>, place: Place, reader: &mut Reader<'_>) -> Option<Tool<'a>> {
    match reader.nested::<Tag<'a>>(raw.get(), place)?.0 {
        Some(Str(kind)) if kind != "function" => Some(Tool { kind: ToolKind::Unknown { dialect: NAME, kind, raw }, cache: None, place }),
        _ => {
            let tool: WireTool<'a> = reader.nested(raw.get(), place)?;
            reader.unknown(&tool.unknown, place);
            let Some(mut definition) = tool.function else {
                reader.wrong(place.field("function"), "is missing");
                return None;
            };
            let cache = tool.cache_control.or(definition.cache_control.take()).as_deref().map(content::cache_marker);
            function(definition, place.field("function"), reader).map(|kind| Tool { kind, cache, place: place.wrapped("function") })
        }
    }
}

fn function<'a>(definition: FunctionDefinition<'a>, place: Place, reader: &mut Reader<'_>) -> Option<ToolKind<'a>> {
    reader.unknown(&definition.unknown, place);
    if let Some(parameters) = definition.parameters
        && !parameters.get().starts_with('{')
    {
        reader.wrong(format_args!("{place}/parameters"), "expected an object");
    }
    let Some(name) = definition.name else {
        reader.wrong(format_args!("{place}/name"), "is missing");
        return None;
    };
    Some(ToolKind::Function {
        name: name.0,
        description: definition.description.map(|text| text.0),
        parameters: definition.parameters,
        strict: definition.strict,
    })
}

fn choice<'a>(mode: &str, path: &str, reader: &mut Reader<'_>) -> Option<ToolChoice<'a>> {
    match mode {
        "auto" => Some(ToolChoice::Auto),
        "none" => Some(ToolChoice::None),
        // `any` is what Mistral says.
        "required" | "any" => Some(ToolChoice::Required),
        _ => {
            reader.wrong(path, "expected auto, none, required or a named tool");
            None
        }
    }
}

/// Leaves only the allowed tools: the hub has no word for "these, but keep the others in mind".
fn narrowed<'a>(allowed: AllowedTools<'a>, request: &mut Request<'a>, reader: &mut Reader<'_>) -> Option<ToolChoice<'a>> {
    let tools = allowed.tools.unwrap_or_default();
    let names: Vec<&str> = tools.iter().filter_map(|tool| tool.function.as_ref()?.name.as_deref()).collect();
    request.tools.retain(|tool| !matches!(&tool.kind, ToolKind::Function { name, .. } if !names.contains(&&**name)));
    reader.lost(&losses::ALLOWED_TOOLS, Place::member("tool_choice/allowed_tools"));
    choice(allowed.mode.as_deref().unwrap_or("auto"), "/tool_choice/allowed_tools/mode", reader)
}
