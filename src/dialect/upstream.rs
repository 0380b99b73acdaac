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
        let escape = escape_before(&text[..start], token);
        let secret = if after_bearer && token.len() >= 8 { Some(0) } else { beginnings(token, escape).find(|&at| is_secret(&token[at..])) };
        if let Some(at) = secret {
            // What belongs to an escape stays, or JSON would not be JSON any more.
            let clean = clean.get_or_insert_with(|| String::with_capacity(text.len()));
            clean.push_str(&text[copied..start + at.max(escape)]);
            clean.push_str("<redacted>");
            copied = end;
        }
        after_bearer = beginnings(token, escape).any(|at| token[at..].eq_ignore_ascii_case("bearer"));
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

/// How much of `token` belongs to the JSON escape that `before` ends inside: `n` of `\n`, `u0022` of `\u0022`.
fn escape_before(before: &str, token: &str) -> usize {
    match token.as_bytes() {
        _ if !before.ends_with('\\') => 0,
        [b'u', digits @ ..] if digits.get(..4).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) => 5,
        [b'b' | b'f' | b'n' | b'r' | b't' | b'/', ..] => 1,
        _ => 0,
    }
}

/// Where in `token` a secret may begin: at its start, behind an escape, behind what joins a secret to its name or path.
fn beginnings(token: &str, escape: usize) -> impl Iterator<Item = usize> {
    let joints = token.bytes().enumerate().filter(|(_, byte)| matches!(byte, b'=' | b'/')).map(|(at, _)| at + 1);
    [0, escape].into_iter().chain(joints)
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
    fn keys_are_found_behind_what_joins_them() {
        for (said, clean) in [
            ("GET /v1/models?key=AIzaSyA0123456789&alt=sse", "GET /v1/models?key=<redacted>&alt=sse"),
            ("api_key=sk-abcdef0123 was refused", "api_key=<redacted> was refused"),
            ("key:sk-abcdef0123", "key:<redacted>"),
            ("https://x.example/sk-abcdef0123/v1", "https://x.example/<redacted>"),
            (r"said:\nsk-proj-abcdef0123", r"said:\n<redacted>"),
            (r"said:\\nsk-proj-abcdef0123", r"said:\\n<redacted>"),
            (r"said:\u0022sk-proj-abcdef0123\u0022", r"said:\u0022<redacted>\u0022"),
            (r"said:\/sk-proj-abcdef0123", r"said:\/<redacted>"),
            (r"\nBearer\tabcdefgh12345", r"\nBearer\t<redacted>"),
            (r"\r8_abcdef0123", r"\r<redacted>"),
            (r"\u00e9", r"\u00e9"),
            (r"\u00", r"\u00"),
        ] {
            assert_eq!(scrubbed(said), clean, "{said}");
        }
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
