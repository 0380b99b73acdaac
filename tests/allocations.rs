//! How many allocations an event of a stream costs, in its steady state: counted, so the machine does not matter.
//!
//! At most one where caller and provider speak the same dialect, at most three where they don't. `benches/dialects.rs`
//! shows the same with their times.

#[path = "../benches/samples/mod.rs"]
mod samples;

use std::sync::Arc;

use allocation_counter::{AllocationInfo, measure};
use bytes::BytesMut;
use portcullis::dialect::{
    AnswerOptions, Exchange, Losses, Notes, Seen, Stamp, Usage,
    frame::{
        Frame,
        sse::{Limits, Sse},
    },
    scan::Members,
};

use self::samples::{Api, Ask, Made};

const PIECES: u64 = 1000;

#[test]
fn a_scan_allocates_nothing() {
    for ask in [Ask::Ten, Ask::History64K, Ask::Image1M] {
        let body = Api::Chat.request("gpt", ask, true);
        let info = measure(|| drop(Members::scan(body.as_bytes()).unwrap()));
        assert_eq!(info.count_total, 0, "{ask:?}");
    }
}

#[test]
fn whole_frames_are_lent() {
    for api in Api::BOTH {
        let stream = api.stream(1000).concat();
        let mut sse = Sse::new(Limits::default());
        let info = measure(|| sse.feed(stream.as_bytes(), &mut |_| Ok(())).unwrap());
        assert_eq!(info.count_total, 0, "{api}");
    }
}

#[test]
fn a_frame_that_was_cut_costs_no_more_than_its_copy() {
    for api in Api::BOTH {
        let stream = api.stream(1000).concat();
        let mut sse = Sse::new(Limits::default());
        let info = measure(|| stream.as_bytes().chunks(1).for_each(|chunk| sse.feed(chunk, &mut |_| Ok(())).unwrap()));
        // The buffer grows to the longest frame, and then stays.
        assert!(info.count_total <= 16, "{api}: {info:?}");
    }
}

#[test]
fn a_relay_allocates_at_most_once_per_event() {
    for api in Api::BOTH {
        for made in [Made::Text, Made::Reasoning, Made::Arguments] {
            for notes in [false, true] {
                let mut relay = api.dialect().relay(stamp(), options(notes));
                let mut seen = Seen::default();
                let info = pieces(api, made, &mut |frame, out| relay.frame(frame, out, &mut seen).unwrap());
                assert!(info.count_total <= PIECES, "{api}, {made:?}, notes {notes}: {info:?}");
                assert!(seen.output_bytes >= PIECES, "the pieces were read");
            }
        }
    }
}

/// Decoder and encoder as a `Crossing` has them, without the grammar that watches over one in debug builds.
#[test]
fn a_crossing_allocates_at_most_three_times_per_event() {
    for (from, to) in [(Api::Chat, Api::Messages), (Api::Messages, Api::Chat)] {
        for made in [Made::Text, Made::Reasoning, Made::Arguments] {
            let mut decoder = from.dialect().decoder(&Exchange::default());
            let mut encoder = to.dialect().encoder(stamp(), options(true));
            let (mut seen, mut losses) = (Seen::default(), Losses::default());
            let info = pieces(from, made, &mut |frame, out| {
                let decoded = decoder.frame(frame, &mut |event| {
                    seen.observe(&event);
                    encoder.event(&event, out, &mut losses);
                });
                decoded.unwrap();
            });
            assert!(info.count_total <= 3 * PIECES, "{from} to {to}, {made:?}: {info:?}");
            assert!(seen.output_bytes >= PIECES, "the pieces were read");
        }
    }
}

/// What a thousand pieces cost, once the stream has begun.
fn pieces(api: Api, made: Made, take: &mut dyn FnMut(&Frame<'_>, &mut BytesMut)) -> AllocationInfo {
    let mut out = BytesMut::with_capacity(1 << 16);
    let mut sse = Sse::new(Limits::default());
    let mut feed = |text: &str| {
        let mut written = 0;
        let fed = sse.feed(text.as_bytes(), &mut |frame| {
            out.clear();
            take(frame, &mut out);
            written += out.len();
            Ok(())
        });
        fed.unwrap();
        written
    };
    // The first piece opens what the others grow.
    feed(&(api.opening(made).concat() + &api.piece(made, 0)));
    let pieces: Vec<String> = (0..PIECES as usize).map(|at| api.piece(made, at)).collect();
    measure(|| pieces.iter().for_each(|piece| assert!(feed(piece) > 0)))
}

fn options(notes: bool) -> AnswerOptions {
    AnswerOptions { include_usage: true, rich_usage: notes, notes: notes.then(|| Arc::new(Told) as Arc<dyn Notes>) }
}

fn stamp() -> Stamp {
    Stamp { id: "G-01JQZ8K6W3N5V7X9Y2B4D6F8H0".into(), created: 1_741_569_952, model: "gpt".into() }
}

/// A provider, and nothing else to tell.
struct Told;

impl Notes for Told {
    fn provider(&self) -> &str {
        "provider"
    }

    fn cost(&self, _: &Usage, _: &mut BytesMut) -> bool {
        false
    }

    fn meta(&self, _: Option<&str>, _: Option<&Usage>, _: &mut BytesMut) -> bool {
        false
    }
}
