//! The record of a call.

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use serde::{
    Serialize, Serializer,
    ser::{SerializeSeq, SerializeStruct},
};

use crate::{
    catalog::{CostLine, ModelId, Picodollars, ProviderId},
    dialect::{Losses, Usage},
    stage::{GenerationId, KeyId, Outcome},
};

/// What is kept of a call: one per call, whatever ended it. It holds no prompt and no completion.
///
/// `Serialize` writes the public form, with the members in this order.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    /// The call's id.
    #[serde(serialize_with = "text")]
    pub request_id: GenerationId,
    /// The workspace that pays and may read it.
    #[serde(serialize_with = "text")]
    pub workspace_id: Arc<str>,
    /// The key it was made with.
    #[serde(serialize_with = "some_text")]
    pub key_id: Option<KeyId>,
    /// The application, as its `X-Title` or `HTTP-Referer` says.
    pub app: Option<String>,
    /// The operation: `chat`, `embeddings`.
    pub endpoint: &'static str,
    /// The caller's dialect.
    pub dialect: &'static str,
    /// The model asked for, as written. Like every name here, its first 256 bytes.
    pub model_requested: String,
    /// The model that it resolved to.
    pub model: Option<ModelId>,
    /// Who answered, or was asked last.
    pub provider: Option<ProviderId>,
    /// The version that answered, as the provider names it.
    pub provider_model: Option<String>,
    /// The provider's id of the answer.
    pub native_response_id: Option<String>,
    /// Whether the answer was streamed.
    pub stream: bool,
    /// The status the caller saw; `None` if the caller left before there was one.
    pub status_code: Option<u16>,
    /// Whether the caller got all of a good answer.
    pub success: bool,
    /// How it ended.
    #[serde(serialize_with = "outcome")]
    pub outcome: Outcome,
    /// The name of what went wrong.
    pub fault: Option<&'static str>,
    /// Whose doing that was: `user`, `provider` or `gateway`.
    pub error_origin: Option<&'static str>,
    /// Why the model stopped, in the provider's word.
    pub finish_reason: Option<String>,
    /// What all attempts together used.
    pub usage: RecordedUsage,
    /// What that costs in nano-USD: the exact sum of the lines, rounded once.
    pub cost_nanos: u64,
    /// Always `USD`.
    pub currency: &'static str,
    /// The bill, a line per meter and price.
    pub pricing_lines: Vec<PricingLine>,
    /// From the request's head to the last byte of the answer.
    pub latency_ms: u64,
    /// From the request's head to the first content.
    pub ttft_ms: Option<u64>,
    /// From the first content to the last byte.
    pub generation_ms: Option<u64>,
    /// The part of `latency_ms` in which no provider was waited for.
    pub gateway_ms: u64,
    /// Output tokens per second of `generation_ms`.
    pub throughput_tps: Option<f64>,
    /// Each try at a provider, in order.
    pub attempts: Vec<AttemptRecord>,
    /// What the translation could not carry.
    #[serde(serialize_with = "losses")]
    pub losses: Losses,
    /// What the key's owner and the caller attached.
    pub metadata: BTreeMap<String, String>,
    /// When the call came.
    #[serde(serialize_with = "rfc3339")]
    pub created_at: SystemTime,
    /// How many calls this record stands for: more than one only where refusals were folded together.
    #[serde(skip_serializing_if = "is_one")]
    pub calls: u64,
}

/// One try at a provider.
#[derive(Clone, Debug, Serialize)]
pub struct AttemptRecord {
    /// Who was asked.
    pub provider: ProviderId,
    /// The provider's name of the model.
    #[serde(serialize_with = "text")]
    pub model: Arc<str>,
    /// The status of its answer.
    pub status: Option<u16>,
    /// The name of what went wrong.
    pub fault: Option<&'static str>,
    /// What it used.
    pub usage: RecordedUsage,
    /// What that costs in nano-USD, at the price pinned when it was dispatched.
    pub cost_nanos: u64,
    /// How long it took.
    pub latency_ms: u64,
    /// How it ended.
    #[serde(serialize_with = "outcome")]
    pub outcome: Outcome,
}

/// A usage, and how it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordedUsage {
    /// The counters.
    pub counts: Usage,
    /// How they are known.
    pub source: UsageSource,
}

/// How a usage is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum UsageSource {
    /// By the provider's own word; also where nothing was sent to one.
    #[default]
    Reported,
    /// The answer broke off: what the provider had said by then, the output at least as much as came.
    Partial,
    /// From the sizes of prompt and answer.
    Estimated,
}

/// A line of the bill. As JSON `{meter, quantity, unit_price_usd, cost_usd}`, the prices exact decimals in strings;
/// `unit_price_usd` is `null` where the price list has no such meter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PricingLine(pub CostLine);

impl UsageSource {
    /// Its name in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::Partial => "partial",
            Self::Estimated => "estimated",
        }
    }
}

impl RecordedUsage {
    /// Adds another attempt's usage; the sum is known no better than the worse of the two.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let (a, b) = (self.counts, other.counts);
        let counts = Usage {
            input: a.input.saturating_add(b.input),
            cache_read: a.cache_read.saturating_add(b.cache_read),
            cache_write_5m: a.cache_write_5m.saturating_add(b.cache_write_5m),
            cache_write_1h: a.cache_write_1h.saturating_add(b.cache_write_1h),
            output: a.output.saturating_add(b.output),
            reasoning: a.reasoning.saturating_add(b.reasoning),
            input_audio: a.input_audio.saturating_add(b.input_audio),
            output_audio: a.output_audio.saturating_add(b.output_audio),
            images: a.images.saturating_add(b.images),
            seconds: a.seconds.saturating_add(b.seconds),
            requests: a.requests.saturating_add(b.requests),
        };
        Self { counts, source: self.source.max(other.source) }
    }
}

impl Serialize for RecordedUsage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let counts = &self.counts;
        let mut members = serializer.serialize_struct("usage", 12)?;
        members.serialize_field("input", &counts.input)?;
        members.serialize_field("cache_read", &counts.cache_read)?;
        members.serialize_field("cache_write_5m", &counts.cache_write_5m)?;
        members.serialize_field("cache_write_1h", &counts.cache_write_1h)?;
        members.serialize_field("output", &counts.output)?;
        members.serialize_field("reasoning", &counts.reasoning)?;
        members.serialize_field("input_audio", &counts.input_audio)?;
        members.serialize_field("output_audio", &counts.output_audio)?;
        members.serialize_field("images", &counts.images)?;
        members.serialize_field("seconds", &counts.seconds)?;
        members.serialize_field("requests", &counts.requests)?;
        members.serialize_field("source", self.source.name())?;
        members.end()
    }
}

impl Serialize for PricingLine {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let CostLine { meter, quantity, rate, amount } = self.0;
        let mut members = serializer.serialize_struct("line", 4)?;
        members.serialize_field("meter", meter.name())?;
        members.serialize_field("quantity", &quantity)?;
        members.serialize_field("unit_price_usd", &rate.map(|rate| Picodollars(rate.0.into()).to_string()))?;
        members.serialize_field("cost_usd", &amount.to_string())?;
        members.end()
    }
}

fn text<T: std::fmt::Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn some_text<T: std::fmt::Display, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}

fn outcome<S: Serializer>(outcome: &Outcome, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(outcome.name())
}

fn losses<S: Serializer>(losses: &Losses, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Entry<'a> {
        path: &'a str,
        #[serde(serialize_with = "text")]
        fate: crate::dialect::Fate,
        id: &'static str,
    }
    let mut list = serializer.serialize_seq(None)?;
    for lost in losses.iter() {
        list.serialize_element(&Entry { path: &lost.path, fate: lost.loss.fate, id: lost.loss.id })?;
    }
    list.end()
}

/// RFC 3339 in UTC, to the millisecond. Times that no calendar has (a broken clock) become the epoch.
pub(crate) fn rfc3339<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    let time = jiff::Timestamp::try_from(*time).unwrap_or_default();
    serializer.collect_str(&format_args!("{time:.3}"))
}

pub(crate) fn is_one(calls: &u64) -> bool {
    *calls == 1
}
