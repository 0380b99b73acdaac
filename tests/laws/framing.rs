//! Framing: cuts don't matter, nothing is lost, the limit holds.

use portcullis::dialect::{
    StreamError, StreamErrorKind,
    frame::{
        Frame,
        sse::{Limits, Sse},
    },
};

use super::{Outcome, chunks, cuts_of};

/// A frame's name and payload.
pub type Told = (String, Option<String>);

pub fn law(stream: &[u8]) -> Outcome {
    let cuts = cuts_of(stream);
    let (whole, raw) = run(stream, &[], usize::MAX);
    assert_eq!(whole, run(stream, &cuts, usize::MAX).0, "cuts {cuts:?} change the frames");
    assert_eq!(told(&whole), reference(stream), "not what the standard says");
    let largest = raw.iter().map(Vec::len).max().unwrap_or(0);
    for cuts in [&[][..], &cuts] {
        // The LF of a line end that was cut in two counts for the frame behind it.
        assert_eq!(run(stream, cuts, largest + 1).0, whole, "a limit of {largest} is not reached");
        if largest > 1 {
            let limited = run(stream, cuts, largest - 2).0;
            assert!(matches!(limited.last(), Some(Err(StreamErrorKind::TooLarge))), "a limit below {largest} is passed");
        }
    }
    if told(&whole).iter().any(|(_, data)| data.is_some()) { Outcome::Accepted } else { Outcome::Refused }
}

/// The frames of `stream`, empty ones left out, then the error if there is one; and the raws.
fn run(stream: &[u8], cuts: &[usize], limit: usize) -> (Vec<Result<Told, StreamErrorKind>>, Vec<Vec<u8>>) {
    let mut sse = Sse::new(Limits { event_bytes: limit });
    let mut seen = Vec::new();
    let mut raws = Vec::new();
    let mut sink = |frame: &Frame<'_>| {
        raws.push(frame.raw.to_vec());
        if frame.data.is_some() || !frame.event.is_empty() {
            seen.push(Ok((frame.event.to_owned(), frame.data.clone().map(|data| data.into_owned()))));
        }
        Ok(())
    };
    let mut fed = 0;
    let result: Result<(), StreamError> = chunks(stream, cuts)
        .into_iter()
        .try_for_each(|chunk| {
            fed += chunk.len();
            let result = sse.feed(chunk, &mut sink);
            assert!(sse.held() <= limit, "more is held than the limit");
            result
        })
        .and_then(|()| sse.finish(&mut sink));
    if let Err(error) = &result {
        assert_eq!(sse.feed(b"data: more\n\n", &mut sink).as_ref(), Err(error));
        assert_eq!(sse.finish(&mut sink).as_ref(), Err(error));
    } else {
        sse.finish(&mut sink).expect("ends twice");
        // All that came; the last frame is ended if it was not.
        let raw = raws.concat();
        let added = raw.strip_prefix(stream).expect("bytes are lost or made up");
        assert!([&b""[..], b"\n", b"\n\n"].contains(&added), "{added:?} is made up");
        if let Some(last) = raws.last_mut() {
            last.truncate(last.len() - added.len());
        }
    }
    seen.extend(result.err().map(|error| Err(error.kind)));
    (seen, raws)
}

fn told(seen: &[Result<Told, StreamErrorKind>]) -> Vec<Told> {
    seen.iter().cloned().filter_map(Result::ok).collect()
}

/// The standard's algorithm, word by word and without a care for cost; the last event counts without its blank line.
fn reference(stream: &[u8]) -> Vec<Told> {
    let text = String::from_utf8_lossy(stream);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text).replace("\r\n", "\n").replace('\r', "\n");
    let mut seen = Vec::new();
    let (mut event, mut data) = (String::new(), None::<String>);
    for line in text.split('\n').chain([""]) {
        if line.is_empty() {
            if data.is_some() || !event.is_empty() {
                seen.push((std::mem::take(&mut event), data.take()));
            }
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => event = value.to_owned(),
            "data" => match &mut data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => data = Some(value.to_owned()),
            },
            _ => {}
        }
    }
    seen
}
