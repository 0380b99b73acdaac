//! One account at a provider.

use std::{error::Error, fmt, sync::Arc};

use http::{HeaderName, HeaderValue, Uri, header::AUTHORIZATION};

use super::{BaseUrlError, Credential, Preset, base_url};
use crate::{
    catalog::{ApiKey, HttpOrigin, HttpVersion, Provider, ProviderId, Timeouts, Wire},
    dialect::{self, Dialect},
};

/// An account at a provider: what its preset does not know. Made by [`Preset::account`].
///
/// ```
/// use portcullis::catalog::{ApiKey, Preset};
///
/// let provider = Preset::OPENAI.account("openai").api_key(ApiKey::new("sk-...")).build()?;
/// assert_eq!(provider.name.as_str(), "openai");
/// # Ok::<(), portcullis::catalog::AccountError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Account {
    preset: &'static Preset,
    name: ProviderId,
    api_key: Option<ApiKey>,
    base_url: Option<String>,
    allow_http: bool,
    dialect: Option<&'static dyn Dialect>,
    version: HttpVersion,
    proxy: Option<Uri>,
    ca_pem: Option<Arc<[u8]>>,
    timeouts: Timeouts,
}

/// Why an account cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccountError {
    /// The base URL is wrong.
    BaseUrl(BaseUrlError),
    /// The provider does not speak the dialect.
    Dialect,
    /// The credential holds characters that no header can carry, or only white space.
    Key,
    /// The provider wants a credential.
    NoKey,
    /// The provider has no usual place, so the base URL must be said.
    NoBaseUrl,
}

impl Preset {
    /// An account with this provider, called `name`.
    pub fn account(&'static self, name: impl Into<ProviderId>) -> Account {
        Account {
            preset: self,
            name: name.into(),
            api_key: None,
            base_url: None,
            allow_http: false,
            dialect: None,
            version: HttpVersion::default(),
            proxy: None,
            ca_pem: None,
            timeouts: Timeouts::default(),
        }
    }
}

impl Account {
    /// The credential.
    pub fn api_key(mut self, key: ApiKey) -> Self {
        self.api_key = Some(key);
        self
    }

    /// Another place than the preset's, with or without the API's version.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self
    }

    /// Whether the base URL may be plain `http` to another machine. Default: no.
    pub fn allow_http(mut self, allow: bool) -> Self {
        self.allow_http = allow;
        self
    }

    /// The only dialect to speak, of those its preset has.
    pub fn dialect(mut self, dialect: &'static dyn Dialect) -> Self {
        self.dialect = Some(dialect);
        self
    }

    /// Which HTTP to speak. Default: HTTP/1.1.
    pub fn http_version(mut self, version: HttpVersion) -> Self {
        self.version = version;
        self
    }

    /// An HTTP proxy to go through.
    pub fn proxy(mut self, proxy: Uri) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// Certificates to trust besides the web's: PEM text.
    pub fn ca_pem(mut self, pem: impl Into<Arc<[u8]>>) -> Self {
        self.ca_pem = Some(pem.into());
        self
    }

    /// Its deadlines.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// The provider.
    ///
    /// # Errors
    /// What is missing or wrong.
    pub fn build(self) -> Result<Provider, AccountError> {
        let preset = self.preset;
        let mut dialects: Vec<_> = preset.dialects.iter().filter_map(|name| dialect::named(name)).collect();
        if let Some(only) = self.dialect {
            dialects.retain(|dialect| dialect.name() == only.name());
            if dialects.is_empty() {
                return Err(AccountError::Dialect);
            }
        }
        let header = |(name, value): &(&'static str, &'static str)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        Ok(Provider {
            kind: preset.kind.into(),
            dialects,
            openai_operations: preset.openai_operations,
            issuer: preset.issuer.unwrap_or(self.name.as_str()).into(),
            default_headers: preset.headers.iter().map(header).collect(),
            timeouts: self.timeouts,
            name: self.name.clone(),
            wire: if preset.built_in { Wire::Demo } else { Wire::Http(Box::new(self.origin()?)) },
        })
    }

    fn origin(self) -> Result<HttpOrigin, AccountError> {
        let url = self.base_url.as_deref().or(self.preset.base_url).ok_or(AccountError::NoBaseUrl)?;
        let credential = match (self.preset.credential, &self.api_key) {
            (Some(scheme), Some(key)) => Some(scheme.header(key)?),
            (Some(_), None) if self.preset.needs_key => return Err(AccountError::NoKey),
            _ => None,
        };
        Ok(HttpOrigin {
            base_url: base_url::normalise(url, self.preset.version, self.allow_http).map_err(AccountError::BaseUrl)?.into(),
            credential,
            version: self.version,
            proxy: self.proxy,
            ca_pem: self.ca_pem,
        })
    }
}

impl Credential {
    /// The header that carries `key`.
    fn header(self, key: &ApiKey) -> Result<(HeaderName, HeaderValue), AccountError> {
        let key = key.expose().trim();
        if key.is_empty() {
            return Err(AccountError::Key);
        }
        let (name, value) = match self {
            Self::Bearer => (AUTHORIZATION, HeaderValue::from_maybe_shared(format!("Bearer {key}"))),
            Self::Header(name) => (HeaderName::from_static(name), HeaderValue::from_str(key)),
        };
        let mut value = value.map_err(|_| AccountError::Key)?;
        value.set_sensitive(true);
        Ok((name, value))
    }
}

impl fmt::Display for AccountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BaseUrl(error) => error.fmt(f),
            Self::Dialect => f.write_str("this provider does not speak this dialect"),
            Self::Key => f.write_str("the API key is empty or holds characters that no header can carry"),
            Self::NoBaseUrl => f.write_str("this kind of provider needs a base_url"),
            Self::NoKey => f.write_str("this kind of provider needs an api_key"),
        }
    }
}

impl Error for AccountError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(provider: &Provider) -> &HttpOrigin {
        match &provider.wire {
            Wire::Http(origin) => origin,
            Wire::Demo => panic!("not over HTTP"),
        }
    }

    #[test]
    fn credentials_travel_as_each_provider_wants_and_stay_out_of_debug() {
        let openai = Preset::OPENAI.account("a").api_key(ApiKey::new("sk-canary")).build().unwrap();
        let (name, value) = origin(&openai).credential.as_ref().unwrap();
        assert_eq!((name.as_str(), value.to_str().unwrap()), ("authorization", "Bearer sk-canary"));

        let anthropic = Preset::ANTHROPIC.account("b").api_key(ApiKey::new("sk-canary")).build().unwrap();
        let (name, value) = origin(&anthropic).credential.as_ref().unwrap();
        assert_eq!((name.as_str(), value.to_str().unwrap()), ("x-api-key", "sk-canary"));
        assert_eq!(anthropic.default_headers[0].1, "2023-06-01");

        assert!(!format!("{openai:?}{anthropic:?}").contains("canary"));
    }

    #[test]
    fn what_is_missing_is_said() {
        let error = |account: Account| account.build().unwrap_err();
        assert_eq!(error(Preset::OPENAI.account("a")), AccountError::NoKey);
        assert_eq!(error(Preset::OPENAI.account("a").api_key(ApiKey::new("a\nb"))), AccountError::Key);
        assert_eq!(error(Preset::OPENAI.account("a").api_key(ApiKey::new(" "))), AccountError::Key);
        assert_eq!(error(Preset::OPENAI_COMPATIBLE.account("a")), AccountError::NoBaseUrl);
        assert!(Preset::OPENAI_COMPATIBLE.account("a").base_url("http://localhost:8000").build().is_ok());
    }
}
