//! Runs every folder under `tests/fixtures` that holds a request or an answer.
//!
//! `tests/fixtures/README.md` says what the files are. `UPDATE_FIXTURES=1` writes what comes out in place of what is
//! expected; the difference is then read like code.

use std::{
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::{Bytes, BytesMut};
use portcullis::{
    dialect::{
        AnswerOptions, Capabilities, Crossing, Dialect, Edits, End, Exchange, LengthMember, Losses, Notes, Pipe, ReasoningStyle, Sampling,
        Seen, Stamp, StreamError, StructuredOutput, Target, Usage,
        frame::sse::{Limits, Sse},
        named,
        scan::Members,
    },
    fault::{Failure, Fault, FaultKind, Phase},
};
use serde_json::Value;

#[test]
fn requests() {
    run("requests", request);
}

#[test]
fn answers() {
    run("answers", answer);
}

/// One cell of the table, caller by provider.
#[derive(Clone, Copy)]
struct Cell {
    caller: &'static dyn Dialect,
    provider: &'static dyn Dialect,
}

impl Cell {
    /// `CALLER--PROVIDER`; `None` where a dialect of that name is not built.
    fn of(name: &str) -> Option<Self> {
        let (caller, provider) = name.split_once("--")?;
        Some(Self { caller: named(caller)?, provider: named(provider)? })
    }

    fn same(self) -> bool {
        self.caller.name() == self.provider.name()
    }
}

/// Runs `case` on every folder of `kind`, and tells all differences at once.
fn run(kind: &str, case: fn(Cell, &Path) -> Vec<(&'static str, String)>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let update = env::var_os("UPDATE_FIXTURES").is_some();
    let only = env::var("FIXTURE").unwrap_or_default();
    let mut wrong = String::new();
    let mut count = 0;
    for cell in folders(&root) {
        let name = cell.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(found) = Cell::of(name) else { continue };
        for folder in folders(&cell.join(kind)) {
            if !folder.to_string_lossy().contains(&only) {
                continue;
            }
            count += 1;
            let results = case(found, &folder);
            for (file, got) in &results {
                let path = folder.join(file);
                let expected = fs::read_to_string(&path).unwrap_or_default();
                if update && got.is_empty() {
                    let _ = fs::remove_file(&path);
                } else if update {
                    fs::write(&path, got).unwrap();
                } else if *got != expected {
                    write!(wrong, "\n{}\n--- expected\n{expected}\n--- got\n{got}\n", path.strip_prefix(&root).unwrap().display()).unwrap();
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(count > 0 || !only.is_empty(), "no fixtures in {}", root.display());
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let mut list: Vec<_> =
        fs::read_dir(path).into_iter().flatten().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    list.sort();
    list
}

fn settings(folder: &Path) -> Value {
    match fs::read_to_string(folder.join("settings.json")) {
        Ok(text) => serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", folder.display())),
        Err(_) => Value::Null,
    }
}

// Requests.

fn request(cell: Cell, folder: &Path) -> Vec<(&'static str, String)> {
    let settings = settings(folder);
    let body = fs::read(folder.join("caller.json")).unwrap();
    let body = Bytes::copy_from_slice(body.trim_ascii_end());
    let capabilities = capabilities(&settings["capabilities"]);
    let target = Target {
        model: settings["model"].as_str().unwrap_or("model-1"),
        issuer: settings["issuer"].as_str().unwrap_or(if cell.provider.name().starts_with("anthropic") { "anthropic" } else { "openai" }),
        capabilities: &capabilities,
        want_usage: settings["want_usage"].as_bool().unwrap_or(true),
    };
    let mut losses = Losses::default();
    let mut refused = String::new();
    let mut upstream = String::new();
    if cell.same() && settings["hub"] != true {
        let members = Members::scan(&body).unwrap();
        let mut edits = Edits::default();
        cell.provider.patch_request(&body, &members, &target, &mut edits);
        upstream = String::from_utf8(edits.apply(&body).concat()).unwrap();
    } else {
        let text = std::str::from_utf8(&body).unwrap();
        let mut out = BytesMut::new();
        let encoded = cell.caller.decode_request(text, &mut losses).and_then(|mut request| {
            request.model = target.model.into();
            cell.provider.encode_request(&request, &target, &mut out, &mut losses)
        });
        match encoded {
            Ok(exchange) => {
                upstream = String::from_utf8(out.to_vec()).unwrap();
                for (provider, caller) in &exchange.renamed_tools {
                    writeln!(refused, "renamed {caller} -> {provider}").unwrap();
                }
                if let Some(tool) = &exchange.output_tool {
                    writeln!(refused, "output tool {tool}").unwrap();
                }
            }
            Err(details) => details.iter().for_each(|detail| writeln!(refused, "refused {}: {}", detail.path, detail.message).unwrap()),
        }
    }
    if !upstream.is_empty() {
        serde_json::from_str::<Value>(&upstream).unwrap_or_else(|error| panic!("{}: {error}\n{upstream}", folder.display()));
        upstream.push('\n');
    }
    vec![("upstream.json", upstream), ("losses.txt", told(&losses)), ("exchange.txt", refused)]
}

fn capabilities(settings: &Value) -> Capabilities {
    let mut capabilities = Capabilities::default();
    for (name, value) in settings.as_object().into_iter().flatten() {
        let flag = || value.as_bool().unwrap();
        match (name.as_str(), value.as_str().unwrap_or_default()) {
            ("length", "max_tokens") => capabilities.length = LengthMember::MaxTokens,
            ("length", "max_completion_tokens") => capabilities.length = LengthMember::MaxCompletionTokens,
            ("reasoning", "none") => capabilities.reasoning = ReasoningStyle::None,
            ("reasoning", "effort") => capabilities.reasoning = ReasoningStyle::Effort,
            ("reasoning", "budget") => capabilities.reasoning = ReasoningStyle::Budget,
            ("reasoning", "adaptive") => capabilities.reasoning = ReasoningStyle::Adaptive,
            ("sampling", "fixed") => capabilities.sampling = Sampling::Fixed,
            ("sampling", "one_of") => capabilities.sampling = Sampling::OneOf,
            ("structured_output", "emulated") => capabilities.structured_output = StructuredOutput::Emulated,
            ("structured_output", "json_object") => capabilities.structured_output = StructuredOutput::JsonObject,
            ("structured_output", "schema") => capabilities.structured_output = StructuredOutput::Schema,
            ("default_max_output_tokens", _) => capabilities.default_max_output_tokens = value.as_u64().unwrap(),
            ("max_temperature_tenths", _) => capabilities.max_temperature_tenths = value.as_u64().unwrap().try_into().unwrap(),
            ("strict_tools", _) => capabilities.strict_tools = flag(),
            ("stream_usage", _) => capabilities.stream_usage = flag(),
            ("developer_role", _) => capabilities.developer_role = flag(),
            ("reasoning_replay", _) => capabilities.reasoning_replay = flag(),
            ("cache_control", _) => capabilities.cache_control = flag(),
            ("text_parts", _) => capabilities.text_parts = flag(),
            ("image_input", _) => capabilities.image_input = flag(),
            (name, value) => panic!("no such capability: {name} {value}"),
        }
    }
    capabilities
}

// Answers.

/// What came of one run of an answer.
#[derive(Debug, PartialEq)]
struct Outcome {
    written: String,
    usage: String,
    losses: String,
    end: String,
}

fn answer(cell: Cell, folder: &Path) -> Vec<(&'static str, String)> {
    let settings = settings(folder);
    let streamed = fs::read(folder.join("upstream.sse"));
    let (file, outcome) = match streamed {
        Ok(bytes) => ("caller.sse", every_cut(cell, &settings, &bytes, folder)),
        Err(_) => {
            let bytes = fs::read(folder.join("upstream.json")).unwrap();
            ("caller.json", whole(cell, &settings, &Bytes::copy_from_slice(bytes.trim_ascii_end())))
        }
    };
    vec![(file, outcome.written), ("usage.json", outcome.usage), ("losses.txt", outcome.losses), ("end.txt", outcome.end)]
}

/// One outcome, however the stream is cut.
fn every_cut(cell: Cell, settings: &Value, bytes: &[u8], folder: &Path) -> Outcome {
    let once = stream(cell, settings, &[bytes]);
    let step = if bytes.len() > 400 { 7 } else { 1 };
    for at in (1..bytes.len()).step_by(step) {
        let (head, tail) = bytes.split_at(at);
        assert_eq!(stream(cell, settings, &[head, tail]), once, "{}: cut at {at}", folder.display());
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(stream(cell, settings, &single), once, "{}: byte by byte", folder.display());
    once
}

fn stream(cell: Cell, settings: &Value, chunks: &[&[u8]]) -> Outcome {
    let mut pipe = pipe(cell, settings);
    let mut seen = Seen::default();
    let mut out = BytesMut::new();
    let mut sse = Sse::new(Limits::default());
    let mut framed = Ok(());
    for chunk in chunks {
        framed = framed.and_then(|()| sse.feed(chunk, &mut |frame| pipe.frame(frame, &mut out, &mut seen)));
    }
    framed = framed.and_then(|()| sse.finish(&mut |frame| pipe.frame(frame, &mut out, &mut seen)));
    let end = framed.and_then(|()| pipe.finish(&mut out, &mut seen));
    let end = match (end, &seen.error) {
        (_, Some(error)) => {
            fail(&mut *pipe, Fault::new(FaultKind::Upstream(Failure::Status)).with_upstream(error.clone()), &seen, &mut out);
            failed(&seen)
        }
        (Ok(End::Complete), _) => "complete\n".to_owned(),
        (Ok(End::Truncated), _) => {
            fail(&mut *pipe, Fault::new(FaultKind::Truncated), &seen, &mut out);
            "truncated\n".to_owned()
        }
        (Err(StreamError { kind, message }), _) => {
            fail(&mut *pipe, Fault::new(FaultKind::Upstream(Failure::Protocol)), &seen, &mut out);
            format!("{kind:?}: {message}\n")
        }
    };
    let written = String::from_utf8(out.to_vec()).unwrap();
    if !cell.same() || settings["hub"] == true {
        well_formed(cell.caller, &written, &seen);
    }
    Outcome { written, usage: used(&seen), losses: told(pipe.losses()), end: format!("{end}{}", facts(&seen)) }
}

/// After the first content only the stream itself can tell of an error.
fn fail(pipe: &mut dyn Pipe, fault: Fault, seen: &Seen, out: &mut BytesMut) {
    if seen.content {
        pipe.fail(&fault.at(Phase::AfterCommit), out);
    }
}

fn well_formed(dialect: &dyn Dialect, written: &str, seen: &Seen) {
    let mut grammar = dialect.grammar();
    let mut sse = Sse::new(Limits::default());
    let fed = sse.feed(written.as_bytes(), &mut |frame| grammar.frame(frame).map_err(|rule| StreamError::order(rule.0)));
    assert_eq!(fed, Ok(()), "{written}");
    if seen.content {
        assert_eq!(grammar.finish(), Ok(()), "{written}");
    }
}

fn whole(cell: Cell, settings: &Value, body: &Bytes) -> Outcome {
    let mut pipe = pipe(cell, settings);
    let mut seen = Seen::default();
    let (written, end) = match pipe.whole(body, &mut seen) {
        Ok(parts) => {
            (String::from_utf8(parts.concat()).unwrap(), if seen.error.is_some() { failed(&seen) } else { "complete\n".to_owned() })
        }
        Err(StreamError { kind, message }) => (String::new(), format!("{kind:?}: {message}\n")),
    };
    let written = if written.is_empty() { written } else { format!("{written}\n") };
    Outcome { written, usage: used(&seen), losses: told(pipe.losses()), end: format!("{end}{}", facts(&seen)) }
}

fn pipe(cell: Cell, settings: &Value) -> Box<dyn Pipe> {
    let stamp = Stamp { id: "G-01".into(), created: 1_700_000_000, model: "asked-for".into() };
    let flag = |name: &str, usual: bool| settings[name].as_bool().unwrap_or(usual);
    let options = AnswerOptions {
        include_usage: flag("include_usage", true),
        rich_usage: flag("rich_usage", false),
        notes: flag("notes", false).then(|| Arc::new(TestNotes { meta: flag("meta", false) }) as Arc<dyn Notes>),
    };
    if cell.same() && settings["hub"] != true {
        return cell.caller.relay(stamp, options);
    }
    let pairs = settings["renamed_tools"].as_object().into_iter().flatten();
    let exchange = Exchange {
        renamed_tools: pairs.map(|(provider, caller)| (provider.clone(), caller.as_str().unwrap().to_owned())).collect(),
        output_tool: settings["output_tool"].as_str().map(str::to_owned),
    };
    Box::new(Crossing::new(cell.provider, cell.caller, &exchange, stamp, options))
}

/// Notes with a round price.
struct TestNotes {
    meta: bool,
}

impl Notes for TestNotes {
    fn provider(&self) -> &str {
        "test-provider"
    }

    fn cost(&self, usage: &Usage, out: &mut BytesMut) -> bool {
        let nanos = usage.prompt() * 1_000 + usage.output * 4_000;
        out.extend_from_slice(format!(r#"{{"total_nanos":{nanos},"currency":"USD"}}"#).as_bytes());
        true
    }

    fn meta(&self, _: Option<&str>, _: Option<&Usage>, out: &mut BytesMut) -> bool {
        if self.meta {
            out.extend_from_slice(br#"{"attempts":1}"#);
        }
        self.meta
    }
}

// How outcomes are told.

fn told(losses: &Losses) -> String {
    losses.iter().map(|lost| format!("{} {} {}\n", lost.path, lost.loss.fate, lost.loss.id)).collect()
}

fn used(seen: &Seen) -> String {
    let Some(usage) = seen.usage else { return String::new() };
    let counts = [
        ("input", usage.input),
        ("cache_read", usage.cache_read),
        ("cache_write_5m", usage.cache_write_5m),
        ("cache_write_1h", usage.cache_write_1h),
        ("output", usage.output),
        ("reasoning", usage.reasoning),
        ("input_audio", usage.input_audio),
        ("output_audio", usage.output_audio),
    ];
    let counts: Vec<_> = counts.iter().filter(|(_, count)| *count > 0).map(|(name, count)| format!("\"{name}\":{count}")).collect();
    format!("{{{}}}\n", counts.join(","))
}

fn failed(seen: &Seen) -> String {
    let error = seen.error.clone().unwrap_or_default();
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    format!(
        "error {} {} {}: {}\n",
        error.status.map_or_else(|| "-".to_owned(), |status| status.to_string()),
        or_none(error.kind),
        or_none(error.code),
        error.message
    )
}

fn facts(seen: &Seen) -> String {
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    format!(
        "id {}\nmodel {}\nfinish_reason {}\ncontent {}\nended {}\noutput_bytes {}\n",
        or_none(&seen.id),
        or_none(&seen.model),
        or_none(&seen.finish_reason),
        seen.content,
        seen.ended,
        seen.output_bytes
    )
}
