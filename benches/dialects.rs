//! What does it cost to read a body, to cut a stream into frames, to pass an answer on, to say it in other words?
//!
//! `cargo bench --bench dialects`; a name behind `--` picks some. Nothing here waits or opens a socket. Times are of one
//! thread; beside them stand the allocations and their bytes, per event, answer or request, which do not depend on the
//! machine. A cell is named by who answers, then by who asked: `messages -> chat` is an Anthropic provider's answer for
//! an OpenAI caller. Requests go the other way, and are named so: `chat -> messages`.
//!
//! `piece` is a stream in its steady state: one frame with one token, as `Sse` lends it, into a buffer that is used again
//! and again. `stream` is all of it, framing included, a thousand pieces in chunks as sockets give them.

mod samples;

use std::{borrow::Cow, fmt, sync::Arc};

use bytes::{Bytes, BytesMut};
use divan::{
    AllocProfiler, Bencher, black_box,
    counter::{BytesCount, ItemsCount},
};
use portcullis::dialect::{
    AnswerOptions, Capabilities, Crossing, Edits, Exchange, Losses, Notes, Pipe, Seen, Stamp, Target, Usage,
    frame::{
        Frame,
        sse::{Limits, Sse},
    },
    scan::Members,
};

use self::samples::{Api, Ask, Made};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// The top level of a request's body, found and checked: what every call pays.
#[divan::bench(args = [Ask::Ten, Ask::History64K, Ask::Image1M])]
fn scan(bencher: Bencher<'_, '_>, ask: Ask) {
    let body = Api::Chat.request(MODEL, ask, false);
    bencher.counter(BytesCount::of_str(&body)).bench(|| Members::scan(black_box(body.as_bytes())).is_ok());
}

/// Bytes to frames: a stream of a thousand pieces, in chunks of so many bytes.
#[divan::bench(args = [1, 16 << 10])]
fn framing_chat(bencher: Bencher<'_, '_>, chunk: usize) {
    framing(bencher, Api::Chat, chunk);
}

/// The same with a line more in each frame.
#[divan::bench(args = [1, 16 << 10])]
fn framing_messages(bencher: Bencher<'_, '_>, chunk: usize) {
    framing(bencher, Api::Messages, chunk);
}

fn framing(bencher: Bencher<'_, '_>, api: Api, chunk: usize) {
    let stream = api.stream(PIECES).concat();
    bencher.counter(BytesCount::of_str(&stream)).bench(|| {
        let mut frames = 0_usize;
        let mut sse = Sse::new(Limits::default());
        for chunk in stream.as_bytes().chunks(chunk) {
            let fed = sse.feed(black_box(chunk), &mut |_| {
                frames += 1;
                Ok(())
            });
            fed.expect("within the limits");
        }
        frames
    });
}

/// One frame with one token.
#[divan::bench(args = Cell::ALL)]
fn piece(bencher: Bencher<'_, '_>, cell: Cell) {
    event(bencher, cell, Made::Text);
}

/// One frame with a piece of a tool call's arguments.
#[divan::bench(args = Cell::ALL)]
fn arguments(bencher: Bencher<'_, '_>, cell: Cell) {
    event(bencher, cell, Made::Arguments);
}

fn event(bencher: Bencher<'_, '_>, cell: Cell, made: Made) {
    let (mut pipe, mut out, mut seen) = (cell.pipe(), BytesMut::with_capacity(1 << 16), Seen::default());
    let opening = cell.from.opening(made).concat();
    Sse::new(Limits::default())
        .feed(opening.as_bytes(), &mut |frame| pipe.frame(frame, &mut out, &mut seen))
        .expect("the provider's words");
    let pieces: Vec<String> = (0..64).map(|at| cell.from.piece(made, at)).collect();
    let frames: Vec<Frame<'_>> = pieces.iter().map(|piece| frame(piece)).collect();
    let mut frames = frames.iter().cycle();
    bencher.bench_local(|| {
        out.clear();
        pipe.frame(black_box(frames.next().expect("it never ends")), &mut out, &mut seen).expect("the provider's words");
        out.len()
    });
}

/// A stream of a thousand pieces from its first byte to its last, in 16 KiB chunks, each turned into one of ours.
#[divan::bench(args = Cell::ALL)]
fn stream(bencher: Bencher<'_, '_>, cell: Cell) {
    let stream = cell.from.stream(PIECES).concat();
    bencher.counter(ItemsCount::new(PIECES)).counter(BytesCount::of_str(&stream)).bench(|| {
        let (mut sse, mut pipe, mut seen) = (Sse::new(Limits::default()), cell.pipe(), Seen::default());
        let (mut out, mut sent) = (BytesMut::new(), 0);
        for chunk in stream.as_bytes().chunks(16 << 10) {
            sse.feed(black_box(chunk), &mut |frame| pipe.frame(frame, &mut out, &mut seen)).expect("the provider's words");
            sent += out.split().freeze().len();
        }
        pipe.finish(&mut out, &mut seen).expect("the provider's words");
        sent + out.len()
    });
}

/// A whole answer of a kilobyte.
#[divan::bench(args = Cell::ALL)]
fn answer(bencher: Bencher<'_, '_>, cell: Cell) {
    let body = Bytes::from(cell.from.answer());
    bencher.counter(BytesCount::new(body.len())).bench(|| {
        let mut seen = Seen::default();
        cell.pipe().whole(black_box(&body), &mut seen).expect("the provider's words")
    });
}

/// A request in the provider's words: ten messages, 2.3 KB. Within a dialect that is a list of slices.
#[divan::bench(args = Way::ALL)]
fn request(bencher: Bencher<'_, '_>, way: Way) {
    translate(bencher, way, Ask::Ten);
}

/// The same of 64 KB in 64 messages.
#[divan::bench(args = Way::ALL)]
fn request_64k(bencher: Bencher<'_, '_>, way: Way) {
    translate(bencher, way, Ask::History64K);
}

/// The same with an image of a megabyte.
#[divan::bench(args = Way::ALL)]
fn request_1m(bencher: Bencher<'_, '_>, way: Way) {
    translate(bencher, way, Ask::Image1M);
}

fn translate(bencher: Bencher<'_, '_>, Way { caller, provider }: Way, ask: Ask) {
    let body = Bytes::from(caller.request(MODEL, ask, true));
    let members = Members::scan(&body).expect("an object");
    let capabilities = Capabilities::default();
    let target = Target { model: "model-at-the-provider", issuer: "", capabilities: &capabilities, want_usage: true };
    let bencher = bencher.counter(BytesCount::new(body.len()));
    if caller == provider {
        bencher.bench(|| {
            let mut edits = Edits::default();
            caller.dialect().patch_request(black_box(&body), &members, &target, &mut edits);
            edits.apply(&body)
        });
    } else {
        let text = std::str::from_utf8(&body).expect("text");
        bencher.bench(|| {
            let mut losses = Losses::default();
            let request = caller.dialect().decode_request(black_box(text), &mut losses).expect("the caller's words");
            let mut out = BytesMut::with_capacity(text.len() + 256);
            provider.dialect().encode_request(&request, &target, &mut out, &mut losses).expect("it can be said");
            out
        });
    }
}

/// Who answers, who asked, and whether the answer is annotated.
#[derive(Clone, Copy)]
struct Cell {
    from: Api,
    to: Api,
    notes: bool,
}

impl Cell {
    const ALL: [Self; 6] = [
        Self { from: Api::Chat, to: Api::Chat, notes: false },
        Self { from: Api::Chat, to: Api::Chat, notes: true },
        Self { from: Api::Messages, to: Api::Messages, notes: false },
        Self { from: Api::Messages, to: Api::Messages, notes: true },
        Self { from: Api::Chat, to: Api::Messages, notes: true },
        Self { from: Api::Messages, to: Api::Chat, notes: true },
    ];

    fn pipe(self) -> Box<dyn Pipe> {
        let stamp = Stamp { id: "G-01JQZ8K6W3N5V7X9Y2B4D6F8H0".into(), created: 1_741_569_952, model: MODEL.into() };
        let notes = self.notes.then(|| Arc::new(Told) as Arc<dyn Notes>);
        let options = AnswerOptions { include_usage: true, rich_usage: self.notes, notes };
        if self.from == self.to {
            self.to.dialect().relay(stamp, options)
        } else {
            Box::new(Crossing::new(self.from.dialect(), self.to.dialect(), &Exchange::default(), stamp, options))
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, notes } = self;
        write!(f, "{from} -> {to}{}", if *notes { "" } else { ", bare" })
    }
}

/// Who asks, and whom.
#[derive(Clone, Copy)]
struct Way {
    caller: Api,
    provider: Api,
}

impl Way {
    const ALL: [Self; 4] = [
        Self { caller: Api::Chat, provider: Api::Chat },
        Self { caller: Api::Messages, provider: Api::Messages },
        Self { caller: Api::Chat, provider: Api::Messages },
        Self { caller: Api::Messages, provider: Api::Chat },
    ];
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.caller, self.provider)
    }
}

/// Notes of a usual length.
struct Told;

impl Notes for Told {
    fn provider(&self) -> &str {
        "provider"
    }

    fn cost(&self, _: &Usage, out: &mut BytesMut) -> bool {
        out.extend_from_slice(br#"{"total_nanos":88500,"total_usd":"0.0000885","currency":"USD","lines":[]}"#);
        true
    }

    fn meta(&self, _: Option<&str>, _: Option<&Usage>, _: &mut BytesMut) -> bool {
        false
    }
}

/// The one frame that `text` is.
fn frame(text: &str) -> Frame<'_> {
    let event = text.strip_prefix("event: ").and_then(|rest| rest.split('\n').next()).unwrap_or_default();
    let data = text.lines().find_map(|line| line.strip_prefix("data: ")).map(Cow::Borrowed);
    Frame { event, data, raw: text.as_bytes() }
}

const MODEL: &str = "gpt-4o-mini";
const PIECES: usize = 1000;
