//! The demo's embeddings, moderations and images, in OpenAI's words.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{
    Answer, Refusal, Stamp,
    echo::{pieces, strings, text_of, tokens},
};

/// The most inputs of one request, and the most numbers of its answer: a megabyte of short texts would else be gigabytes.
const MOST_INPUTS: usize = 2048;
const MOST_NUMBERS: usize = 1 << 20;

pub(super) fn embeddings(request: &Value, stamp: &Stamp<'_>) -> Result<Answer, Refusal> {
    let inputs = texts(&request["input"]).ok_or_else(|| Refusal::new("input", "input must be text, tokens, or a list of either"))?;
    let dimensions = match &request["dimensions"] {
        Value::Null => 256,
        number => number
            .as_u64()
            .and_then(|number| usize::try_from(number).ok())
            .filter(|number| (1..=4096).contains(number))
            .ok_or_else(|| Refusal::new("dimensions", "dimensions must be from 1 to 4096"))?,
    };
    few(&inputs)?;
    if inputs.len() * dimensions > MOST_NUMBERS {
        return Err(Refusal::new("input", format!("inputs times dimensions must be at most {MOST_NUMBERS}")));
    }
    let base64 = request["encoding_format"] == "base64";
    let embedding = |(index, text): (usize, &String)| {
        let vector = vector(text, dimensions);
        let embedding: Value = if base64 {
            STANDARD.encode(vector.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>()).into()
        } else {
            vector.into()
        };
        json!({"object": "embedding", "index": index, "embedding": embedding})
    };
    let used: u64 = inputs.iter().map(|text| tokens(text)).sum();
    Ok(Answer::ok(json!({
        "object": "list", "data": inputs.iter().enumerate().map(embedding).collect::<Vec<_>>(), "model": stamp.model,
        "usage": {"prompt_tokens": used, "total_tokens": used}
    })))
}

/// Refuses more inputs than an answer has room for.
fn few(inputs: &[String]) -> Result<(), Refusal> {
    if inputs.len() > MOST_INPUTS {
        return Err(Refusal::new("input", format!("there must be at most {MOST_INPUTS} inputs")));
    }
    Ok(())
}

/// A text's inputs: text, tokens, or a list of either. Tokens are written out as their numbers.
fn texts(input: &Value) -> Option<Vec<String>> {
    let numbers = |list: &[Value]| list.iter().map(|token| token.as_u64().map(|token| token.to_string())).collect::<Option<Vec<_>>>();
    match input {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(list) if list.is_empty() => None,
        Value::Array(list) if list.iter().all(Value::is_u64) => Some(vec![numbers(list)?.join(" ")]),
        Value::Array(list) => list
            .iter()
            .map(|item| match item {
                Value::String(text) => Some(text.clone()),
                Value::Array(tokens) => Some(numbers(tokens)?.join(" ")),
                _ => None,
            })
            .collect(),
        _ => None,
    }
}

/// The sum of a direction for each word, made one long.
fn vector(text: &str, dimensions: usize) -> Vec<f32> {
    let mut sum = vec![0f32; dimensions];
    for word in pieces(text).map(str::trim).filter(|word| !word.is_empty()).chain(text.trim().is_empty().then_some("")) {
        let word = word.to_lowercase();
        for (block, numbers) in sum.chunks_mut(32).enumerate() {
            let hash = Sha256::new().chain_update(block.to_le_bytes()).chain_update(&word).finalize();
            for (number, byte) in numbers.iter_mut().zip(hash) {
                *number += (f32::from(byte) - 127.5) / 127.5;
            }
        }
    }
    let length = sum.iter().map(|number| number * number).sum::<f32>().sqrt();
    // Words may cancel each other out, in one dimension at least in theory.
    if length > 0.0 {
        sum.iter_mut().for_each(|number| *number /= length);
    } else if let Some(first) = sum.first_mut() {
        *first = 1.0;
    }
    sum
}

const CATEGORIES: [&str; 13] = [
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
];

pub(super) fn moderations(request: &Value, stamp: &Stamp<'_>) -> Result<Answer, Refusal> {
    let input = &request["input"];
    let inputs: Vec<String> = match strings(input) {
        texts if !texts.is_empty() => texts.into_iter().map(str::to_owned).collect(),
        // Parts of one input.
        _ => vec![text_of(input)],
    };
    if inputs.iter().all(String::is_empty) {
        return Err(Refusal::new("input", "input must be text, or a list of texts or parts"));
    }
    few(&inputs)?;
    let verdict = |text: &String| {
        let named = |category: &str| text.split_whitespace().any(|word| word.eq_ignore_ascii_case(category));
        let by_category = |value: &dyn Fn(&str) -> Value| -> Map<String, Value> {
            CATEGORIES.iter().map(|category| ((*category).to_owned(), value(category))).collect()
        };
        json!({
            "flagged": CATEGORIES.iter().any(|category| named(category)),
            "categories": by_category(&|category| named(category).into()),
            "category_scores": by_category(&|category| if named(category) { 0.99 } else { 0.01 }.into()),
            "category_applied_input_types": by_category(&|_| json!(["text"]))
        })
    };
    Ok(Answer::ok(json!({
        "id": format!("modr-{}", stamp.id), "model": stamp.model, "results": inputs.iter().map(verdict).collect::<Vec<_>>()
    })))
}

/// A PNG of one pixel.
const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mMwSJgAAAHkASH0kQGeAAAAAElFTkSuQmCC";

pub(super) fn images(request: &Value, stamp: &Stamp<'_>) -> Result<Answer, Refusal> {
    let prompt = request["prompt"].as_str().ok_or_else(|| Refusal::new("prompt", "a prompt is required"))?;
    let count = match &request["n"] {
        Value::Null => 1,
        n => n.as_u64().filter(|n| (1..=10).contains(n)).ok_or_else(|| Refusal::new("n", "n must be from 1 to 10"))?,
    };
    let text = tokens(prompt);
    let usage = json!({
        "input_tokens": text, "output_tokens": count, "total_tokens": text + count,
        "input_tokens_details": {"text_tokens": text, "image_tokens": 0}
    });
    if request["stream"] == true {
        let event = json!({
            "type": "image_generation.completed", "b64_json": PIXEL, "created_at": stamp.created, "size": "auto", "quality": "auto",
            "background": "opaque", "output_format": "png", "usage": usage
        });
        return Ok(Answer::Stream(vec![format!("event: image_generation.completed\ndata: {event}\n\n")]));
    }
    let image = if request["response_format"] == "url" {
        json!({"url": format!("data:image/png;base64,{PIXEL}")})
    } else {
        json!({ "b64_json": PIXEL })
    };
    let data: Vec<&Value> = (0..count).map(|_| &image).collect();
    Ok(Answer::ok(json!({"created": stamp.created, "data": data, "usage": usage})))
}
