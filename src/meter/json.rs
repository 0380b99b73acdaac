//! A record as JSON, without a serializer: every call writes one, on its way out.
//!
//! The names are known here and need no escapes, so each goes out together with the punctuation around it.

use std::{
    io::Write as _,
    time::{Duration, SystemTime},
};

use bytes::{BufMut, BytesMut};

use super::{AttemptRecord, PricingLine, Record, RecordedUsage};
use crate::{
    catalog::{CostLine, ModelId, Picodollars, ProviderId},
    dialect::{
        Lost, Usage,
        json::{number, string},
    },
    stage::KeyId,
};

impl Record {
    /// Appends the record's public form: the same text as `Serialize` makes, for a fraction of the work.
    pub fn write(&self, out: &mut BytesMut) {
        // All members are named, so that a new one is not forgotten here.
        let Self { request_id, workspace_id, key_id, app, endpoint, dialect, model_requested, model, provider, .. } = self;
        let Self { provider_model, native_response_id, stream, status_code, success, outcome, fault, error_origin, .. } = self;
        let Self { finish_reason, usage, cost_nanos, currency, pricing_lines, latency_ms, ttft_ms, generation_ms, .. } = self;
        let Self { gateway_ms, throughput_tps, attempts, losses, metadata, created_at, calls, .. } = self;
        out.put_slice(b"{\"request_id\":");
        name(out, request_id.as_str());
        out.put_slice(b",\"workspace_id\":");
        string(out, workspace_id);
        out.put_slice(b",\"key_id\":");
        optional(out, key_id.as_ref().map(KeyId::as_str));
        out.put_slice(b",\"app\":");
        optional(out, app.as_deref());
        out.put_slice(b",\"endpoint\":");
        name(out, endpoint);
        out.put_slice(b",\"dialect\":");
        string(out, dialect);
        out.put_slice(b",\"model_requested\":");
        string(out, model_requested);
        out.put_slice(b",\"model\":");
        optional(out, model.as_ref().map(ModelId::as_str));
        out.put_slice(b",\"provider\":");
        optional(out, provider.as_ref().map(ProviderId::as_str));
        out.put_slice(b",\"provider_model\":");
        optional(out, provider_model.as_deref());
        out.put_slice(b",\"native_response_id\":");
        optional(out, native_response_id.as_deref());
        out.put_slice(b",\"stream\":");
        truth(out, *stream);
        out.put_slice(b",\"status_code\":");
        count(out, status_code.map(u64::from));
        out.put_slice(b",\"success\":");
        truth(out, *success);
        out.put_slice(b",\"outcome\":");
        name(out, outcome.name());
        out.put_slice(b",\"fault\":");
        known(out, *fault);
        out.put_slice(b",\"error_origin\":");
        known(out, *error_origin);
        out.put_slice(b",\"finish_reason\":");
        optional(out, finish_reason.as_deref());
        out.put_slice(b",\"usage\":");
        usage.write(out);
        out.put_slice(b",\"cost_nanos\":");
        number(out, *cost_nanos);
        out.put_slice(b",\"currency\":");
        name(out, currency);
        out.put_slice(b",\"pricing_lines\":");
        list(out, pricing_lines, |line, out| line.write(out));
        out.put_slice(b",\"latency_ms\":");
        number(out, *latency_ms);
        out.put_slice(b",\"ttft_ms\":");
        count(out, *ttft_ms);
        out.put_slice(b",\"generation_ms\":");
        count(out, *generation_ms);
        out.put_slice(b",\"gateway_ms\":");
        number(out, *gateway_ms);
        out.put_slice(b",\"throughput_tps\":");
        rate(out, *throughput_tps);
        out.put_slice(b",\"attempts\":");
        list(out, attempts, |attempt, out| attempt.write(out));
        out.put_slice(b",\"losses\":");
        list(out, losses.iter(), lost);
        out.put_slice(b",\"metadata\":");
        pairs(out, metadata);
        out.put_slice(b",\"created_at\":");
        rfc3339(out, *created_at);
        if *calls != 1 {
            out.put_slice(b",\"calls\":");
            number(out, *calls);
        }
        out.put_u8(b'}');
    }
}

impl AttemptRecord {
    fn write(&self, out: &mut BytesMut) {
        let Self { provider, model, status, fault, usage, cost_nanos, latency_ms, outcome } = self;
        out.put_slice(b"{\"provider\":");
        string(out, provider.as_str());
        out.put_slice(b",\"model\":");
        string(out, model);
        out.put_slice(b",\"status\":");
        count(out, status.map(u64::from));
        out.put_slice(b",\"fault\":");
        known(out, *fault);
        out.put_slice(b",\"usage\":");
        usage.write(out);
        out.put_slice(b",\"cost_nanos\":");
        number(out, *cost_nanos);
        out.put_slice(b",\"latency_ms\":");
        number(out, *latency_ms);
        out.put_slice(b",\"outcome\":");
        name(out, outcome.name());
        out.put_u8(b'}');
    }
}

impl RecordedUsage {
    fn write(&self, out: &mut BytesMut) {
        let Usage { input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, .. } = self.counts;
        let Usage { input_audio, output_audio, images, seconds, requests, .. } = self.counts;
        out.put_slice(b"{\"input\":");
        number(out, input);
        out.put_slice(b",\"cache_read\":");
        number(out, cache_read);
        out.put_slice(b",\"cache_write_5m\":");
        number(out, cache_write_5m);
        out.put_slice(b",\"cache_write_1h\":");
        number(out, cache_write_1h);
        out.put_slice(b",\"output\":");
        number(out, output);
        out.put_slice(b",\"reasoning\":");
        number(out, reasoning);
        out.put_slice(b",\"input_audio\":");
        number(out, input_audio);
        out.put_slice(b",\"output_audio\":");
        number(out, output_audio);
        out.put_slice(b",\"images\":");
        number(out, images);
        out.put_slice(b",\"seconds\":");
        number(out, seconds);
        out.put_slice(b",\"requests\":");
        number(out, requests);
        out.put_slice(b",\"source\":");
        name(out, self.source.name());
        out.put_u8(b'}');
    }
}

impl PricingLine {
    fn write(&self, out: &mut BytesMut) {
        let CostLine { meter, quantity, rate, amount } = self.0;
        out.put_slice(b"{\"meter\":");
        name(out, meter.name());
        out.put_slice(b",\"quantity\":");
        number(out, quantity);
        out.put_slice(b",\"unit_price_usd\":");
        match rate {
            Some(rate) => money(out, Picodollars(rate.0.into())),
            None => out.put_slice(b"null"),
        }
        out.put_slice(b",\"cost_usd\":");
        money(out, amount);
        out.put_u8(b'}');
    }
}

fn lost(lost: &Lost, out: &mut BytesMut) {
    out.put_slice(b"{\"path\":");
    string(out, &lost.path);
    out.put_slice(b",\"fate\":");
    string(out, &lost.loss.fate.to_string());
    out.put_slice(b",\"id\":");
    name(out, lost.loss.id);
    out.put_u8(b'}');
}

/// A string of our own, which needs no escapes.
pub(crate) fn name(out: &mut BytesMut, name: &str) {
    out.reserve(name.len() + 2);
    out.put_u8(b'"');
    out.put_slice(name.as_bytes());
    out.put_u8(b'"');
}

/// A string, or `null`.
pub(crate) fn optional(out: &mut BytesMut, text: Option<&str>) {
    match text {
        Some(text) => string(out, text),
        None => out.put_slice(b"null"),
    }
}

/// A word of ours, or `null`.
fn known(out: &mut BytesMut, word: Option<&'static str>) {
    match word {
        Some(word) => name(out, word),
        None => out.put_slice(b"null"),
    }
}

/// A number, or `null`.
pub(crate) fn count(out: &mut BytesMut, value: Option<u64>) {
    match value {
        Some(value) => number(out, value),
        None => out.put_slice(b"null"),
    }
}

/// `true` or `false`.
pub(crate) fn truth(out: &mut BytesMut, value: bool) {
    out.put_slice(if value { b"true" } else { b"false" });
}

/// An array of what `write` writes.
pub(crate) fn list<T>(out: &mut BytesMut, items: impl IntoIterator<Item = T>, write: impl Fn(T, &mut BytesMut)) {
    out.put_u8(b'[');
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            out.put_u8(b',');
        }
        write(item, out);
    }
    out.put_u8(b']');
}

/// An object of strings, whose names may need escapes.
pub(crate) fn pairs<'a>(out: &mut BytesMut, members: impl IntoIterator<Item = (&'a String, &'a String)>) {
    out.put_u8(b'{');
    for (at, (member, value)) in members.into_iter().enumerate() {
        if at > 0 {
            out.put_u8(b',');
        }
        string(out, member);
        out.put_u8(b':');
        string(out, value);
    }
    out.put_u8(b'}');
}

fn money(out: &mut BytesMut, amount: Picodollars) {
    out.put_u8(b'"');
    amount.write(out);
    out.put_u8(b'"');
}

/// A rate with its fraction; what is no number is `null`.
fn rate(out: &mut BytesMut, rate: Option<f64>) {
    // Writing to memory cannot fail.
    let _ = serde_json::to_writer(out.writer(), &rate);
}

/// RFC 3339 in UTC, to the millisecond, as a JSON string. Times that no calendar has (a broken clock) become the epoch.
fn rfc3339(out: &mut BytesMut, time: SystemTime) {
    let Some(since) = time.duration_since(SystemTime::UNIX_EPOCH).ok().filter(|since| *since < FOUR_DIGITS) else {
        let time = jiff::Timestamp::try_from(time).unwrap_or_default();
        let _ = write!(out.writer(), "\"{time:.3}\"");
        return;
    };
    let (days, second) = (since.as_secs() / DAY, since.as_secs() % DAY);
    let (year, month, day) = date(days);
    let mut text = *b"\"0000-00-00T00:00:00.000Z\"";
    digits(&mut text[1..5], year);
    digits(&mut text[6..8], month);
    digits(&mut text[9..11], day);
    digits(&mut text[12..14], second / 3600);
    digits(&mut text[15..17], second / 60 % 60);
    digits(&mut text[18..20], second % 60);
    digits(&mut text[21..24], since.subsec_millis().into());
    out.put_slice(&text);
}

/// The year, month and day that lies `days` after 1970-01-01, in the proleptic Gregorian calendar.
///
/// Counts in years that begin in March, so that the leap day is the last of its year, from the last March before a
/// multiple of 400 years.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // March to July is 153 days, and so is August to December.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
}

fn digits(out: &mut [u8], mut value: u64) {
    for digit in out.iter_mut().rev() {
        *digit = b"0123456789"[(value % 10) as usize];
        value /= 10;
    }
}

const DAY: u64 = 86_400;
/// Up to the year 9998, within what every calendar has.
const FOUR_DIGITS: Duration = Duration::from_secs(253_370_764_800);

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::{
        catalog::{Meter, Rate},
        dialect::{Losses, loss::table},
        meter::UsageSource,
        stage::{GenerationId, Outcome},
    };

    fn written(record: &Record) -> String {
        let mut out = BytesMut::new();
        record.write(&mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    fn text() -> impl Strategy<Value = Option<String>> {
        proptest::option::of("(?s).{0,12}")
    }

    fn a_usage() -> impl Strategy<Value = RecordedUsage> {
        (any::<[u64; 11]>(), 0usize..3).prop_map(|(counts, source)| {
            let [
                input,
                cache_read,
                cache_write_5m,
                cache_write_1h,
                output,
                reasoning,
                input_audio,
                output_audio,
                images,
                seconds,
                requests,
            ] = counts;
            RecordedUsage {
                counts: Usage {
                    input,
                    cache_read,
                    cache_write_5m,
                    cache_write_1h,
                    output,
                    reasoning,
                    input_audio,
                    output_audio,
                    images,
                    seconds,
                    requests,
                },
                source: [UsageSource::Reported, UsageSource::Partial, UsageSource::Estimated][source],
            }
        })
    }

    fn an_attempt() -> impl Strategy<Value = AttemptRecord> {
        ("(?s).{0,12}", "(?s).{0,12}", any::<Option<u16>>(), any::<bool>(), a_usage(), any::<(u64, u64)>()).prop_map(
            |(provider, model, status, failed, usage, (cost_nanos, latency_ms))| AttemptRecord {
                provider: provider.as_str().into(),
                model,
                status,
                fault: failed.then_some("connect"),
                usage,
                cost_nanos,
                latency_ms,
                outcome: if failed { Outcome::Failed } else { Outcome::Complete },
            },
        )
    }

    fn a_line() -> impl Strategy<Value = PricingLine> {
        (0..Meter::ALL.len(), any::<u64>(), any::<Option<u64>>(), any::<u128>()).prop_map(|(meter, quantity, rate, amount)| {
            PricingLine(CostLine { meter: Meter::ALL[meter], quantity, rate: rate.map(Rate), amount: Picodollars(amount) })
        })
    }

    prop_compose! {
        fn a_record()(
            [workspace, requested, path, name, value] in proptest::array::uniform5("(?s).{0,12}"),
            [key, app, model, provider, version, native, finish] in proptest::array::uniform7(text()),
            (stream, success, status_code, cost_nanos, calls) in any::<(bool, bool, Option<u16>, u64, u64)>(),
            (latency_ms, gateway_ms, ttft_ms, generation_ms) in any::<(u64, u64, Option<u64>, Option<u64>)>(),
            throughput_tps in any::<Option<f64>>(),
            usage in a_usage(),
            pricing_lines in proptest::collection::vec(a_line(), 0..3),
            attempts in proptest::collection::vec(an_attempt(), 0..3),
            some in any::<bool>(),
            created in 0u64..400_000_000_000_000,
        ) -> Record {
            let mut losses = Losses::default();
            table().take(usize::from(some) * 3).for_each(|loss| losses.report_at(loss, path.clone()));
            Record {
                request_id: GenerationId::generate(SystemTime::UNIX_EPOCH),
                workspace_id: workspace,
                key_id: key.as_deref().map(Into::into),
                app,
                endpoint: "chat",
                dialect: "openai-chat",
                model_requested: requested,
                model: model.as_deref().map(Into::into),
                provider: provider.as_deref().map(Into::into),
                provider_model: version,
                native_response_id: native,
                stream,
                status_code,
                success,
                outcome: Outcome::Truncated,
                fault: some.then_some("truncated"),
                error_origin: some.then_some("provider"),
                finish_reason: finish,
                usage,
                cost_nanos,
                currency: "USD",
                pricing_lines,
                latency_ms,
                ttft_ms,
                generation_ms,
                gateway_ms,
                throughput_tps,
                attempts,
                losses,
                metadata: if some { BTreeMap::from([(name, value), ("a".into(), "b".into())]) } else { BTreeMap::new() },
                created_at: SystemTime::UNIX_EPOCH + Duration::from_millis(created),
                calls: if some { calls } else { 1 },
            }
        }
    }

    proptest! {
        #[test]
        fn both_ways_of_writing_say_the_same(record in a_record()) {
            prop_assert_eq!(written(&record), serde_json::to_string(&record).unwrap());
        }

        #[test]
        fn a_time_is_the_calendars(seconds in 0..253_370_764_799i64, millis in 0u32..1000) {
            let time = SystemTime::UNIX_EPOCH + Duration::new(seconds.unsigned_abs(), millis * 1_000_000);
            let mut out = BytesMut::new();
            rfc3339(&mut out, time);
            let expected = format!("\"{:.3}\"", jiff::Timestamp::try_from(time).unwrap());
            prop_assert_eq!(&out[..], expected.as_bytes());
        }
    }

    #[test]
    fn a_broken_clock_hurts_nobody() {
        let mut out = BytesMut::new();
        rfc3339(&mut out, SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40));
        rfc3339(&mut out, SystemTime::UNIX_EPOCH - Duration::from_millis(1));
        assert_eq!(&out[..], b"\"1970-01-01T00:00:00.000Z\"\"1969-12-31T23:59:59.999Z\"");
    }
}
