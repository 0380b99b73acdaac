//! The folder: a lock, an id, and segments.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom},
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

    /// Makes a new segment.
    pub(super) fn create(&self, number: u64) -> io::Result<File> {
        private(OpenOptions::new().append(true).create_new(true)).open(self.segment(number))
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

/// The journal's id, made at first use. Renamed into place, so that a crash leaves none or a whole one.
fn id(folder: &Path, path: &Path) -> io::Result<Arc<str>> {
    match fs::read_to_string(path) {
        Ok(id) if !id.trim().is_empty() => return Ok(id.trim().into()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let id = Ulid::generate().to_string();
    let fresh = folder.join("journal.id.new");
    fs::write(&fresh, &id)?;
    fs::rename(fresh, path)?;
    Ok(id.into())
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
