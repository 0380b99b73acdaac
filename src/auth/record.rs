//! What is known of a key, and how it changes.

use std::{
    collections::BTreeMap,
    error::Error,
    fmt,
    time::{Duration, SystemTime},
};

use super::pepper::KeyHash;
use crate::stage::{KeyId, KeyKind, Limits, Principal, Scopes};

/// A key as it is stored: never its text.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyRecord {
    /// Its id.
    pub kid: KeyId,
    /// What it is for.
    pub kind: KeyKind,
    /// The workspace whose records and objects it sees.
    pub workspace: String,
    /// Its name.
    pub name: String,
    /// What its secrets hash to: the current one, and those that rotations let work for a while.
    pub hashes: Vec<SecretHash>,
    /// Whether it works.
    pub status: KeyStatus,
    /// When it was made.
    pub created: SystemTime,
    /// When it was last used, give or take the cache's flush period.
    pub last_used: Option<SystemTime>,
    /// From when on it does not work.
    pub expires: Option<SystemTime>,
    /// What it may use.
    pub scopes: Scopes,
    /// How much it may use. Kept, not enforced: see [`Limits`].
    pub limits: Limits,
    /// What its owner attached to it, for the records of its calls.
    pub metadata: BTreeMap<String, String>,
}

/// One secret of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretHash {
    /// Its hash.
    pub hash: KeyHash,
    /// From when on it does not work; `None` is the current one.
    pub until: Option<SystemTime>,
}

/// Whether a key works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStatus {
    /// It does.
    Active,
    /// Not for now.
    Paused,
    /// Never again.
    Revoked,
}

/// A change of a key, and who made it when.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyChange {
    /// The key.
    pub kid: KeyId,
    /// When.
    pub at: SystemTime,
    /// Who.
    pub actor: String,
    /// What.
    pub action: KeyAction,
}

/// What is done to a key.
#[derive(Clone, Debug, PartialEq)]
pub enum KeyAction {
    /// It is made.
    Create(Box<KeyRecord>),
    /// It is forgotten, but for its audit. Final.
    Delete,
    /// It stops to work for now.
    Pause,
    /// It works again.
    Resume,
    /// It stops to work. Final.
    Revoke,
    /// It gets another secret.
    Rotate {
        /// The new secret's hash.
        hash: KeyHash,
        /// How long the old one still works.
        grace: Duration,
    },
}

/// An entry of the audit: who did what to which key, and when. It holds no key text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyAudit {
    /// When.
    pub at: SystemTime,
    /// Who.
    pub actor: String,
    /// What: [`KeyAction::name`].
    pub action: String,
    /// The key.
    pub kid: KeyId,
}

/// What a change leaves.
#[derive(Clone, Debug, PartialEq)]
pub enum Applied {
    /// The key, as it is now.
    Kept(KeyRecord),
    /// Nothing; the key, as it was.
    Gone(KeyRecord),
}

/// Why a change is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyChangeError {
    /// There is a key with this id.
    Exists,
    /// There is no such key.
    NotFound,
    /// The key is revoked, and revoking is final.
    Revoked,
}

impl KeyRecord {
    /// An active inference key without limits.
    pub fn new(kid: impl Into<KeyId>, name: impl Into<String>, hash: KeyHash, created: SystemTime) -> Self {
        Self {
            kid: kid.into(),
            kind: KeyKind::Inference,
            workspace: Principal::anonymous().workspace().to_owned(),
            name: name.into(),
            hashes: vec![SecretHash { hash, until: None }],
            status: KeyStatus::Active,
            created,
            last_used: None,
            expires: None,
            scopes: Scopes::default(),
            limits: Limits::default(),
            metadata: BTreeMap::new(),
        }
    }

    /// Who calls with this key.
    pub fn principal(&self) -> Principal {
        let principal = Principal::builder(&*self.workspace)
            .key(self.kid.clone())
            .name(&*self.name)
            .kind(self.kind)
            .expires(self.expires)
            .scopes(self.scopes.clone())
            .limits(self.limits.clone());
        self.metadata.iter().fold(principal, |principal, (key, value)| principal.metadata(key, value)).build()
    }
}

impl KeyChange {
    /// What becomes of `record`; `None` is no key. Every store changes keys by this alone.
    ///
    /// # Errors
    /// The change does not fit what is there.
    pub fn apply(&self, record: Option<KeyRecord>) -> Result<Applied, KeyChangeError> {
        let mut record = match (&self.action, record) {
            (KeyAction::Create(new), None) => return Ok(Applied::Kept((**new).clone())),
            (KeyAction::Create(_), Some(_)) => return Err(KeyChangeError::Exists),
            (_, None) => return Err(KeyChangeError::NotFound),
            (_, Some(record)) => record,
        };
        match &self.action {
            KeyAction::Delete => return Ok(Applied::Gone(record)),
            KeyAction::Revoke => record.status = KeyStatus::Revoked,
            _ if record.status == KeyStatus::Revoked => return Err(KeyChangeError::Revoked),
            KeyAction::Pause => record.status = KeyStatus::Paused,
            KeyAction::Create(_) | KeyAction::Resume => record.status = KeyStatus::Active,
            KeyAction::Rotate { hash, grace } => {
                let until = self.at.checked_add(*grace).unwrap_or(self.at);
                record.hashes.iter_mut().filter(|old| old.until.is_none()).for_each(|old| old.until = Some(until));
                record.hashes.retain(|old| old.until.is_some_and(|until| until > self.at));
                record.hashes.insert(0, SecretHash { hash: *hash, until: None });
            }
        }
        Ok(Applied::Kept(record))
    }

    /// Its entry in the audit.
    pub fn audit(&self) -> KeyAudit {
        KeyAudit { at: self.at, actor: self.actor.clone(), action: self.action.name().to_owned(), kid: self.kid.clone() }
    }
}

impl Applied {
    /// The key, as it is or was.
    pub fn into_record(self) -> KeyRecord {
        match self {
            Self::Kept(record) | Self::Gone(record) => record,
        }
    }
}

impl KeyAction {
    /// Its name in the audit.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Create(_) => "create",
            Self::Delete => "delete",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Revoke => "revoke",
            Self::Rotate { .. } => "rotate",
        }
    }
}

impl KeyStatus {
    /// Its name in stores and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Revoked => "revoked",
        }
    }
}

impl fmt::Display for KeyChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exists => "there is a key with this id",
            Self::NotFound => "there is no such key",
            Self::Revoked => "the key is revoked, which is final",
        })
    }
}

impl Error for KeyChangeError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Pepper;

    fn hash(secret: &str) -> KeyHash {
        Pepper::new("pepper-for-tests").unwrap().hash(secret)
    }

    fn record() -> KeyRecord {
        KeyRecord::new("kidAAAA00001", "ci", hash("one"), SystemTime::UNIX_EPOCH)
    }

    fn change(action: KeyAction) -> KeyChange {
        KeyChange { kid: record().kid, at: at(100), actor: "somebody".into(), action }
    }

    fn at(second: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(second)
    }

    #[test]
    fn a_key_pauses_resumes_and_ends() {
        let paused = change(KeyAction::Pause).apply(Some(record())).unwrap().into_record();
        assert_eq!(paused.status, KeyStatus::Paused);
        let resumed = change(KeyAction::Resume).apply(Some(paused)).unwrap().into_record();
        assert_eq!(resumed, record());
        let revoked = change(KeyAction::Revoke).apply(Some(resumed)).unwrap().into_record();
        for action in [KeyAction::Pause, KeyAction::Resume, KeyAction::Rotate { hash: hash("two"), grace: Duration::ZERO }] {
            assert_eq!(change(action).apply(Some(revoked.clone())), Err(KeyChangeError::Revoked));
        }
        assert_eq!(change(KeyAction::Delete).apply(Some(revoked.clone())), Ok(Applied::Gone(revoked)));
        assert_eq!(change(KeyAction::Pause).apply(None), Err(KeyChangeError::NotFound));
        assert_eq!(change(KeyAction::Create(Box::new(record()))).apply(Some(record())), Err(KeyChangeError::Exists));
    }

    #[test]
    fn f006_rotations_overlap() {
        let rotate = |secret, grace| change(KeyAction::Rotate { hash: hash(secret), grace: Duration::from_secs(grace) });
        let once = rotate("two", 30).apply(Some(record())).unwrap().into_record();
        let twice = rotate("three", 60).apply(Some(once)).unwrap().into_record();
        let until = |secret| twice.hashes.iter().find(|old| old.hash == hash(secret)).unwrap().until;
        assert_eq!((until("three"), until("two"), until("one")), (None, Some(at(160)), Some(at(130))));

        let at_once = rotate("two", 0).apply(Some(record())).unwrap().into_record();
        assert_eq!(at_once.hashes, [SecretHash { hash: hash("two"), until: None }]);
    }
}
