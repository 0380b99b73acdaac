//! What it takes to send a request again.

use http::{HeaderName, HeaderValue, Method, Request, Uri, Version};

/// A request's head but for its extensions. Made for every call and hardly ever used: a list of headers is cheaper than a map.
pub(crate) struct Spare {
    method: Method,
    uri: Uri,
    version: Version,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Spare {
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            headers: request.headers().iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        }
    }

    pub(crate) fn into_request<B>(self, body: B) -> Request<B> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.version_mut() = self.version;
        for (name, value) in self.headers {
            request.headers_mut().append(name, value);
        }
        request
    }
}
