//! Where keys are kept.

use std::{error::Error, fmt, future::Future, pin::Pin, time::SystemTime};

use tower::BoxError;

use super::record::{KeyAudit, KeyChange, KeyChangeError, KeyRecord};
use crate::stage::KeyId;

/// Looks keys up. Everything but [`find`](Self::find) has a default that fits a store whose keys never change.
///
/// ```
/// use portcullis::auth::{KeyFuture, KeyRecord, KeyStore, KeyStoreError};
/// use portcullis::stage::KeyId;
///
/// struct Mine;
///
/// impl KeyStore for Mine {
///     fn find<'a>(&'a self, kid: &'a KeyId) -> KeyFuture<'a, Result<Option<KeyRecord>, KeyStoreError>> {
///         Box::pin(async { Ok(None) })
///     }
/// }
/// ```
pub trait KeyStore: Send + Sync + 'static {
    /// The key called `kid`, in whatever status; `None` if there is none.
    ///
    /// # Errors
    /// The store did not answer.
    fn find<'a>(&'a self, kid: &'a KeyId) -> KeyFuture<'a, Result<Option<KeyRecord>, KeyStoreError>>;

    /// What changed after version `since`; asked a few times a second, so it should cost little.
    ///
    /// `None` asks for the present version; everything known so far is then read again.
    ///
    /// # Errors
    /// The store did not answer.
    fn changes(&self, since: Option<u64>) -> KeyFuture<'_, Result<KeyChanges, KeyStoreError>> {
        let version = since.unwrap_or_default();
        Box::pin(async move { Ok(KeyChanges { version, keys: Changed::These(Vec::new()) }) })
    }

    /// Notes when keys were last used. Called with a batch every few seconds, not for each call.
    ///
    /// # Errors
    /// The store did not answer; the batch comes again.
    fn used(&self, _uses: Vec<KeyUse>) -> KeyFuture<'_, Result<(), KeyStoreError>> {
        Box::pin(async { Ok(()) })
    }
}

/// A store whose keys can be administered. Used through [`KeyAdmin`](super::KeyAdmin).
pub trait KeyRegister: KeyStore {
    /// Makes a change and its audit entry, both or neither. Gives the key as it is then; as it was, if deleted.
    ///
    /// # Errors
    /// The change does not fit what is there, or the store did not answer.
    fn apply(&self, change: KeyChange) -> KeyFuture<'_, Result<KeyRecord, KeyRegisterError>>;

    /// The keys of a workspace, or all, oldest first.
    ///
    /// # Errors
    /// The store did not answer.
    fn list<'a>(&'a self, workspace: Option<&'a str>) -> KeyFuture<'a, Result<Vec<KeyRecord>, KeyStoreError>>;

    /// The audit of a key, oldest first; also of a deleted one.
    ///
    /// # Errors
    /// The store did not answer.
    fn audit<'a>(&'a self, kid: &'a KeyId) -> KeyFuture<'a, Result<Vec<KeyAudit>, KeyStoreError>>;
}

/// What a store gives: a boxed future.
pub type KeyFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What changed in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyChanges {
    /// The version now.
    pub version: u64,
    /// The keys that changed.
    pub keys: Changed,
}

/// Which keys changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// Any may have.
    Any,
    /// These.
    These(Vec<KeyId>),
}

/// When a key was last used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUse {
    /// The key.
    pub kid: KeyId,
    /// When.
    pub at: SystemTime,
}

/// A key store that did not answer.
#[derive(Debug)]
pub struct KeyStoreError(BoxError);

/// Why a key could not be changed.
#[derive(Debug)]
#[non_exhaustive]
pub enum KeyRegisterError {
    /// The change does not fit what is there.
    Refused(KeyChangeError),
    /// The store did not answer.
    Store(KeyStoreError),
}

impl KeyStoreError {
    /// Wraps the cause.
    pub fn new(cause: impl Into<BoxError>) -> Self {
        Self(cause.into())
    }
}

impl fmt::Display for KeyStoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the key store did not answer")
    }
}

impl Error for KeyStoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}

impl fmt::Display for KeyRegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => why.fmt(f),
            Self::Store(why) => why.fmt(f),
        }
    }
}

impl Error for KeyRegisterError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Refused(why) => why.source(),
            Self::Store(why) => why.source(),
        }
    }
}

impl From<KeyChangeError> for KeyRegisterError {
    fn from(why: KeyChangeError) -> Self {
        Self::Refused(why)
    }
}

impl From<KeyStoreError> for KeyRegisterError {
    fn from(why: KeyStoreError) -> Self {
        Self::Store(why)
    }
}
