//! The answer's form: the model's own structured output, or an honest emulation by a tool that it must call.

use std::fmt::Write as _;

use bytes::Bytes;

use super::Writer;
use crate::dialect::{
    Edits, Place, StructuredOutput,
    anthropic::losses,
    conversation::{OutputFormat, ToolChoice},
    json::{Array, Object},
    scan::Members,
    wire::Raw,
};

/// How the answer's form is asked for.
#[derive(Debug)]
pub enum Output<'r> {
    /// Not at all.
    Free,
    /// As `output_config.format`.
    Schema(&'r str),
    /// As the input of a tool.
    Tool {
        /// Its name, unlike that of any other tool.
        name: String,
        /// What it is for.
        description: String,
        /// Its input's JSON Schema; `None` for any object.
        schema: Option<Raw<'r>>,
    },
}

impl<'r> Output<'r> {
    /// Decides it for the writer's request and target.
    pub(super) fn plan<'a: 'r>(writer: &mut Writer<'r, 'a, '_>) -> Self {
        let request = writer.request;
        let place = Place::member(request.output_format_at);
        let (schema, description) = match &request.output_format {
            None => return Self::Free,
            // The call of a forced tool is the whole answer: there is no text to give a form to.
            Some(_) if matches!(request.tool_choice, Some(ToolChoice::Function(_))) && !request.tools.is_empty() => return Self::Free,
            Some(OutputFormat::JsonObject) => (None, None),
            Some(OutputFormat::JsonSchema { schema, description, .. }) => (*schema, description.as_deref()),
        };
        match schema {
            Some(schema) if writer.target.capabilities.structured_output == StructuredOutput::Schema => return Self::Schema(schema.get()),
            Some(schema) if !takes_object(schema) => {
                writer.refuse(&losses::OUTPUT_SCHEMA, Place::member("response_format/json_schema/schema"));
            }
            Some(_) => writer.losses.report(&losses::OUTPUT_EMULATED, place),
            None => writer.losses.report(&losses::JSON_OBJECT, place),
        }
        let mut name = String::from("answer");
        while super::tools::names(request).any(|tool| tool == name) {
            name.push('_');
        }
        let mut purpose = String::from("Gives the final answer as JSON. Call it exactly once, with nothing but the answer.");
        if let Some(description) = description {
            let _ = write!(purpose, " {description}");
        }
        Self::Tool { name, description: purpose, schema }
    }

    /// The name of the tool that stands for the answer.
    pub fn tool(&self) -> Option<&str> {
        match self {
            Self::Tool { name, .. } => Some(name),
            _ => None,
        }
    }

    /// The name of the tool that stands for the answer.
    pub fn into_tool(self) -> Option<String> {
        match self {
            Self::Tool { name, .. } => Some(name),
            _ => None,
        }
    }

    /// The schema for `output_config.format`.
    pub fn schema(&self) -> Option<&str> {
        match self {
            Self::Schema(schema) => Some(schema),
            _ => None,
        }
    }
}

/// Writes the output tool.
pub fn write_tool(name: &str, description: &str, schema: Option<Raw<'_>>, tools: &mut Array<'_>) {
    let mut tool = tools.object();
    tool.str("name", name).str("description", description);
    match schema {
        Some(schema) => input_schema(Some(schema), &mut tool),
        None => _ = tool.raw("input_schema", r#"{"type":"object","additionalProperties":true}"#),
    }
    tool.end();
}

/// Writes a tool's `input_schema`. The API wants `type: object` said.
pub fn input_schema(schema: Option<Raw<'_>>, tool: &mut Object<'_>) {
    let out = tool.key("input_schema");
    match schema.map(|schema| schema.get()).filter(|schema| schema.starts_with('{')) {
        Some(schema) if schema_type(schema).is_some() => out.extend_from_slice(schema.as_bytes()),
        Some(schema) => {
            let body = Bytes::copy_from_slice(schema.as_bytes());
            let members = Members::of(&body, &(0..body.len()));
            let mut edits = Edits::default();
            edits.remove(&body, &members, "type");
            edits.prepend(&members, "type", r#""object""#);
            edits.apply(&body).iter().for_each(|part| out.extend_from_slice(part));
        }
        None => out.extend_from_slice(br#"{"type":"object","properties":{}}"#),
    }
}

/// Whether a tool's input may have this schema.
fn takes_object(schema: Raw<'_>) -> bool {
    schema.get().starts_with('{') && schema_type(schema.get()).is_none_or(|kind| kind == r#""object""#)
}

/// The JSON text of a schema's `type`, which may be a list.
///
/// It is looked up, not parsed: whatever else a caller's schema holds, as long as it is JSON, is not ours to judge.
fn schema_type(schema: &str) -> Option<&str> {
    let members = Members::of(schema.as_bytes(), &(0..schema.len()));
    members.find(schema.as_bytes(), "type").map(|kind| kind.text(schema.as_bytes())).filter(|kind| *kind != "null")
}
