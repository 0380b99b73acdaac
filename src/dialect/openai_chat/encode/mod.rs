//! The hub's request, written for a provider.

mod content;
mod messages;
mod names;
mod settings;
mod tools;

use bytes::BytesMut;

use self::names::Names;
use crate::{
    dialect::{Exchange, Loss, Losses, Place, Target, conversation::Request, json::Object},
    fault::Detail,
};

/// Writes a request.
pub(super) fn request(
    request: &Request<'_>,
    target: &Target<'_>,
    out: &mut BytesMut,
    losses: &mut Losses,
) -> Result<Exchange, Vec<Detail>> {
    let mut writer = Writer { request, target, names: Names::of(request), losses, refused: Vec::new() };
    let output = settings::Output::of(request.output_format.as_ref(), target.capabilities.structured_output);
    let output_tool = matches!(output, settings::Output::Tool(_)).then(|| writer.names.unused("json_output"));

    let mut body = Object::begin(out);
    body.str("model", target.model);
    messages::write(&mut body, &output, &mut writer);
    if request.stream {
        body.bool("stream", true);
        if target.capabilities.stream_usage {
            body.raw("stream_options", r#"{"include_usage":true}"#);
        }
    }
    tools::write(&mut body, &output, output_tool.as_deref(), &mut writer);
    settings::write(&mut body, &output, &mut writer);
    body.end();

    if writer.refused.is_empty() { Ok(Exchange { renamed_tools: writer.names.renamed(), output_tool }) } else { Err(writer.refused) }
}

/// What is written, for whom, and what is found on the way.
struct Writer<'w> {
    request: &'w Request<'w>,
    target: &'w Target<'w>,
    names: Names<'w>,
    losses: &'w mut Losses,
    refused: Vec<Detail>,
}

impl Writer<'_> {
    fn lost(&mut self, loss: &'static Loss, place: Place) {
        self.losses.report(loss, place);
    }

    /// Reports what cannot be left out without changing what the request means.
    fn refuse(&mut self, loss: &'static Loss, place: Place) {
        self.losses.report(loss, place);
        self.refused.push(Detail { path: place.to_string(), message: format!("cannot be carried: {}", loss.why) });
    }

    /// As [`refuse`](Self::refuse), of something whose `type` only the caller's dialect knows.
    fn refuse_foreign(&mut self, loss: &'static Loss, kind: &str, place: Place) {
        self.losses.report(loss, place);
        self.refused.push(Detail { path: place.to_string(), message: format!("`{kind:.64}` cannot be carried: {}", loss.why) });
    }
}
