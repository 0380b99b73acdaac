//! What the commands work on: the configuration, the database, the pepper.

use std::path::{Path, PathBuf};

use super::{Failure, arguments::Arguments, failed_to};
use crate::{
    auth::{KeyAdmin, Pepper},
    config::{self, Config},
    store::Sqlite,
};

/// The file that is read if nobody names another.
const FILE: &str = "gateway.toml";

/// The configuration, and the file it came from.
pub(super) fn configuration(arguments: &Arguments) -> Result<(Config, Option<PathBuf>), Failure> {
    // A variable that is not UTF-8 is as good as not set.
    let environment = |name: &str| std::env::var(name).ok();
    let file = arguments.config.clone().or_else(|| Path::new(FILE).exists().then(|| FILE.into()));
    let config = match &file {
        Some(file) => Config::load(file, &environment)?,
        None => Config::from_environment(&environment)?,
    };
    Ok((config, file))
}

/// The pepper: the configuration's, else the one kept in the state folder.
pub(super) fn pepper(config: &Config) -> Result<Pepper, Failure> {
    match &config.auth.pepper {
        Some(pepper) => Ok(pepper.clone()),
        None => config::pepper(&config.state).map_err(failed_to(format!("keep a pepper in {}", config.state.display()))),
    }
}

/// The database, made if it is not there.
pub(super) fn database(config: &Config) -> Result<Sqlite, Failure> {
    let path = &config.database;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed_to(format!("make the folder {}", folder.display())))?;
    }
    Sqlite::open(path).map_err(failed_to(format!("open the database {}", path.display())))
}

/// The keys in the database.
pub(super) fn admin(config: &Config) -> Result<KeyAdmin, Failure> {
    Ok(KeyAdmin::new(database(config)?, pepper(config)?))
}
