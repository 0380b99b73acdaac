//! Reads the members that the gateway acts on, and leaves the rest alone.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Instant, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use serde::Deserialize;
use smallvec::SmallVec;

use super::head::{Head, MAX_NOTE, text};
use crate::{
    dialect::{
        Dialect, GATEWAY_MEMBERS,
        scan::{MAX_DEPTH, Members, ScanError},
    },
    fault::{Detail, Fault, FaultKind},
    stage::{Call, CallFacts, Fidelity, GenerationId, Operation, Payload, Preferences, Sort},
};

/// What is known of a call before its body is read.
#[derive(Debug)]
pub(super) struct Asked<'h> {
    pub(super) operation: Operation,
    pub(super) dialect: &'static dyn Dialect,
    pub(super) id: GenerationId,
    pub(super) started: Instant,
    pub(super) head: Head<'h>,
}

/// Members of the dialects that the gateway acts on.
const SHARED: [&str; 3] = ["model", "stream", "stream_options"];
/// These, and the gateway's own behind them.
const ALL: [&str; 8] = {
    let ([a, b, c], [d, e, f, g, h]) = (SHARED, GATEWAY_MEMBERS);
    [a, b, c, d, e, f, g, h]
};

const X_GATEWAY_PROVIDER: HeaderName = HeaderName::from_static("x-gateway-provider");
const X_GATEWAY_FIDELITY: HeaderName = HeaderName::from_static("x-gateway-fidelity");
const X_GATEWAY_METADATA: HeaderName = HeaderName::from_static("x-gateway-metadata");

/// The most models to fall back to: each is looked up, and may be made for its name.
const MAX_MODELS: usize = 32;
/// The most JSON text, in bytes, of a member that is read into values.
const MAX_CONTROL: usize = 64 << 10;

/// Finds the members of a call's body, for [`read`].
///
/// # Errors
/// Why it is none.
pub(super) fn scan(body: &[u8]) -> Result<Box<Members>, Fault> {
    Members::scan(body).map(Box::new).map_err(|error| unreadable(body, error))
}

/// Makes the call that `body` and `headers` ask for. With `own` unset, the gateway's own members are left alone. What was
/// `scanned` is not scanned again.
///
/// # Errors
/// What is wrong, and where.
pub(super) fn read(body: Bytes, scanned: Option<Box<Members>>, asked: Asked<'_>, headers: &HeaderMap, own: bool) -> Result<Call, Fault> {
    let Asked { operation, dialect, id, started, head } = asked;
    let mut members = Members::default();
    match scanned {
        Some(scanned) => members = *scanned,
        None => members.visit_into(&body, |_, _| ()).map_err(|error| unreadable(&body, error))?,
    }
    let reader = Reader::new(&body, &members, if own { &ALL } else { &SHARED })?;
    let model = match reader.text("model").and_then(plain) {
        Some(model) => model.to_owned(),
        None => reader.required("model", "a string")?,
    };
    if model.is_empty() {
        return Err(Fault::invalid("/model", "is empty"));
    }
    let stream = reader.flag("stream")?.unwrap_or(false);
    if stream && !operation.streams() {
        return Err(Fault::invalid("/stream", format!("{} cannot be streamed", operation.name())));
    }
    let options = if dialect.name() == "openai-chat" { reader.value::<StreamOptions>("stream_options", "an object")? } else { None };
    let usage = reader.flag("usage")?;
    let include_usage = usage == Some(true) || options.is_some_and(|options| options.include_usage == Some(true));
    let meta = reader.flag("meta")?.unwrap_or(false);
    let preferences = preferences(&reader, head.wishes.then_some(headers))?;
    drop(reader);
    let facts = Arc::new(CallFacts {
        operation,
        dialect,
        id,
        model,
        stream,
        include_usage,
        rich_usage: usage != Some(false),
        meta,
        preferences,
        app: head.app().map(str::to_owned),
        members,
        started,
        created: SystemTime::now(),
    });
    Ok(Call::new(facts, Payload::Whole(body)))
}

fn preferences(reader: &Reader<'_>, headers: Option<&HeaderMap>) -> Result<Preferences, Fault> {
    let mut preferences = Preferences {
        models: reader.value("models", "a list of model ids")?.unwrap_or_default(),
        session_id: reader.value("session_id", "a string")?,
        ..Preferences::default()
    };
    if preferences.models.len() > MAX_MODELS {
        return Err(Fault::invalid("/models", format!("there are more than {MAX_MODELS}")));
    }
    if let Some(text) = reader.short("provider")? {
        let wishes: Option<ProviderMember> = serde_json::from_str(text).map_err(|error| {
            let message = error.to_string();
            let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
            // The members' names are ours; a wrong value is not repeated.
            let known = if message.starts_with("unknown field") { message } else { "has a member of the wrong type" };
            Fault::invalid("/provider", known.chars().take(256).collect::<String>())
        })?;
        wishes.unwrap_or_default().apply(&mut preferences);
    }
    // Most calls have none of these headers.
    if let Some(headers) = headers {
        prefer(headers, &mut preferences)?;
    }
    Ok(preferences)
}

/// What the headers say goes before what the body says.
fn prefer(headers: &HeaderMap, preferences: &mut Preferences) -> Result<(), Fault> {
    if let Some(names) = requested(headers, &X_GATEWAY_PROVIDER)? {
        preferences.only = names.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
    }
    if let Some(fidelity) = requested(headers, &X_GATEWAY_FIDELITY)? {
        preferences.fidelity = Some(match fidelity {
            "strict" => Fidelity::Strict,
            "report" => Fidelity::Report,
            _ => return Err(Fault::invalid("", "header x-gateway-fidelity is `strict` or `report`")),
        });
    }
    if let Some(metadata) = requested(headers, &X_GATEWAY_METADATA)? {
        preferences.metadata = serde_json::from_str::<BTreeMap<String, String>>(metadata)
            .map_err(|_| Fault::invalid("", "header x-gateway-metadata is a JSON object of strings"))?;
    }
    Ok(())
}

/// The text of a header that asks for something. One that cannot be read is refused: what it asks for is not passed over
/// in silence.
fn requested<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Fault> {
    match (headers.get_all(name).iter().count(), headers.get(name).and_then(text)) {
        (0, _) => Ok(None),
        (1, Some(text)) => Ok(Some(text)),
        (1, None) => Err(Fault::invalid("", format!("header {name} is longer than {MAX_NOTE} bytes, or not plain text"))),
        _ => Err(Fault::invalid("", format!("header {name} is there more than once"))),
    }
}

/// What a JSON string without escapes says.
fn plain(json: &str) -> Option<&str> {
    json.strip_prefix('"')?.strip_suffix('"').filter(|inside| !inside.contains('\\'))
}

fn unreadable(body: &[u8], error: ScanError) -> Fault {
    match error {
        ScanError::Depth { .. } => Fault::invalid("", format!("the body is nested deeper than {MAX_DEPTH} levels")),
        ScanError::NoObject => Fault::invalid("", "the body is not a JSON object"),
        ScanError::Syntax { offset } => FaultKind::InvalidJson { offset: offset.min(body.len()) }.into(),
        ScanError::TooMany { .. } => Fault::invalid("", "the body has too many members"),
    }
}

/// The members of the scanned body that are acted on: name and JSON.
struct Reader<'b>(SmallVec<[(&'static str, &'b [u8]); 4]>);

impl<'b> Reader<'b> {
    /// Finds those with these `names`. None may be there twice, since parsers disagree on which of two counts.
    fn new(body: &'b [u8], members: &Members, names: &[&'static str]) -> Result<Self, Fault> {
        let mut found = SmallVec::<[(&'static str, &'b [u8]); 4]>::new();
        for member in members {
            let Some(&name) = names.iter().find(|name| member.is(body, name)) else { continue };
            if found.iter().any(|(other, _)| *other == name) {
                return Err(Fault::invalid(format!("/{name}"), "is there more than once"));
            }
            found.push((name, member.bytes(body)));
        }
        Ok(Self(found))
    }

    /// A member's JSON text.
    fn text(&self, name: &str) -> Option<&'b str> {
        let (_, json) = self.0.iter().find(|(found, _)| *found == name)?;
        std::str::from_utf8(json).ok()
    }

    fn optional<T: Deserialize<'b>>(&self, name: &str, expected: &str) -> Result<Option<T>, Fault> {
        self.short(name)?
            .map(serde_json::from_str)
            .transpose()
            .map_err(|_| Fault::invalid(format!("/{name}"), format!("expected {expected}")))
    }

    /// A member's JSON text, which is read into values: many short ones take a multiple of its length.
    fn short(&self, name: &str) -> Result<Option<&'b str>, Fault> {
        match self.text(name) {
            Some(text) if text.len() > MAX_CONTROL => {
                Err(Fault::invalid(format!("/{name}"), format!("is longer than {MAX_CONTROL} bytes")))
            }
            text => Ok(text),
        }
    }

    /// A member that may be absent, or `null`.
    fn value<T: Deserialize<'b>>(&self, name: &str, expected: &str) -> Result<Option<T>, Fault> {
        Ok(self.optional::<Option<T>>(name, expected)?.flatten())
    }

    fn flag(&self, name: &str) -> Result<Option<bool>, Fault> {
        self.value(name, "true or false")
    }

    fn required<T: Deserialize<'b>>(&self, name: &str, expected: &str) -> Result<T, Fault> {
        let detail = || Detail { path: format!("/{name}"), message: "is required".to_owned() };
        self.optional(name, expected)?.ok_or_else(|| FaultKind::InvalidRequest(vec![detail()]).into())
    }
}

#[derive(Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

/// The `provider` member.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProviderMember {
    #[serde(default)]
    order: Vec<String>,
    #[serde(default)]
    only: Vec<String>,
    #[serde(default)]
    ignore: Vec<String>,
    sort: Option<Sort>,
    #[serde(default)]
    max_price: BTreeMap<String, Decimal>,
    allow_fallbacks: Option<bool>,
    require_parameters: Option<bool>,
}

/// A decimal as a string or a number, kept as written.
#[derive(Deserialize)]
#[serde(untagged)]
enum Decimal {
    Text(String),
    Number(f64),
}

impl ProviderMember {
    fn apply(self, preferences: &mut Preferences) {
        preferences.order = self.order;
        preferences.only = self.only;
        preferences.ignore = self.ignore;
        preferences.sort = self.sort;
        preferences.allow_fallbacks = self.allow_fallbacks;
        preferences.require_parameters = self.require_parameters.unwrap_or(false);
        let decimal = |value| match value {
            Decimal::Text(text) => text,
            Decimal::Number(number) => number.to_string(),
        };
        preferences.max_price = self.max_price.into_iter().map(|(meter, value)| (meter, decimal(value))).collect();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn control(body: &str) -> Result<Arc<CallFacts>, String> {
        let dialect = crate::stage::Endpoint::dialect_of("/v1/chat/completions", &HeaderMap::new());
        let id = GenerationId::generate(SystemTime::UNIX_EPOCH);
        let asked = Asked { operation: Operation::Chat, dialect, id, started: Instant::now(), head: Head::default() };
        let call = read(Bytes::copy_from_slice(body.as_bytes()), None, asked, &HeaderMap::new(), true);
        call.map(|call| call.facts().clone()).map_err(|fault| fault.to_string())
    }

    #[test]
    fn control_members_are_read_and_checked() {
        let control = control(
            r#"{"model":"m","stream":true,"stream_options":{"include_usage":true},"meta":true,"models":["b"],
                "provider":{"order":["x"],"max_price":{"input":"0.5","output":2}},"other":1e999}"#,
        )
        .unwrap();
        assert_eq!((control.model.as_str(), control.stream, control.include_usage, control.meta), ("m", true, true, true));
        assert_eq!(control.preferences.models, ["b"]);
        assert_eq!(control.preferences.max_price["output"], "2");
    }

    #[test]
    fn each_mistake_is_named() {
        for (body, expected) in [
            ("{not json", "the request body is not JSON (at byte 1)"),
            ("[]", "the body is not a JSON object"),
            ("{}", "/model: is required"),
            (r#"{"model":null}"#, "/model: expected a string"),
            (r#"{"model":7}"#, "/model: expected a string"),
            (r#"{"model":""}"#, "/model: is empty"),
            (r#"{"model":"a","mod\u0065l":"b"}"#, "/model: is there more than once"),
            (r#"{"model":"a","stream":"yes"}"#, "/stream: expected true or false"),
            (r#"{"model":"a","stream_options":3}"#, "/stream_options: expected an object"),
            (r#"{"model":"a","models":"b"}"#, "/models: expected a list of model ids"),
            (r#"{"model":"a","usage":1}"#, "/usage: expected true or false"),
            (r#"{"model":"a","provider":{"order":3}}"#, "/provider: has a member of the wrong type"),
        ] {
            assert_eq!(control(body).unwrap_err(), expected, "{body}");
        }
        assert!(control(r#"{"model":"a","provider":{"odrer":[]}}"#).unwrap_err().contains("unknown field `odrer`"));
        for name in ["models", "provider", "stream_options", "session_id"] {
            let long = format!(r#"{{"model":"a","{name}":["{}"]}}"#, "b".repeat(MAX_CONTROL));
            assert_eq!(control(&long).unwrap_err(), format!("/{name}: is longer than 65536 bytes"));
        }
        let deep = format!(r#"{{"model":"a","x":{}{}}}"#, "[".repeat(128), "]".repeat(128));
        assert!(control(&deep).unwrap_err().contains("deeper than 128"));
    }
}
