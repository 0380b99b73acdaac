//! Which path and method mean what: one table.

use http::{HeaderMap, Method, request::Parts};

use crate::dialect::{Dialect, anthropic::AnthropicMessages, openai_chat::OpenAiChat};

/// What a request asks of the gateway, by its path and method.
///
/// Auth uses it to answer in the caller's dialect, Normalize to make the [`Call`](super::Call), the gateway to dispatch.
#[derive(Clone, Copy, Debug)]
pub enum Endpoint {
    /// A call of a model.
    Call {
        /// What is to be done.
        operation: Operation,
        /// In whose words it is asked, and the answer and errors are given.
        dialect: &'static dyn Dialect,
    },
    /// A question that the gateway answers itself.
    Read(Read),
    /// A listed route that this build does not offer.
    Unbuilt,
}

/// What a model is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// A conversation's next turn.
    Chat,
    /// Vectors for texts.
    Embeddings,
    /// Images from a prompt.
    Images,
    /// A verdict on texts or images.
    Moderations,
}

impl Operation {
    /// Each of them.
    pub const ALL: [Self; 4] = [Self::Chat, Self::Embeddings, Self::Images, Self::Moderations];

    /// Its name in records, scopes and filters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Embeddings => "embeddings",
            Self::Images => "images",
            Self::Moderations => "moderations",
        }
    }

    /// Whether its answer can be streamed.
    pub const fn streams(self) -> bool {
        matches!(self, Self::Chat | Self::Images)
    }
}

/// A question that the gateway answers itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Read {
    /// `/v1/models` and its aliases.
    Models,
    /// `/v1/models/{id}`.
    Model,
    /// `/v1/generations` and its aliases.
    Generation,
    /// `/v1/health`.
    Health,
    /// `/healthz`: alive.
    Alive,
}

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Whoever holds a key.
    Keyed,
    /// Anybody.
    Open,
}

/// Why a request has no endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The path is listed, with other methods: the `Allow` header's value.
    Method(&'static str),
    /// The path is not listed.
    Path,
}

/// For the methods of a path that takes any.
const ANY: &str = "*";

const CHAT: &dyn Dialect = &OpenAiChat;
const MESSAGES: &dyn Dialect = &AnthropicMessages;

impl Endpoint {
    /// What a request with this head asks.
    ///
    /// # Errors
    /// The path is not listed, or not with this method.
    pub fn of(parts: &Parts) -> Result<Self, Missing> {
        Self::at(&parts.method, parts.uri.path())
    }

    /// What `method` on `path` asks. `path` starts at the gateway's mount point: `/v1/...`.
    ///
    /// # Errors
    /// The path is not listed, or not with this method.
    pub fn at(method: &Method, path: &str) -> Result<Self, Missing> {
        let (allow, endpoint) = Self::listed(path).ok_or(Missing::Path)?;
        // Most have one method.
        let named = |name: &str| allow == name || allow.split(", ").any(|allowed| allowed == name);
        let get = *method == Method::HEAD && named("GET");
        if named(method.as_str()) || get || allow == ANY { Ok(endpoint) } else { Err(Missing::Method(allow)) }
    }

    /// The table: a path's methods, and what it asks.
    fn listed(path: &str) -> Option<(&'static str, Self)> {
        let call = |operation, dialect| Some(("POST", Self::Call { operation, dialect }));
        let read = |read| Some(("GET", Self::Read(read)));
        let unbuilt = |allow| Some((allow, Self::Unbuilt));
        match path {
            // Found at once: what is asked most, of several layers.
            "/v1/chat/completions" => return call(Operation::Chat, CHAT),
            "/v1/messages" => return call(Operation::Chat, MESSAGES),
            "/healthz" => return read(Read::Alive),
            _ => {}
        }
        let rest = match path.strip_prefix("/v1/") {
            Some(rest) => rest,
            // Gemini's prefixes; its paths hold the model, which may hold slashes.
            None => {
                let rest = path.strip_prefix("/v1beta/").or_else(|| path.strip_prefix("/v1alpha/"))?;
                return gemini(rest);
            }
        };
        let (head, tail) = match memchr::memchr(b'/', rest.as_bytes()).and_then(|slash| rest.split_at_checked(slash)) {
            Some((head, tail)) => (head, tail.get(1..)),
            None => (rest, None),
        };
        match (head, tail) {
            ("embeddings", None) => call(Operation::Embeddings, CHAT),
            ("moderations", None) => call(Operation::Moderations, CHAT),
            // The second is the path that the original guide prints for image generation.
            ("images", Some("generations" | "embeddings")) => call(Operation::Images, CHAT),
            ("models", None) | ("gateway" | "data", Some("models")) => read(Read::Models),
            ("models", Some(id)) if !id.is_empty() => gemini(rest).or_else(|| read(Read::Model)),
            ("generations" | "generation", None) => read(Read::Generation),
            ("generations", Some(id)) if !id.is_empty() => read(Read::Generation),
            ("health", None) => read(Read::Health),
            ("healthz", None) => read(Read::Alive),
            ("messages", Some("count_tokens"))
            | ("responses" | "completions" | "rerank" | "videos", None)
            | ("responses", Some("compact"))
            | ("images", Some("edits"))
            | ("audio", Some("speech" | "transcriptions" | "translations"))
            | ("pricing", Some("calculate")) => unbuilt("POST"),
            // Not offered, whatever is below them.
            ("realtime" | "assistants" | "threads" | "vector_stores" | "fine_tuning", _) => unbuilt(ANY),
            ("responses", Some(tail)) => unbuilt(if tail.ends_with("/cancel") { "POST" } else { "GET, DELETE" }),
            ("videos", Some(_)) => unbuilt("GET"),
            ("files" | "batches" | "keys", None) => unbuilt("GET, POST"),
            ("files" | "batches", Some(_)) => unbuilt("GET, POST, DELETE"),
            ("keys", Some(tail)) => unbuilt(if tail.ends_with("/rotate") { "POST" } else { "GET, PATCH, DELETE" }),
            ("providers" | "credits" | "activity" | "analytics" | "key", None) | ("pricing", Some("models")) => unbuilt("GET"),
            _ => None,
        }
    }

    /// Who may ask this.
    pub fn access(&self) -> Access {
        match self {
            Self::Read(Read::Health | Read::Alive) => Access::Open,
            Self::Read(_) | Self::Call { .. } | Self::Unbuilt => Access::Keyed,
        }
    }

    /// In whose words errors are told to the caller whose head is `parts`, and who asks for `endpoint`, if that is listed.
    pub(crate) fn dialect(endpoint: Option<Self>, parts: &Parts) -> &'static dyn Dialect {
        match endpoint {
            Some(Self::Call { dialect, .. }) => dialect,
            _ => Self::dialect_of(parts.uri.path(), &parts.headers),
        }
    }

    /// In whose words errors are told to a caller of `path`: the path's dialect, else by the headers its client sends.
    pub fn dialect_of(path: &str, headers: &HeaderMap) -> &'static dyn Dialect {
        match Self::listed(path) {
            Some((_, Self::Call { dialect, .. })) => dialect,
            _ if path.starts_with("/v1/messages") || headers.contains_key("anthropic-version") => MESSAGES,
            _ => CHAT,
        }
    }
}

/// Gemini's paths below a version: a model and a method after its last colon.
fn gemini(rest: &str) -> Option<(&'static str, Endpoint)> {
    let model = rest.strip_prefix("models")?;
    if model.is_empty() {
        return Some(("GET", Endpoint::Unbuilt));
    }
    let (_, method) = model.rsplit_once(':').or_else(|| model.rsplit_once("%3A")).or_else(|| model.rsplit_once("%3a"))?;
    matches!(method, "generateContent" | "streamGenerateContent" | "countTokens").then_some(("POST", Endpoint::Unbuilt))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(method: &str, path: &str) -> String {
        match Endpoint::at(&Method::from_bytes(method.as_bytes()).unwrap(), path) {
            Ok(Endpoint::Call { operation, dialect }) => format!("{} {}", operation.name(), dialect.name()),
            Ok(Endpoint::Read(read)) => format!("{read:?}"),
            Ok(Endpoint::Unbuilt) => "unbuilt".into(),
            Err(Missing::Method(allow)) => format!("405 {allow}"),
            Err(Missing::Path) => "404".into(),
        }
    }

    #[test]
    fn the_table() {
        for (request, expected) in [
            ("POST /v1/chat/completions", "chat openai-chat"),
            ("GET /v1/chat/completions", "405 POST"),
            ("POST /v1/messages", "chat anthropic-messages"),
            ("POST /v1/messages/count_tokens", "unbuilt"),
            ("POST /v1/embeddings", "embeddings openai-chat"),
            ("POST /v1/moderations", "moderations openai-chat"),
            ("POST /v1/images/generations", "images openai-chat"),
            ("POST /v1/images/embeddings", "images openai-chat"),
            ("POST /v1/images/edits", "unbuilt"),
            ("GET /v1/models", "Models"),
            ("HEAD /v1/models", "Models"),
            ("POST /v1/models", "405 GET"),
            ("GET /v1/gateway/models", "Models"),
            ("GET /v1/data/models", "Models"),
            ("GET /v1/models/openai/gpt-5", "Model"),
            ("GET /v1/models/llama3.1:8b", "Model"),
            ("POST /v1/models/gemini-2.5-pro:generateContent", "unbuilt"),
            ("POST /v1beta/models/a/b%3AstreamGenerateContent", "unbuilt"),
            ("GET /v1beta/models", "unbuilt"),
            ("GET /v1/generations", "Generation"),
            ("GET /v1/generation", "Generation"),
            ("GET /v1/generations/G-1", "Generation"),
            ("GET /v1/health", "Health"),
            ("GET /healthz", "Alive"),
            ("GET /v1/healthz", "Alive"),
            ("POST /v1/responses", "unbuilt"),
            ("DELETE /v1/responses/r1", "unbuilt"),
            ("PATCH /v1/keys/k1", "unbuilt"),
            ("POST /v1/realtime", "unbuilt"),
            ("GET /v1/realtime", "unbuilt"),
            ("GET /v1/realtime/sessions", "unbuilt"),
            ("GET /v1/fine_tuning/jobs", "unbuilt"),
            ("GET /v1/fine_tuning/jobs/x", "unbuilt"),
            ("POST /v1/fine_tuning/jobs/x/cancel", "unbuilt"),
            ("GET /v1/vector_stores", "unbuilt"),
            ("GET /v1/threads/x", "unbuilt"),
            ("DELETE /v1/assistants/x", "unbuilt"),
            ("GET /v1/assistant", "404"),
            ("GET /v1/nothing", "404"),
            ("GET /", "404"),
            ("GET /v1/", "404"),
            ("GET /v1/models/", "404"),
        ] {
            let (method, path) = request.split_once(' ').unwrap();
            assert_eq!(at(method, path), expected, "{request}");
        }
    }
}
