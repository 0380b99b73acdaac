//! The secret that keys are hashed with.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::Path,
};

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};

use crate::auth::Pepper;

/// The pepper kept in the state folder; made there, readable by its owner only, if there is none.
///
/// # Errors
/// The folder or file cannot be made or read, or the file holds no pepper.
pub fn pepper(state: &Path) -> io::Result<Pepper> {
    let path = state.join("pepper");
    make_folder(state)?;
    let text = match create(&path) {
        Ok(mut file) => {
            let mut random = [0; 32];
            getrandom::fill(&mut random).map_err(io::Error::other)?;
            let text = STANDARD_NO_PAD.encode(random);
            file.write_all(text.as_bytes())?;
            // Keys that were hashed with a pepper that a crash took away would open nothing.
            file.sync_all()?;
            text
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => fs::read_to_string(&path)?,
        Err(error) => return Err(error),
    };
    Pepper::new(text.trim()).map_err(|weak| io::Error::new(io::ErrorKind::InvalidData, weak))
}

fn create(path: &Path) -> io::Result<fs::File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn make_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}
