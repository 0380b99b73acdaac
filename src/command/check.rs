//! `check`: is the configuration sound?

use std::process::ExitCode;

use super::{Failure, arguments::Arguments, house};

pub(super) fn check(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let (config, file) = house::configuration(arguments)?;
    let name = file.map_or_else(|| "the environment".to_owned(), |file| file.display().to_string());
    let (providers, models) = (config.catalog.providers().len(), config.catalog.models().len());
    println!("{name} is sound: {providers} providers, {models} models, {} wildcards", config.catalog.wildcards().len());
    Ok(ExitCode::SUCCESS)
}
