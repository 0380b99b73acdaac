//! A host's hand in the events of an answer: redaction, guardrails, additions.

use smallvec::SmallVec;

use super::conversation::{BlockId, Event, FinishReason};

/// Maps, filters, adds or stops the events of one answer, streamed or whole.
///
/// Implemented for closures; [`event_map_fn`] spares their types. What goes in is what the provider said, in hub terms; what is given to the
/// [`EventSink`] is what the caller gets. An answer's frame cannot be broken this way: a block that was not opened takes its
/// deltas with it; what is still open is closed before its choice ends; a start or a finish that is given to nobody goes
/// on as it was.
///
/// ```
/// use portcullis::dialect::{conversation::{Delta, Event}, event_map_fn};
///
/// // Spells the secret word with stars.
/// let redact = event_map_fn(|mut event, out| {
///     if let Event::Delta { delta: Delta::Text(text), .. } = &mut event
///         && text.contains("xyzzy")
///     {
///         *text = text.replace("xyzzy", "*****").into();
///     }
///     out.push(event);
/// });
/// # fn check<M: portcullis::dialect::EventMap>(_: M) {}
/// # check(redact);
/// ```
pub trait EventMap: Send {
    /// Takes the provider's next event and gives to `out` what shall stand in its place.
    fn event<'e>(&mut self, event: Event<'e>, out: &mut EventSink<'_, 'e>);
}

impl<F: for<'e> FnMut(Event<'e>, &mut EventSink<'_, 'e>) + Send> EventMap for F {
    fn event<'e>(&mut self, event: Event<'e>, out: &mut EventSink<'_, 'e>) {
        self(event, out);
    }
}

/// A closure as an [`EventMap`]; its arguments' types are known here.
pub fn event_map_fn<F: for<'e> FnMut(Event<'e>, &mut EventSink<'_, 'e>) + Send>(map: F) -> F {
    map
}

/// Takes the events that a caller gets.
pub struct EventSink<'s, 'e> {
    order: &'s mut Order,
    write: &'s mut dyn FnMut(Event<'e>),
}

impl<'e> EventSink<'_, 'e> {
    /// Gives the caller `event`. Events of blocks that are not open are dropped; added blocks need numbers of their own.
    pub fn push(&mut self, event: Event<'e>) {
        if !self.order.stopped {
            self.order.pass(event, self.write);
        }
    }

    /// Ends the answer here, every choice with `reason`. What the provider says after this is not read.
    pub fn stop(&mut self, reason: FinishReason<'e>) {
        if !std::mem::replace(&mut self.order.stopped, true) {
            if self.order.unfinished.is_empty() && !self.order.finished {
                self.order.unfinished.push(0);
            }
            while let Some(&choice) = self.order.unfinished.first() {
                self.order.pass(Event::Finish { choice, reason: reason.clone(), stop_sequence: None }, self.write);
            }
        }
    }
}

impl std::fmt::Debug for EventSink<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventSink").field("stopped", &self.order.stopped).finish_non_exhaustive()
    }
}

/// A map with the order that it cannot break.
pub(super) struct Mapping {
    map: Box<dyn EventMap>,
    order: Order,
}

impl Mapping {
    pub(super) fn new(map: Box<dyn EventMap>) -> Self {
        Self { map, order: Order::default() }
    }

    /// Sends one of the provider's events through the map.
    pub(super) fn event<'e>(&mut self, event: Event<'e>, write: &mut dyn FnMut(Event<'e>)) {
        if self.order.stopped {
            return;
        }
        let frame = match &event {
            Event::Start { .. } if !self.order.started => Some(event.clone()),
            Event::Finish { choice, .. } => {
                self.order.begin(*choice);
                Some(event.clone())
            }
            _ => None,
        };
        self.map.event(event, &mut EventSink { order: &mut self.order, write });
        match frame {
            Some(start @ Event::Start { .. }) if !self.order.started => self.order.pass(start, write),
            Some(Event::Finish { choice, reason, stop_sequence }) if self.order.unfinished.contains(&choice) => {
                self.order.pass(Event::Finish { choice, reason, stop_sequence }, write);
            }
            _ => {}
        }
    }

    /// Whether the host ended the answer.
    pub(super) fn stopped(&self) -> bool {
        self.order.stopped
    }
}

/// Keeps blocks balanced and each choice ended once.
#[derive(Default)]
struct Order {
    started: bool,
    /// Blocks that are open, and their choices.
    open: SmallVec<[(BlockId, u32); 4]>,
    unfinished: SmallVec<[u32; 2]>,
    finished: bool,
    stopped: bool,
}

impl Order {
    fn begin(&mut self, choice: u32) {
        if !self.unfinished.contains(&choice) {
            self.unfinished.push(choice);
        }
    }

    fn is_open(&self, block: BlockId) -> bool {
        self.open.iter().rev().any(|(open, _)| *open == block)
    }

    fn pass<'e>(&mut self, event: Event<'e>, write: &mut dyn FnMut(Event<'e>)) {
        match &event {
            Event::Start { .. } if std::mem::replace(&mut self.started, true) => return,
            Event::Open { block, .. } if self.is_open(*block) => return,
            Event::Open { block, choice, .. } => {
                self.begin(*choice);
                self.open.push((*block, *choice));
            }
            Event::Delta { block, .. } | Event::Close { block } if !self.is_open(*block) => return,
            Event::Close { block } => self.open.retain(|(open, _)| *open != *block),
            Event::Finish { choice, .. } => {
                if !self.unfinished.contains(choice) {
                    return;
                }
                self.open.retain(|(block, of)| {
                    let stays = *of != *choice;
                    if !stays {
                        write(Event::Close { block: *block });
                    }
                    stays
                });
                self.unfinished.retain(|open| *open != *choice);
                self.finished = true;
            }
            _ => {}
        }
        write(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::conversation::{Delta, Opening};

    /// An answer of two text blocks, `a` and `b`.
    fn answer() -> Vec<Event<'static>> {
        let text = |block, text: &'static str| {
            [
                Event::Open { block, choice: 0, opening: Opening::Text },
                Event::Delta { block, delta: Delta::Text(text.into()) },
                Event::Close { block },
            ]
        };
        let start = Event::Start { id: None, model: None, created: None };
        let finish = Event::Finish { choice: 0, reason: FinishReason::Stop, stop_sequence: None };
        [vec![start], text(1, "a").into(), text(2, "b").into(), vec![finish]].concat()
    }

    fn mapped(map: impl for<'e> FnMut(Event<'e>, &mut EventSink<'_, 'e>) + Send + 'static) -> (Vec<Event<'static>>, bool) {
        let mut mapping = Mapping::new(Box::new(map));
        let mut seen = Vec::new();
        answer().into_iter().for_each(|event| mapping.event(event, &mut |event| seen.push(event)));
        (seen, mapping.stopped())
    }

    #[test]
    fn unchanged() {
        assert_eq!(mapped(|event, out| out.push(event)), (answer(), false));
    }

    #[test]
    fn nothing_given_leaves_the_frame() {
        let all = answer();
        assert_eq!(mapped(|_, _| {}).0, [all[0].clone(), all[7].clone()]);
    }

    #[test]
    fn a_dropped_block_goes_whole_and_a_dropped_close_is_made_up() {
        let (seen, _) = mapped(|event, out| match event {
            Event::Open { block: 1, .. } | Event::Close { block: 2 } => {}
            event => out.push(event),
        });
        let all = answer();
        assert_eq!(seen, [&all[..1], &all[4..]].concat());
    }

    #[test]
    fn stop_ends_every_choice_once() {
        let (seen, stopped) = mapped(|event, out| {
            let stop = matches!(event, Event::Delta { .. });
            out.push(event);
            if stop {
                out.stop(FinishReason::ContentFilter);
                out.stop(FinishReason::Stop);
            }
        });
        let end = Event::Finish { choice: 0, reason: FinishReason::ContentFilter, stop_sequence: None };
        assert_eq!(seen, [&answer()[..4], &[end]].concat());
        assert!(stopped);
    }
}
