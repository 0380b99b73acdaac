//! Tools, and the choice among them.

use super::{Writer, content, settings::Output};
use crate::dialect::{
    Place,
    conversation::{Tool, ToolChoice, ToolKind},
    json::{Array, Object},
    openai_chat::{NAME, losses},
};

/// Writes `tools`, `tool_choice` and `parallel_tool_calls`; none of them where there are no tools, as the API demands.
pub(super) fn write(body: &mut Object<'_>, output: &Output<'_>, output_tool: Option<&str>, writer: &mut Writer<'_>) {
    let request = writer.request;
    if request.tools.is_empty() && output_tool.is_none() {
        return;
    }
    let mut list = body.array("tools");
    request.tools.iter().for_each(|tool| write_tool(&mut list, tool, writer));
    if let (Output::Tool(schema), Some(name)) = (output, output_tool) {
        let mut tool = list.object();
        tool.str("type", "function");
        let mut function = tool.object("function");
        function.str("name", name).str("description", "Gives the answer. Call it exactly once, with the whole answer.");
        function.raw("parameters", schema.map_or(r#"{"type":"object"}"#, |schema| schema.get()));
        function.end();
        tool.end();
    }
    list.end();

    match (&request.tool_choice, output_tool) {
        (Some(ToolChoice::Function(name)), _) => {
            let custom = request
                .tools
                .iter()
                .any(|tool| matches!(&tool.kind, ToolKind::Unknown { dialect, kind, .. } if *dialect == NAME && kind == "custom"));
            let function = request.tools.iter().any(|tool| matches!(&tool.kind, ToolKind::Function { name: known, .. } if known == name));
            write_choice(body, writer.names.at_provider(name).0, !function && custom);
        }
        // The answer itself is a call: beside real tools any call will do, alone it is this one.
        (_, Some(name)) if request.tools.is_empty() => write_choice(body, name, false),
        (_, Some(_)) | (Some(ToolChoice::Required), None) => {
            body.str("tool_choice", "required");
        }
        (Some(ToolChoice::Auto), None) => {
            body.str("tool_choice", "auto");
        }
        (Some(ToolChoice::None), None) => {
            body.str("tool_choice", "none");
        }
        (None, None) => {}
    }
    // Two calls of the output tool would be two answers.
    if let Some(parallel) = request.parallel_tool_calls.or(output_tool.map(|_| false)) {
        body.bool("parallel_tool_calls", parallel && output_tool.is_none());
    }
}

/// Names the tool to call: a function, or `name` stands for a freeform tool of this dialect.
fn write_choice(body: &mut Object<'_>, name: &str, freeform: bool) {
    let kind = if freeform { "custom" } else { "function" };
    let mut choice = body.object("tool_choice");
    choice.str("type", kind);
    let mut tool = choice.object(kind);
    tool.str("name", name);
    tool.end();
    choice.end();
}

fn write_tool(list: &mut Array<'_>, tool: &Tool<'_>, writer: &mut Writer<'_>) {
    let place = tool.place;
    match &tool.kind {
        ToolKind::Function { name, description, parameters, strict } => {
            let (fresh, renamed) = writer.names.at_provider(name);
            let mut object = list.object();
            object.str("type", "function");
            let mut function = object.object("function");
            function.str("name", fresh);
            if renamed {
                writer.lost(&losses::RENAMED_TOOL, place.field("name"));
            }
            if let Some(description) = description {
                function.str("description", description);
            }
            if let Some(parameters) = parameters {
                function.raw("parameters", parameters.get());
            }
            write_strict(&mut function, *strict, place, writer);
            function.end();
            content::write_marker(&mut object, tool.cache.as_ref(), place, writer);
            object.end();
        }
        ToolKind::Unknown { dialect, raw, .. } if *dialect == NAME => list.item().extend_from_slice(raw.get().as_bytes()),
        ToolKind::Unknown { kind, .. } => writer.refuse_foreign(&losses::UNKNOWN_TOOL, kind, place),
    }
}

fn write_strict(function: &mut Object<'_>, strict: Option<bool>, place: Place, writer: &mut Writer<'_>) {
    match strict {
        Some(strict) if writer.target.capabilities.strict_tools => {
            function.bool("strict", strict);
        }
        Some(true) => writer.lost(&losses::STRICT_TOOL, place.field("strict")),
        _ => {}
    }
}
