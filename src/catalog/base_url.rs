//! Where a provider's endpoints are.

use std::fmt;

use http::{Uri, uri::PathAndQuery};

/// A provider's base URL: scheme, authority and path prefix, without a slash at its end: `https://api.openai.com/v1`.
///
/// Shows as its text.
///
/// ```
/// use portcullis::catalog::BaseUrl;
///
/// let base = BaseUrl::new("https://api.openai.com/v1".parse().unwrap());
/// assert_eq!(base.endpoint("/embeddings").unwrap(), "https://api.openai.com/v1/embeddings");
/// ```
#[derive(Clone)]
pub struct BaseUrl {
    uri: Uri,
    /// The endpoints of [`COMMON`], made once: parsing an address takes longer than most of what a call does with it.
    common: [Option<Uri>; COMMON.len()],
}

/// The paths that calls are sent to.
const COMMON: [&str; 5] = ["/chat/completions", "/messages", "/embeddings", "/images/generations", "/moderations"];

impl BaseUrl {
    /// A base URL. A slash at its end, and a query, are of no account.
    pub fn new(uri: Uri) -> Self {
        let common = COMMON.map(|path| joined(&uri, path));
        Self { uri, common }
    }

    /// The URL itself.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The address of the endpoint at `path`, which starts with a slash; `None` if that makes no address.
    pub fn endpoint(&self, path: &str) -> Option<Uri> {
        match COMMON.iter().position(|common| *common == path) {
            Some(common) => self.common.get(common).cloned().flatten(),
            None => joined(&self.uri, path),
        }
    }
}

fn joined(base: &Uri, path: &str) -> Option<Uri> {
    let mut parts = base.clone().into_parts();
    let prefix = parts.path_and_query.as_ref().map_or("", |path| path.path().trim_end_matches('/'));
    parts.path_and_query = Some(PathAndQuery::from_maybe_shared(format!("{prefix}{path}").into_bytes()).ok()?);
    Uri::from_parts(parts).ok()
}

impl From<Uri> for BaseUrl {
    fn from(uri: Uri) -> Self {
        Self::new(uri)
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uri.fmt(f)
    }
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uri.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_lie_below_the_prefix() {
        for (base, endpoint) in [
            ("https://api.example.com/v1", "https://api.example.com/v1/messages"),
            ("https://api.example.com/v1/", "https://api.example.com/v1/messages"),
            ("http://127.0.0.1:8000", "http://127.0.0.1:8000/messages"),
            ("https://example.com/a/b?c=d", "https://example.com/a/b/messages"),
        ] {
            assert_eq!(BaseUrl::new(base.parse().unwrap()).endpoint("/messages").unwrap(), endpoint, "{base}");
        }
        let base = BaseUrl::new("https://example.com/v1".parse().unwrap());
        assert_eq!(base.endpoint("/models/m:predict").unwrap(), "https://example.com/v1/models/m:predict", "a rare one");
        assert_eq!(base.endpoint("/a path"), None);
    }
}
