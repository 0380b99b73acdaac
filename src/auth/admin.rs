//! Making and changing keys.

use std::{
    collections::BTreeMap,
    error::Error,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{
    clock::Clock,
    format::{KeyFormat, KeyText, NoRandomness},
    pepper::Peppers,
    record::{KeyAction, KeyAudit, KeyChange, KeyChangeError, KeyRecord},
    store::{KeyRegister, KeyRegisterError, KeyStoreError},
};
use crate::stage::{KeyId, KeyKind, Limits, Scopes};

/// Makes and changes keys, each change with its audit entry. Used by the command line.
///
/// ```
/// use portcullis::auth::{KeyAdmin, MemoryKeys, NewKey, Pepper};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let admin = KeyAdmin::new(MemoryKeys::new(), Pepper::new("pepper-for-tests")?);
/// let (text, key) = admin.create(NewKey::named("ci"), "command line").await?;
/// println!("{}", text.expose()); // shown once, kept nowhere
/// admin.pause(&key.kid, "command line").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct KeyAdmin {
    register: Arc<dyn KeyRegister>,
    peppers: Peppers,
    format: KeyFormat,
    clock: Arc<dyn Clock>,
}

/// What a key is to be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewKey {
    /// Its name: 1 to 100 characters, none of them a control.
    pub name: String,
    /// Its workspace. Default: the one of callers that have none.
    pub workspace: Option<String>,
    /// What it is for.
    pub kind: KeyKind,
    /// From when on it does not work. Default: never.
    pub expires: Option<SystemTime>,
    /// What it may use. Default: everything.
    pub scopes: Scopes,
    /// How much it may use. Kept, not enforced: see [`Limits`].
    pub limits: Limits,
    /// For the records of its calls.
    pub metadata: BTreeMap<String, String>,
}

/// Why a key could not be made or changed.
#[derive(Debug)]
#[non_exhaustive]
pub enum KeyAdminError {
    /// A name or workspace is empty, longer than 100 characters, or has control characters.
    InvalidName,
    /// The text is not a key in this format.
    InvalidText,
    /// The system gave no random bytes.
    NoRandomness,
    /// The change does not fit what is there.
    Refused(KeyChangeError),
    /// The store did not answer.
    Store(KeyStoreError),
}

impl NewKey {
    /// An inference key called `name`, without limits.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

impl KeyAdmin {
    /// Administers the keys in `register`.
    pub fn new(register: impl KeyRegister, peppers: impl Into<Peppers>) -> Self {
        Self { register: Arc::new(register), peppers: peppers.into(), format: KeyFormat::default(), clock: Arc::new(SystemTime::now) }
    }

    /// Sets the format of new keys.
    #[must_use]
    pub fn with_format(self, format: KeyFormat) -> Self {
        Self { format, ..self }
    }

    /// Sets the clock.
    #[must_use]
    pub fn with_clock(self, clock: impl Clock) -> Self {
        Self { clock: Arc::new(clock), ..self }
    }

    /// Makes a key. Its text is given here and never again.
    ///
    /// # Errors
    /// The name is not valid, there are no random bytes, or the store did not answer.
    pub async fn create(&self, new: NewKey, actor: &str) -> Result<(KeyText, KeyRecord), KeyAdminError> {
        let text = self.format.generate(new.kind).map_err(|NoRandomness| KeyAdminError::NoRandomness)?;
        let record = self.insert(new, text.expose(), actor).await?;
        Ok((text, record))
    }

    /// Makes a key whose text is given, as a configuration does. The tag decides what it is for.
    ///
    /// # Errors
    /// The text is not in the format or its kid is taken, the name is not valid, or the store did not answer.
    pub async fn insert(&self, new: NewKey, text: &str, actor: &str) -> Result<KeyRecord, KeyAdminError> {
        let key = self.format.parse(text).ok_or(KeyAdminError::InvalidText)?;
        let mut record = KeyRecord::new(key.kid(), valid(new.name)?, self.peppers.hash(key.secret()), self.now());
        record.kind = key.kind();
        if let Some(workspace) = new.workspace {
            record.workspace = valid(workspace)?;
        }
        record.expires = new.expires;
        record.scopes = new.scopes;
        record.limits = new.limits;
        record.metadata = new.metadata;
        let kid = record.kid.clone();
        self.apply(&kid, KeyAction::Create(Box::new(record)), actor).await
    }

    /// Gives a key another secret. The old one works for `grace` still.
    ///
    /// # Errors
    /// The key is not there or revoked, there are no random bytes, or the store did not answer.
    pub async fn rotate(&self, kid: &KeyId, grace: Duration, actor: &str) -> Result<(KeyText, KeyRecord), KeyAdminError> {
        let unknown = KeyAdminError::Refused(KeyChangeError::NotFound);
        let kind = self.register.find(kid).await.map_err(KeyAdminError::Store)?.ok_or(unknown)?.kind;
        let text = self.format.generate_secret(kind, kid.as_str()).map_err(|NoRandomness| KeyAdminError::NoRandomness)?;
        let hash = self.format.parse(text.expose()).map(|key| self.peppers.hash(key.secret())).ok_or(KeyAdminError::InvalidText)?;
        let record = self.apply(kid, KeyAction::Rotate { hash, grace }, actor).await?;
        Ok((text, record))
    }

    /// Stops a key for now.
    ///
    /// # Errors
    /// The key is not there or revoked, or the store did not answer.
    pub async fn pause(&self, kid: &KeyId, actor: &str) -> Result<KeyRecord, KeyAdminError> {
        self.apply(kid, KeyAction::Pause, actor).await
    }

    /// Lets a paused key work again.
    ///
    /// # Errors
    /// The key is not there or revoked, or the store did not answer.
    pub async fn resume(&self, kid: &KeyId, actor: &str) -> Result<KeyRecord, KeyAdminError> {
        self.apply(kid, KeyAction::Resume, actor).await
    }

    /// Stops a key for good. It stays listed.
    ///
    /// # Errors
    /// The key is not there, or the store did not answer.
    pub async fn revoke(&self, kid: &KeyId, actor: &str) -> Result<KeyRecord, KeyAdminError> {
        self.apply(kid, KeyAction::Revoke, actor).await
    }

    /// Forgets a key but for its audit. Gives it as it was.
    ///
    /// # Errors
    /// The key is not there, or the store did not answer.
    pub async fn delete(&self, kid: &KeyId, actor: &str) -> Result<KeyRecord, KeyAdminError> {
        self.apply(kid, KeyAction::Delete, actor).await
    }

    /// The keys of a workspace, or all, oldest first.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn list(&self, workspace: Option<&str>) -> Result<Vec<KeyRecord>, KeyAdminError> {
        self.register.list(workspace).await.map_err(KeyAdminError::Store)
    }

    /// Who did what to a key, oldest first; also to a deleted one.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn audit(&self, kid: &KeyId) -> Result<Vec<KeyAudit>, KeyAdminError> {
        self.register.audit(kid).await.map_err(KeyAdminError::Store)
    }

    /// In whole milliseconds, as stores keep it.
    fn now(&self) -> SystemTime {
        let now = self.clock.now();
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        now - Duration::from_nanos(u64::from(since.subsec_nanos() % 1_000_000))
    }

    async fn apply(&self, kid: &KeyId, action: KeyAction, actor: &str) -> Result<KeyRecord, KeyAdminError> {
        let change = KeyChange { kid: kid.clone(), at: self.now(), actor: actor.to_owned(), action };
        self.register.apply(change).await.map_err(|error| match error {
            KeyRegisterError::Refused(why) => KeyAdminError::Refused(why),
            KeyRegisterError::Store(why) => KeyAdminError::Store(why),
        })
    }
}

/// A name that fits one line of a list or a log.
fn valid(name: String) -> Result<String, KeyAdminError> {
    let fits = !name.trim().is_empty() && name.chars().count() <= LONGEST_NAME && !name.chars().any(char::is_control);
    if fits { Ok(name) } else { Err(KeyAdminError::InvalidName) }
}

const LONGEST_NAME: usize = 100;

impl fmt::Debug for KeyAdmin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyAdmin").field("format", &self.format).finish_non_exhaustive()
    }
}

impl fmt::Display for KeyAdminError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidName => write!(f, "a name has 1 to {LONGEST_NAME} characters and no control characters"),
            Self::InvalidText => f.write_str("the text is not a key in the gateway's format"),
            Self::NoRandomness => NoRandomness.fmt(f),
            Self::Refused(why) => why.fmt(f),
            Self::Store(why) => why.fmt(f),
        }
    }
}

impl Error for KeyAdminError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Store(why) => why.source(),
            _ => None,
        }
    }
}
