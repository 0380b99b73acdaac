//! Where a provider listens, written as people write it.

use std::{error::Error, fmt, net::IpAddr};

use http::Uri;

use super::Version;

/// Why a base URL is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BaseUrlError {
    /// It is not an absolute `http` or `https` URL.
    NotUrl,
    /// It is `http` to somewhere else than this machine, and that was not allowed.
    Plain,
    /// It holds a query, a fragment, or a user and password.
    Surplus,
}

/// A base URL with its version segment and without a slash at its end.
pub(super) fn normalise(text: &str, version: Version, allow_http: bool) -> Result<Uri, BaseUrlError> {
    let text = text.trim_end_matches('/');
    let uri: Uri = text.parse().map_err(|_| BaseUrlError::NotUrl)?;
    let (scheme, authority) = uri.scheme_str().zip(uri.authority()).ok_or(BaseUrlError::NotUrl)?;
    // `Uri` drops a fragment without a word.
    if uri.query().is_some() || text.contains('#') || authority.as_str().contains('@') {
        return Err(BaseUrlError::Surplus);
    }
    match scheme {
        "https" => {}
        "http" if allow_http || is_loopback(authority.host()) => {}
        "http" => return Err(BaseUrlError::Plain),
        _ => return Err(BaseUrlError::NotUrl),
    }
    let path = uri.path().trim_end_matches('/');
    let mut segments = path.split('/');
    let versioned = match version {
        Version::Anywhere => segments.any(is_version),
        Version::AtEnd => segments.next_back().is_some_and(is_version),
    };
    let version = if versioned { "" } else { "/v1" };
    format!("{scheme}://{authority}{path}{version}").parse().map_err(|_| BaseUrlError::NotUrl)
}

/// `v1`, `v1beta`, `v4`.
fn is_version(segment: &str) -> bool {
    let rest = segment.strip_prefix('v').unwrap_or_default();
    rest.starts_with(|first: char| first.is_ascii_digit()) && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Whether `host` is this machine: `localhost`, `127.0.0.0/8`, `::1`.
pub fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.map_or_else(|_| host == "localhost" || host.ends_with(".localhost"), |address| address.is_loopback())
}

impl fmt::Display for BaseUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotUrl => "it is not an http or https URL such as \"https://api.openai.com/v1\"",
            Self::Plain => "plain http is for this machine only; say allow_http = true if the network between is trusted",
            Self::Surplus => "it has a query, a fragment, or a user and password, and a base URL has none",
        })
    }
}

impl Error for BaseUrlError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_or_without_the_version() {
        use Version::{Anywhere, AtEnd};
        for (text, version, expected) in [
            ("https://api.openai.com/v1", Anywhere, "https://api.openai.com/v1"),
            ("https://api.openai.com/v1/", Anywhere, "https://api.openai.com/v1"),
            ("https://api.openai.com", Anywhere, "https://api.openai.com/v1"),
            ("http://127.0.0.1:1234/v1", Anywhere, "http://127.0.0.1:1234/v1"),
            ("http://localhost:11434", Anywhere, "http://localhost:11434/v1"),
            ("http://[::1]:8000/", Anywhere, "http://[::1]:8000/v1"),
            ("https://open.example/api/paas/v4", Anywhere, "https://open.example/api/paas/v4"),
            ("https://x.example/v1beta/openai", Anywhere, "https://x.example/v1beta/openai"),
            ("https://gw.example/v1/account/openai", Anywhere, "https://gw.example/v1/account/openai"),
            ("https://api.anthropic.com", AtEnd, "https://api.anthropic.com/v1"),
            ("https://api.anthropic.com/v1", AtEnd, "https://api.anthropic.com/v1"),
            ("https://gw.example/v1/account/anthropic", AtEnd, "https://gw.example/v1/account/anthropic/v1"),
            ("https://vault.example/vegan", AtEnd, "https://vault.example/vegan/v1"),
        ] {
            assert_eq!(normalise(text, version, false).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn what_is_no_base_url() {
        use BaseUrlError::{NotUrl, Plain, Surplus};
        for (text, expected) in [
            ("", NotUrl),
            ("api.openai.com/v1", NotUrl),
            ("/v1", NotUrl),
            ("ftp://a.example", NotUrl),
            ("https://", NotUrl),
            ("https://a b.example", NotUrl),
            ("http://10.0.0.7:8000/v1", Plain),
            ("http://127.0.0.1.example/v1", Plain),
            ("https://a.example/v1?key=1", Surplus),
            ("https://a.example/v1#x", Surplus),
            ("https://user:word@a.example/v1", Surplus),
        ] {
            assert_eq!(normalise(text, Version::Anywhere, false), Err(expected), "{text}");
        }
        assert!(normalise("http://10.0.0.7:8000/v1", Version::Anywhere, true).is_ok());
    }
}
