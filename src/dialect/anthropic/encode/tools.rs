//! Tools, and which of them to call.

use super::{Writer, blocks::cache_control, output, output::Output, thinking::Plan};
use crate::dialect::{
    Place,
    anthropic::{NAME, losses},
    conversation::{Request, Tool, ToolChoice, ToolKind},
    json::{Array, Object},
};

/// The names of the caller's own tools.
pub fn names<'r>(request: &'r Request<'_>) -> impl Iterator<Item = &'r str> + Clone {
    request.tools.iter().filter_map(|tool| match &tool.kind {
        ToolKind::Function { name, .. } => Some(&**name),
        ToolKind::Unknown { .. } => None,
    })
}

impl Writer<'_, '_, '_> {
    /// Writes `tools` and `tool_choice`. No tools, no choice.
    pub(super) fn tools(&mut self, output: &Output<'_>, plan: &Plan, body: &mut Object<'_>) {
        if self.request.tools.is_empty() && output.tool().is_none() {
            return;
        }
        let mut tools = body.array("tools");
        self.request.tools.iter().for_each(|tool| self.tool(tool, &mut tools));
        if let Output::Tool { name, description, schema } = output {
            output::write_tool(name, description, *schema, &mut tools);
        }
        tools.end();
        self.tool_choice(output, plan, body);
    }

    fn tool(&mut self, tool: &Tool<'_>, tools: &mut Array<'_>) {
        match &tool.kind {
            ToolKind::Function { name, description, parameters, strict } => {
                if name.is_empty() {
                    self.wrong(tool.place.field("name"), "the tool has no name");
                }
                let written = self.tool_names.conforming(name);
                if written != &**name {
                    self.losses.report(&losses::TOOL_NAME, tool.place.field("name"));
                }
                let mut object = tools.object();
                object.str("name", written);
                if let Some(description) = description {
                    object.str("description", description);
                }
                output::input_schema(*parameters, &mut object);
                match strict {
                    Some(strict) if self.target.capabilities.strict_tools => _ = object.bool("strict", *strict),
                    Some(true) => self.losses.report(&losses::STRICT_TOOL, tool.place.field("strict")),
                    _ => {}
                }
                cache_control(tool.cache.as_ref(), &mut object);
                object.end();
            }
            ToolKind::Unknown { dialect, raw, .. } if *dialect == NAME => tools.item().extend_from_slice(raw.get().as_bytes()),
            ToolKind::Unknown { kind, .. } => self.refuse_foreign(&losses::FOREIGN_TOOL, kind, tool.place),
        }
    }

    fn tool_choice(&mut self, output: &Output<'_>, plan: &Plan, body: &mut Object<'_>) {
        let request = self.request;
        let serial = request.parallel_tool_calls == Some(false);
        // An output tool is called once, or its JSON would come twice.
        let (mut kind, mut name, serial) = match (output.tool(), &request.tool_choice) {
            (Some(tool), Some(ToolChoice::None)) => ("tool", Some(tool), true),
            (Some(tool), _) if request.tools.is_empty() => ("tool", Some(tool), true),
            (Some(_), _) => ("any", None, true),
            (None, Some(ToolChoice::None)) => ("none", None, false),
            (None, Some(ToolChoice::Required)) => ("any", None, serial),
            (None, Some(ToolChoice::Function(name))) => ("tool", Some(self.tool_names.conforming(name)), serial),
            (None, Some(ToolChoice::Auto)) => ("auto", None, serial),
            (None, None) if serial => ("auto", None, true),
            (None, None) => return,
        };
        if plan.thinks() && matches!(kind, "any" | "tool") {
            self.losses.report(&losses::TOOL_CHOICE_THINKING, Place::member("tool_choice"));
            (kind, name) = ("auto", None);
        }
        let mut choice = body.object("tool_choice");
        choice.word("type", kind);
        if let Some(name) = name {
            choice.str("name", name);
        }
        if serial {
            choice.bool("disable_parallel_tool_use", true);
        }
        choice.end();
    }
}
