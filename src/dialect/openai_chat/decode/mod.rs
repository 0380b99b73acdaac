//! A caller's request, read into the hub.

mod content;
mod messages;
mod settings;
mod tools;

use std::fmt;

use super::{losses, request::ChatCompletionRequest};
use crate::{
    dialect::{
        Loss, Losses, Place,
        conversation::Request,
        wire::{self, Number, Unknown},
    },
    fault::Detail,
};

/// Reads a request.
pub(super) fn request<'a>(body: &'a str, losses: &mut Losses) -> Result<Request<'a>, Vec<Detail>> {
    let mut wire: ChatCompletionRequest<'a> = match wire::read(body) {
        Ok(wire) => wire,
        Err(detail) => return Err(vec![detail]),
    };
    let mut reader = Reader { details: Vec::new(), losses };

    let mut request = Request { stream: wire.stream.unwrap_or(false), ..Request::default() };
    match wire.model.take() {
        Some(model) => request.model = model.0,
        None => reader.wrong("/model", "is missing"),
    }
    match wire.messages.take() {
        Some(messages) => messages::read(messages, &mut request, &mut reader),
        None => reader.wrong("/messages", "is missing"),
    }
    tools::read(&mut wire, &mut request, &mut reader);
    settings::read(&mut wire, &mut request, &mut reader);

    if reader.details.is_empty() { Ok(request) } else { Err(reader.details) }
}

/// What reading a request finds beside the request.
struct Reader<'l> {
    details: Vec<Detail>,
    losses: &'l mut Losses,
}

impl Reader<'_> {
    /// Notes what is wrong at `path`.
    fn wrong(&mut self, path: impl fmt::Display, message: impl Into<String>) {
        self.details.push(Detail { path: path.to_string(), message: message.into() });
    }

    /// Reads JSON text that stood at `place`.
    fn nested<'a, T: wire::Wire<'a>>(&mut self, text: &'a str, place: Place) -> Option<T> {
        wire::read(text).map_err(|detail| self.wrong(format_args!("{place}{}", detail.path), detail.message)).ok()
    }

    /// Reads a count.
    fn count(&mut self, number: Option<Number<'_>>, path: &str) -> Option<u64> {
        let number = number?;
        if number.count().is_none() {
            self.wrong(path, "expected a non-negative integer");
        }
        number.count()
    }

    fn lost(&mut self, loss: &'static Loss, place: Place) {
        self.losses.report(loss, place);
    }

    /// Reports members that nobody asked for, of the value at `place`.
    fn unknown(&mut self, members: &Unknown<'_>, place: impl fmt::Display) {
        for (name, value) in members {
            if value.get() != "null" {
                self.losses.report_at(&losses::UNKNOWN_MEMBER, format!("{place}/{}", pointer(name)));
            }
        }
    }
}

/// A member's name as a step of a JSON Pointer.
fn pointer(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
