//! From one dialect's answer to another's, through the hub.

use std::fmt;

use bytes::{Bytes, BytesMut};
use smallvec::{SmallVec, smallvec};

use super::{
    AnswerOptions, Decoder, Dialect, Encoder, End, Exchange, Losses, Pipe, Seen, Stamp, StreamError,
    conversation::{Event, Fold},
    event_map::{EventMap, Mapping},
    frame::Frame,
};
use crate::fault::Fault;

/// A [`Pipe`] for a provider that speaks another dialect than the caller.
///
/// Frames become events, events become frames; a steady stream allocates nothing here. In debug builds all that is
/// written goes through the caller dialect's [`Grammar`](super::grammar::Grammar), and a violation panics.
pub struct Crossing {
    decoder: Box<dyn Decoder>,
    /// Made when a stream begins: a whole answer needs none.
    encoder: Option<Box<dyn Encoder>>,
    to: &'static dyn Dialect,
    stamp: Stamp,
    options: AnswerOptions,
    mapping: Option<Mapping>,
    losses: Losses,
    watch: watch::Watch,
}

impl Crossing {
    /// A pipe from the provider's dialect to the caller's.
    pub fn new(from: &'static dyn Dialect, to: &'static dyn Dialect, exchange: &Exchange, stamp: Stamp, options: AnswerOptions) -> Self {
        Self {
            decoder: from.decoder(exchange),
            encoder: None,
            to,
            stamp,
            options,
            mapping: None,
            losses: Losses::default(),
            watch: watch::Watch::new(to),
        }
    }

    /// Sends every event through `map` on its way to the caller. [`Seen`] still tells what the provider said.
    #[must_use]
    pub fn map_events(mut self, map: Box<dyn EventMap>) -> Self {
        self.mapping = Some(Mapping::new(map));
        self
    }

    fn stopped(&self) -> bool {
        self.mapping.as_ref().is_some_and(Mapping::stopped)
    }
}

impl Pipe for Crossing {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut BytesMut, seen: &mut Seen) -> Result<(), StreamError> {
        if self.stopped() {
            return Ok(());
        }
        let before = out.len();
        let Self { decoder, encoder, to, stamp, options, mapping, losses, .. } = self;
        let encoder = encoder.get_or_insert_with(|| to.encoder(stamp.clone(), options.clone()));
        let result = decoder.frame(frame, &mut |event| {
            pass(event, seen, mapping, &mut |event| encoder.event(&event, out, losses));
        });
        self.watch.wrote(out, before);
        seen.ended |= self.decoder.ended() || self.stopped();
        result
    }

    fn finish(&mut self, out: &mut BytesMut, seen: &mut Seen) -> Result<End, StreamError> {
        let before = out.len();
        let Self { decoder, encoder, to, stamp, options, mapping, losses, .. } = self;
        let encoder = encoder.get_or_insert_with(|| to.encoder(stamp.clone(), options.clone()));
        let end = if mapping.as_ref().is_some_and(Mapping::stopped) {
            Ok(End::Complete)
        } else {
            decoder.finish(&mut |event| pass(event, seen, mapping, &mut |event| encoder.event(&event, out, losses)))
        };
        if end == Ok(End::Complete) && seen.error.is_none() {
            encoder.finish(out);
            self.watch.wrote(out, before);
            self.watch.ended();
        } else {
            // How a broken answer goes on is the driver's to say.
            out.truncate(before);
        }
        end
    }

    fn fail(&mut self, fault: &Fault, out: &mut BytesMut) {
        let before = out.len();
        self.to.encode_fault_event(fault, &self.stamp.id, out);
        self.watch.wrote(out, before);
    }

    fn whole(&mut self, body: &Bytes, seen: &mut Seen) -> Result<SmallVec<[Bytes; 1]>, StreamError> {
        let text = std::str::from_utf8(body).map_err(|_| StreamError::malformed("the answer is not UTF-8"))?;
        let mut fold = Fold::default();
        let mapping = &mut self.mapping;
        self.decoder.whole(text, &mut |event| pass(event, seen, mapping, &mut |event| fold.push(event)))?;
        if seen.error.is_some() {
            return Ok(SmallVec::new());
        }
        seen.ended = true;
        // A little more than came: the dialects' own words differ less than our additions are long.
        let mut out = BytesMut::with_capacity(body.len() + 1024);
        self.to.encode_answer(&fold.finish(), &self.stamp, &self.options, &mut out, &mut self.losses);
        Ok(smallvec![out.freeze()])
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}

/// Takes one of the provider's events on its way: noted, and unless it is an error or one came, mapped and written.
fn pass<'e>(event: Event<'e>, seen: &mut Seen, mapping: &mut Option<Mapping>, write: &mut dyn FnMut(Event<'e>)) {
    if seen.error.is_some() {
        return;
    }
    seen.observe(&event);
    match mapping {
        _ if seen.error.is_some() => {}
        Some(mapping) => mapping.event(event, &mut |event| match event {
            Event::Error(error) => seen.error = Some(error),
            event => write(event),
        }),
        None => write(event),
    }
}

impl fmt::Debug for Crossing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crossing").field("to", &self.to.name()).field("losses", &self.losses).finish_non_exhaustive()
    }
}

/// Checks in debug builds what is written.
#[cfg(debug_assertions)]
mod watch {
    use bytes::BytesMut;

    use crate::dialect::{
        Dialect, StreamError,
        frame::sse::{Limits, Sse},
        grammar::Grammar,
    };

    pub(super) struct Watch {
        to: &'static dyn Dialect,
        sse: Sse,
        grammar: Box<dyn Grammar>,
    }

    impl Watch {
        pub(super) fn new(to: &'static dyn Dialect) -> Self {
            Self { to, sse: Sse::new(Limits { event_bytes: usize::MAX }), grammar: to.grammar() }
        }

        /// What was appended behind `before`.
        pub(super) fn wrote(&mut self, out: &BytesMut, before: usize) {
            let Self { sse, grammar, .. } = self;
            let fed = sse.feed(out.get(before..).unwrap_or_default(), &mut |frame| {
                grammar.frame(frame).map_err(|violation| StreamError::order(violation.0))
            });
            self.hold(fed);
        }

        pub(super) fn ended(&mut self) {
            let end = self.grammar.finish().map_err(|violation| StreamError::order(violation.0));
            self.hold(end);
        }

        fn hold(&self, result: Result<(), StreamError>) {
            assert!(result.is_ok(), "{}: its own encoder breaks its grammar: {result:?}", self.to.name());
        }
    }
}

/// Checks nothing.
#[cfg(not(debug_assertions))]
mod watch {
    use bytes::BytesMut;

    use crate::dialect::Dialect;

    pub(super) struct Watch;

    impl Watch {
        pub(super) fn new(_: &'static dyn Dialect) -> Self {
            Self
        }

        pub(super) fn wrote(&mut self, _: &BytesMut, _: usize) {}

        pub(super) fn ended(&mut self) {}
    }
}
