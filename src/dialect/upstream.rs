//! What every dialect reads from a provider's refusal: what its status means, how long to wait, its request id; and the
//! scrubbing of its words before anybody else sees them.

use std::{borrow::Cow, time::Duration};

use http::{HeaderMap, StatusCode, header};

use crate::fault::{Failure, FaultKind, Timeout};

/// What a provider's status means, before its body is looked at.
///
/// 401, 402 and 403 are about *our* credential, never the caller's.
pub(crate) fn kind_of(status: StatusCode) -> FaultKind {
    match status.as_u16() {
        401..=403 => FaultKind::CredentialRefused,
        408 | 504 => FaultKind::Timeout(Timeout::FirstByte),
        429 => FaultKind::RateLimited,
        status @ 400..=499 => FaultKind::Rejected { status },
        503 | 529 => FaultKind::Upstream(Failure::Overloaded),
        500..=599 => FaultKind::Upstream(Failure::Status),
        _ => FaultKind::Upstream(Failure::Protocol),
    }
}

/// How long the provider asks to wait: `retry-after-ms`, or `retry-after` in seconds or as a date.
///
/// A date is measured against the answer's own `date`, so no clock is needed and a skewed one does no harm.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let seconds = |text: &str, unit: f64| text.parse::<f64>().ok().and_then(|n| Duration::try_from_secs_f64(n * unit).ok());
    if let Some(wait) = text("retry-after-ms").and_then(|ms| seconds(ms, 0.001)) {
        return Some(wait);
    }
    let value = text(header::RETRY_AFTER.as_str())?;
    seconds(value, 1.0).or_else(|| {
        let until = httpdate::parse_http_date(value).ok()?;
        let now = httpdate::parse_http_date(text(header::DATE.as_str())?).ok()?;
        Some(until.duration_since(now).unwrap_or_default())
    })
}

/// The provider's id of the request.
pub(crate) fn request_id(headers: &HeaderMap) -> Option<String> {
    ["x-request-id", "request-id", "x-amzn-requestid", "apim-request-id", "cf-ray"]
        .into_iter()
        .find_map(|name| headers.get(name))
        .and_then(|value| value.to_str().ok())
        .map(|id| id.chars().take(128).collect())
}

/// `text` with whatever looks like a credential or an account's id blotted out.
///
/// Providers repeat (parts of) the key they refuse, and name the organisation it belongs to: both are the host's
/// business, not its callers'.
pub(crate) fn scrubbed(text: &str) -> Cow<'_, str> {
    let mut clean: Option<String> = None;
    let mut copied = 0;
    let mut at = 0;
    let mut after_bearer = false;
    while let Some(start) = text[at..].find(is_token_char).map(|offset| at + offset) {
        let end = text[start..].find(|c| !is_token_char(c)).map_or(text.len(), |offset| start + offset);
        let token = &text[start..end];
        if is_secret(token) || (after_bearer && token.len() >= 8) {
            let clean = clean.get_or_insert_with(|| String::with_capacity(text.len()));
            clean.push_str(&text[copied..start]);
            clean.push_str("<redacted>");
            copied = end;
        }
        after_bearer = token.eq_ignore_ascii_case("bearer");
        at = end;
    }
    match clean {
        None => Cow::Borrowed(text),
        Some(mut clean) => {
            clean.push_str(&text[copied..]);
            Cow::Owned(clean)
        }
    }
}

/// Keys are shown masked, so `*` and `.` are part of them.
fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '*' | '.' | '+' | '/' | '=')
}

fn is_secret(token: &str) -> bool {
    const PREFIXES: &[&str] = &[
        "AIza", "AKIA", "ASIA", "aistats_", "csk-", "eyJ", "fw_", "ghp_", "gsk_", "hf_", "key-", "nvapi-", "org-", "pplx-", "proj_", "r8_",
        "sk-", "sk_", "tgp_", "xai-", "ya29.",
    ];
    PREFIXES.iter().any(|prefix| token.strip_prefix(prefix).is_some_and(|rest| rest.len() >= 6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_blotted_out() {
        let said = "Incorrect API key provided: sk-proj-abc***************wxyz. See https://platform.example/keys.";
        assert_eq!(scrubbed(said), "Incorrect API key provided: <redacted> See https://platform.example/keys.");
        assert_eq!(scrubbed("Bearer abcdefgh12345, org-AbCdEf123"), "Bearer <redacted>, <redacted>");
        assert_eq!(scrubbed("{\"key\":\"xai-0123456789\"}"), "{\"key\":\"<redacted>\"}");
        assert!(matches!(scrubbed("a risk-free ask, keys: sk-"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_wait_is_seconds_milliseconds_or_a_date() {
        let wait = |pairs: &[(&'static str, &'static str)]| {
            let headers = pairs.iter().map(|&(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
            retry_after(&headers)
        };
        assert_eq!(wait(&[("retry-after", "7")]), Some(Duration::from_secs(7)));
        assert_eq!(wait(&[("retry-after", "0.5")]), Some(Duration::from_millis(500)));
        assert_eq!(wait(&[("retry-after-ms", "250"), ("retry-after", "9")]), Some(Duration::from_millis(250)));
        let later = ("retry-after", "Wed, 21 Oct 2015 07:28:30 GMT");
        assert_eq!(wait(&[later, ("date", "Wed, 21 Oct 2015 07:28:00 GMT")]), Some(Duration::from_secs(30)));
        assert_eq!(wait(&[later, ("date", "Wed, 21 Oct 2015 08:00:00 GMT")]), Some(Duration::ZERO));
        for nonsense in ["", "-1", "NaN", "inf", "1e300", "soon"] {
            assert_eq!(wait(&[("retry-after", nonsense)]), None, "{nonsense}");
        }
    }
}
