//! The answer's form: the model's own structured output, or an honest emulation by a tool that it must call.

use std::fmt::Write as _;

use serde::Deserialize;

use super::Writer;
use crate::dialect::{
    Place, StructuredOutput,
    anthropic::losses,
    conversation::{OutputFormat, ToolChoice},
    json::{Array, Object},
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
        let place = Place::member("response_format");
        let request = writer.request;
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
                writer.refuse(place.field("response_format/json_schema/schema"), "expected an object's schema")
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
    match schema {
        Some(schema) if schema_type(schema).is_some() => _ = tool.raw("input_schema", schema.get()),
        other => {
            let out = tool.key("input_schema");
            out.extend_from_slice(br#"{"type":"object""#);
            match other.and_then(|schema| schema.get().trim_start().strip_prefix('{')).map(str::trim_start) {
                // The schema's own members follow, up to its closing brace.
                Some(members) if !members.starts_with('}') => {
                    out.extend_from_slice(b",");
                    out.extend_from_slice(members.as_bytes());
                }
                Some(_) => out.extend_from_slice(b"}"),
                None => out.extend_from_slice(br#","properties":{}}"#),
            }
        }
    }
}

/// Whether a tool's input may have this schema.
fn takes_object(schema: Raw<'_>) -> bool {
    schema.get().starts_with('{') && schema_type(schema).is_none_or(|kind| kind.get() == r#""object""#)
}

/// The schema's `type`, which may be a list.
fn schema_type(schema: Raw<'_>) -> Option<Raw<'_>> {
    #[derive(Deserialize)]
    struct Typed<'a> {
        #[serde(borrow, rename = "type")]
        kind: Option<Raw<'a>>,
    }
    serde_json::from_str::<Typed<'_>>(schema.get()).ok()?.kind
}
