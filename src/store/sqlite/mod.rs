//! One SQLite file: keys, their audit, and records.

mod error;
mod keys;
mod records;
mod schema;

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags};
use tokio::{sync::Semaphore, task};

pub use self::error::SqliteError;

/// A SQLite file that holds keys and records. Cheap to clone; clones share a few connections.
///
/// The file is in WAL mode, so readers wait for nobody; several processes may have it open. Writers wait for each other
/// for up to five seconds. Nothing runs in the background.
///
/// ```
/// # fn main() -> Result<(), portcullis::store::SqliteError> {
/// use portcullis::store::Sqlite;
///
/// # let folder = std::env::temp_dir().join(format!("portcullis-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder).unwrap();
/// # let file = folder.join("gateway.db");
/// let database = Sqlite::open(&file)?;
/// # drop(database);
/// # std::fs::remove_dir_all(folder).unwrap();
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Sqlite(Arc<Shared>);

struct Shared {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl Sqlite {
    /// Opens the file, made (readable by its owner alone) if it is not there, and brings its tables up to date.
    ///
    /// Blocks on the disk: call it before serving.
    ///
    /// # Errors
    /// The file cannot be opened or written, is no database of this gateway, or was written by a newer version.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, SqliteError> {
        let path = path.as_ref().to_owned();
        create(&path).map_err(SqliteError::failed)?;
        let mut connection = connect(&path)?;
        connection.pragma_update(None, "page_size", PAGE)?;
        use_wal(&connection)?;
        schema::migrate(&mut connection)?;
        let idle = Mutex::new(vec![connection]);
        Ok(Self(Arc::new(Shared { path, idle, permits: Arc::new(Semaphore::new(CONNECTIONS)) })))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Does `work` on a thread that may block. Once begun it is done, also when the future is dropped.
    ///
    /// # Errors
    /// The database failed, or `work` panicked.
    pub(crate) async fn run<T, E>(&self, work: impl FnOnce(&mut Connection) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<SqliteError> + Send + 'static,
    {
        // Bounds both the connections and the blocking threads that a flood of unknown keys can take.
        let permit = self.0.permits.clone().acquire_owned().await.map_err(SqliteError::failed)?;
        let this = self.clone();
        task::spawn_blocking(move || {
            let _permit = permit;
            this.with(work)
        })
        .await
        .map_err(SqliteError::failed)?
    }

    /// Does `work` here and now, blocking.
    ///
    /// # Errors
    /// The database failed.
    pub(crate) fn with<T, E: From<SqliteError>>(&self, work: impl FnOnce(&mut Connection) -> Result<T, E>) -> Result<T, E> {
        let idle = self.0.idle().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => connect(&self.0.path)?,
        };
        let result = work(&mut connection);
        let mut idle = self.0.idle();
        // A connection that panicked or failed inside a transaction is not given to the next.
        if connection.is_autocommit() && idle.len() < CONNECTIONS {
            idle.push(connection);
        }
        result
    }
}

impl Shared {
    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sqlite").field(&self.0.path).finish()
    }
}

/// Connects to a file that is there: one that was deleted under us is an error, not a new, empty database.
fn connect(path: &Path) -> Result<Connection, SqliteError> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", CACHE)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// WAL stays with the file. SQLite does not wait when two processes switch at once, so we do.
fn use_wal(connection: &Connection) -> Result<(), SqliteError> {
    let mut patience = BUSY;
    loop {
        let switched = connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get::<_, String>(0));
        match switched {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(mode) => return Err(SqliteError::failed(format!("journal mode is {mode}, not wal"))),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && !patience.is_zero() => {
                thread::sleep(PAUSE);
                patience = patience.saturating_sub(PAUSE);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Makes an empty file unless there is one. SQLite gives its other files the same permissions.
fn create(path: &Path) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    owner_only(&mut options);
    match options.open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

#[cfg(unix)]
fn owner_only(options: &mut fs::OpenOptions) {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
}

#[cfg(not(unix))]
fn owner_only(_: &mut fs::OpenOptions) {}

/// The most connections kept, and the most reads and writes at once.
const CONNECTIONS: usize = 4;
/// How long a writer waits for another.
const BUSY: Duration = Duration::from_secs(5);
/// Bytes of a page in a new file: a batch of records fills several, and half as many cost less to write.
const PAGE: u32 = 8 << 10;
/// KiB of pages that a connection keeps, negative as SQLite wants it: records are written where the last ones were.
const CACHE: i32 = -512;
/// More than there are different statements.
const STATEMENTS: usize = 64;
const PAUSE: Duration = Duration::from_millis(10);
