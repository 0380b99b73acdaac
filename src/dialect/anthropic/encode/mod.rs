//! A hub request, written as a Messages request.
//!
//! What the API cannot say is one of three things: reported as a loss, written in the nearest form and reported, or
//! refused when leaving it out would change what the request means (several choices, sound, foreign tools).

mod blocks;
mod messages;
mod output;
mod sampling;
mod thinking;
mod tools;

use bytes::{BufMut, BytesMut};
use smallvec::SmallVec;

use self::{messages::Message, output::Output, thinking::Plan};
use super::{losses, names::Names};
use crate::{
    dialect::{
        Exchange, Loss, Losses, Place, Target,
        conversation::{BlockKind, Instruction, Request},
        json::Object,
    },
    fault::Detail,
};

/// Writes `request` for `target`. Gives what the answer's translation must know.
///
/// # Errors
/// What Messages cannot say and leaving out would change the meaning; `out` is then as it was.
pub fn encode(request: &Request<'_>, target: &Target<'_>, out: &mut BytesMut, losses: &mut Losses) -> Result<Exchange, Vec<Detail>> {
    let start = out.len();
    let mut writer = Writer::new(request, target, losses);
    writer.report_unsayable();
    let messages = messages::merge(request, target, writer.losses);
    let output = Output::plan(&mut writer);
    let plan = thinking::plan(request, target, &messages, output.tool().is_some(), writer.losses);
    writer.body(&messages, &output, &plan, out);
    if !writer.refused.is_empty() {
        out.truncate(start);
        return Err(writer.refused);
    }
    Ok(Exchange { renamed_tools: writer.tool_names.renamed(), output_tool: output.into_tool() })
}

/// Writes the body, collecting what is lost and what is refused.
struct Writer<'r, 'a, 'l> {
    request: &'r Request<'a>,
    target: &'r Target<'r>,
    tool_names: Names<'r>,
    call_ids: Names<'r>,
    losses: &'l mut Losses,
    refused: Vec<Detail>,
}

impl<'r, 'a, 'l> Writer<'r, 'a, 'l> {
    fn new(request: &'r Request<'a>, target: &'r Target<'r>, losses: &'l mut Losses) -> Self {
        let blocks = || request.turns.iter().flat_map(|turn| &turn.blocks);
        let called = blocks().filter_map(|block| match &block.kind {
            BlockKind::ToolCall { name, .. } if !is_blank(name) => Some(&**name),
            _ => None,
        });
        let ids = blocks().filter_map(|block| match &block.kind {
            BlockKind::ToolCall { id, .. } => Some(&**id),
            BlockKind::ToolResult { call_id, .. } => Some(&**call_id),
            _ => None,
        });
        let tool_names = Names::tools(tools::names(request).chain(called));
        let call_ids = Names::ids(ids);
        Self { request, target, tool_names, call_ids, losses, refused: Vec::new() }
    }

    /// The whole body, its members in the order of the API's reference.
    fn body(&mut self, messages: &[Message<'_, '_>], output: &Output<'_>, plan: &Plan, out: &mut BytesMut) {
        let request = self.request;
        let mut body = Object::begin(out);
        body.str("model", self.target.model).number("max_tokens", plan.max_tokens);
        self.system(&mut body);
        self.messages(messages, &mut body);
        self.tools(output, plan, &mut body);
        thinking::write(plan, output, &mut body);
        self.stop_sequences(&mut body);
        self.sampling(plan.thinks(), &mut body);
        if let Some(user) = &request.user {
            let mut metadata = body.object("metadata");
            metadata.str("user_id", user);
            metadata.end();
        }
        self.service_tier(&mut body);
        if request.stream {
            body.bool("stream", true);
        }
        body.end();
    }

    /// A single instruction without a cache breakpoint is a string, others are a list of text blocks.
    fn system(&mut self, body: &mut Object<'_>) {
        let mut instructions: SmallVec<[&Instruction<'_>; 2]> = SmallVec::new();
        for instruction in &self.request.instructions {
            if is_blank(&instruction.text) {
                continue;
            }
            if instruction.after > 0 {
                self.losses.report(&losses::INSTRUCTION_MOVED, instruction.place);
            }
            instructions.push(instruction);
        }
        match instructions.as_slice() {
            [] => {}
            [Instruction { text, cache: None, .. }] => _ = body.str("system", text),
            list => {
                let mut blocks = body.array("system");
                for Instruction { text, cache, .. } in list {
                    let mut block = blocks.object();
                    block.word("type", "text").str("text", text);
                    blocks::cache_control(cache.as_ref(), &mut block);
                    block.end();
                }
                blocks.end();
            }
        }
    }

    fn messages(&mut self, messages: &[Message<'_, '_>], body: &mut Object<'_>) {
        if messages.is_empty() {
            self.wrong(Place::member("messages"), "needs a message that says something");
        }
        let mut list = body.array("messages");
        for message in messages {
            let mut object = list.object();
            object.word("role", message.role());
            let mut content = object.array("content");
            for block in &message.blocks {
                if message.is_misplaced(block) {
                    self.wrong(block.place, format!("a message of the role `{}` cannot hold this", message.role()));
                }
                self.block(block, &mut content);
            }
            content.end();
            object.end();
        }
        list.end();
    }

    fn stop_sequences(&mut self, body: &mut Object<'_>) {
        let mut kept = Vec::new();
        let stops = &self.request.stop;
        for (index, stop) in stops.iter().enumerate() {
            if is_blank(stop) {
                // One alone may have stood there without a list.
                let place = if stops.len() == 1 { Place::member("stop") } else { Place::of("stop", index) };
                self.losses.report(&losses::STOP_BLANK, place);
            } else {
                kept.push(stop);
            }
        }
        if !kept.is_empty() {
            let mut list = body.array("stop_sequences");
            kept.iter().for_each(|stop| crate::dialect::json::string(list.item(), stop));
            list.end();
        }
    }

    fn service_tier(&mut self, body: &mut Object<'_>) {
        let Some(tier) = &self.request.service_tier else { return };
        match &**tier {
            "auto" => _ = body.word("service_tier", "auto"),
            "default" | "standard" | "standard_only" => _ = body.word("service_tier", "standard_only"),
            "priority" => {
                self.losses.report(&losses::SERVICE_TIER_PRIORITY, Place::member("service_tier"));
                body.word("service_tier", "auto");
            }
            _ => self.losses.report(&losses::SERVICE_TIER, Place::member("service_tier")),
        }
    }

    /// Settings that Messages has no member for.
    fn report_unsayable(&mut self) {
        let request = self.request;
        if request.n.is_some_and(|n| n > 1) {
            self.refuse(&losses::CHOICES, Place::member("n"));
        }
        let acts = |number: Option<crate::dialect::wire::Number<'_>>| number.is_some_and(|number| number.value() != 0.0);
        for (said, loss, member) in [
            (acts(request.frequency_penalty), &losses::FREQUENCY_PENALTY, "frequency_penalty"),
            (acts(request.presence_penalty), &losses::PRESENCE_PENALTY, "presence_penalty"),
            (request.logit_bias.is_some(), &losses::LOGIT_BIAS, "logit_bias"),
            (request.logprobs == Some(true), &losses::LOGPROBS, "logprobs"),
            (request.top_logprobs.is_some(), &losses::LOGPROBS, "top_logprobs"),
            (request.seed.is_some(), &losses::SEED, "seed"),
            (request.metadata.is_some(), &losses::METADATA, "metadata"),
        ] {
            if said {
                self.losses.report(loss, Place::member(member));
            }
        }
        for turn in request.turns.iter().filter(|turn| turn.name.is_some()) {
            self.losses.report(&losses::PARTICIPANT_NAME, turn.place.field("name"));
        }
    }

    /// Reports what cannot be left out without changing what the request means.
    fn refuse(&mut self, loss: &'static Loss, place: Place) {
        self.losses.report(loss, place);
        self.wrong(place, format!("cannot be carried: {}", loss.why));
    }

    /// As [`refuse`](Self::refuse), of something whose `type` only the caller's dialect knows.
    fn refuse_foreign(&mut self, loss: &'static Loss, kind: &str, place: Place) {
        self.losses.report(loss, place);
        self.wrong(place, format!("`{kind:.64}` cannot be carried: {}", loss.why));
    }

    /// Notes what no model could make sense of.
    fn wrong(&mut self, place: Place, message: impl Into<String>) {
        self.refused.push(Detail { path: place.to_string(), message: message.into() });
    }
}

/// The API refuses texts that hold nothing but white space.
fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

/// Whether `arguments` are a JSON object's text.
pub(super) fn is_object(arguments: &str) -> bool {
    arguments.trim_start().starts_with('{') && serde_json::from_str::<&serde_json::value::RawValue>(arguments).is_ok()
}

/// Writes a call's arguments as its `input`, always an object. Says whether they were one: anything else becomes the
/// object's member `input`.
pub(super) fn write_input(arguments: &str, out: &mut BytesMut) -> bool {
    if is_blank(arguments) {
        out.put_slice(b"{}");
    } else if is_object(arguments) {
        out.put_slice(arguments.trim().as_bytes());
    } else {
        let mut wrapped = Object::begin(out);
        wrapped.str("input", arguments);
        wrapped.end();
        return false;
    }
    true
}
