//! The folder: a lock, an id, and segments.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use ulid::Ulid;

use super::JournalError;

/// An open folder, locked for as long as this lives.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Names the journal to the stores it is shipped to: a folder made anew starts its segments at 1 again.
    pub(super) id: Arc<str>,
    _lock: File,
}

impl Folder {
    /// Opens the folder, made if it is not there.
    pub(super) fn open(path: PathBuf) -> Result<Self, JournalError> {
        fs::create_dir_all(&path).map_err(JournalError::io(&path))?;
        let lock_path = path.join("journal.lock");
        let lock = private(OpenOptions::new().write(true).create(true)).open(&lock_path).map_err(JournalError::io(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JournalError::InUse { folder: path }),
            Err(TryLockError::Error(error)) => return Err(JournalError::io(lock_path)(error)),
        }
        let id_path = path.join("journal.id");
        let id = id(&path, &id_path).map_err(JournalError::io(id_path))?;
        Ok(Self { path, id, _lock: lock })
    }

    /// The numbers of the segments there are, ascending.
    pub(super) fn segments(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for file in fs::read_dir(&self.path)? {
            let name = file?.file_name();
            let number: Option<u64> = name.to_str().and_then(|name| name.strip_prefix("journal-")?.strip_suffix(".log")?.parse().ok());
            numbers.extend(number);
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Makes a new segment. Its name is on disk when this returns, so that no crash makes its number free again: stores
    /// remember how far they are by it.
    pub(super) fn create(&self, number: u64) -> io::Result<File> {
        let path = self.segment(number);
        let file = private(OpenOptions::new().append(true).create_new(true)).open(&path)?;
        sync_names(&self.path).inspect_err(|_| drop(fs::remove_file(&path)))?;
        Ok(file)
    }

    /// Up to `most` bytes of a segment from `offset`; `None` if there is no such segment.
    pub(super) fn read(&self, number: u64, offset: u64, most: u64) -> io::Result<Option<Vec<u8>>> {
        let mut file = match File::open(self.segment(number)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let left = file.metadata()?.len().saturating_sub(offset).min(most);
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::with_capacity(usize::try_from(left).unwrap_or(0));
        file.take(most).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Deletes a segment.
    pub(super) fn delete(&self, number: u64) -> io::Result<()> {
        fs::remove_file(self.segment(number))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn segment(&self, number: u64) -> PathBuf {
        self.path.join(format!("journal-{number:010}.log"))
    }
}

/// The journal's id, made at first use. Flushed and renamed into place, so that a crash leaves none or a whole one; what is
/// none is made anew, and then the store is shipped everything once more.
fn id(folder: &Path, path: &Path) -> io::Result<Arc<str>> {
    match fs::read(path) {
        Ok(bytes) => {
            if let Some(id) = std::str::from_utf8(&bytes).ok().and_then(|id| id.trim().parse::<Ulid>().ok()) {
                return Ok(id.to_string().into());
            }
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Err(_) => {}
    }
    let id = Ulid::generate().to_string();
    let fresh = folder.join("journal.id.new");
    let mut file = File::create(&fresh)?;
    file.write_all(id.as_bytes())?;
    file.sync_all()?;
    fs::rename(fresh, path)?;
    sync_names(folder)?;
    Ok(id.into())
}

/// Flushes which files a folder has.
#[cfg(unix)]
fn sync_names(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_names(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Records name keys and models: they are their owner's alone.
#[cfg(unix)]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600)
}

#[cfg(not(unix))]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}
