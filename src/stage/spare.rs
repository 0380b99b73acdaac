//! What it takes to send a request again.

use http::{Extensions, HeaderName, HeaderValue, Method, Request, Uri, Version};
use smallvec::SmallVec;

use super::{GenerationId, Principal};

/// A request's head but for its extensions. Made for every call and hardly ever used: it is one block of memory, in which a
/// usual request's few headers are a list, which is cheaper than a map.
pub(crate) struct Spare(Box<Head>);

#[derive(Default)]
struct Head {
    method: Method,
    uri: Uri,
    version: Version,
    headers: SmallVec<[(HeaderName, HeaderValue); 5]>,
}

impl Spare {
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        // Written where it stays: it is much to move.
        let mut head = Box::<Head>::default();
        head.method = request.method().clone();
        head.uri = request.uri().clone();
        head.version = request.version();
        head.headers.extend(request.headers().iter().map(|(name, value)| (name.clone(), value.clone())));
        Self(head)
    }

    pub(crate) fn into_request<B>(self, body: B) -> Request<B> {
        let Head { method, uri, version, headers } = *self.0;
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.version_mut() = version;
        for (name, value) in headers {
            request.headers_mut().append(name, value);
        }
        request
    }
}

/// A request's extensions. Ours are few and known, and kept without a map; a host's are cloned with all there is.
pub(crate) enum SpareExtensions {
    Ours { id: Option<GenerationId>, principal: Option<Principal> },
    All(Extensions),
}

impl SpareExtensions {
    pub(crate) fn of(extensions: &Extensions) -> Self {
        let (id, principal) = (extensions.get::<GenerationId>(), extensions.get::<Principal>());
        let ours = usize::from(id.is_some()) + usize::from(principal.is_some());
        if extensions.len() == ours { Self::Ours { id: id.cloned(), principal: principal.cloned() } } else { Self::All(extensions.clone()) }
    }

    pub(crate) fn into_extensions(self) -> Extensions {
        let (id, principal) = match self {
            Self::Ours { id, principal } => (id, principal),
            Self::All(extensions) => return extensions,
        };
        let mut extensions = Extensions::new();
        if let Some(id) = id {
            extensions.insert(id);
        }
        if let Some(principal) = principal {
            extensions.insert(principal);
        }
        extensions
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn extensions_come_back_ours_and_a_hosts() {
        let id = GenerationId::generate(SystemTime::now());
        let principal = Principal::builder("team-a").build();
        for (ours, hosts) in [(0, 0), (1, 0), (2, 0), (3, 0), (0, 1), (3, 1)] {
            let mut extensions = Extensions::new();
            if ours & 1 > 0 {
                extensions.insert(id.clone());
            }
            if ours & 2 > 0 {
                extensions.insert(principal.clone());
            }
            if hosts > 0 {
                extensions.insert("a span");
            }
            let back = SpareExtensions::of(&extensions).into_extensions();
            assert_eq!(back.len(), extensions.len());
            assert_eq!(back.get::<GenerationId>(), extensions.get::<GenerationId>());
            assert_eq!(back.get::<Principal>(), extensions.get::<Principal>());
            assert_eq!(back.get::<&str>(), extensions.get::<&str>());
        }
    }
}
