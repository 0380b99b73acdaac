//! `models`: what can be asked for.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use super::{Failure, arguments::Arguments, house};
use crate::catalog::{Meter, Model, Picodollars, Target};

pub(super) fn models(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let (config, _) = house::configuration(arguments)?;
    let mut out = io::stdout().lock();
    // A closed pipe, as `head` leaves it, is no failure.
    let _ = config.catalog.models().chain(config.catalog.wildcards()).try_for_each(|model| print(model, &mut out));
    Ok(ExitCode::SUCCESS)
}

fn print(model: &Model, out: &mut impl Write) -> io::Result<()> {
    write!(out, "{}", model.id)?;
    model.aliases.iter().try_for_each(|alias| write!(out, " = {alias}"))?;
    writeln!(out)?;
    model.targets.iter().try_for_each(|target| writeln!(out, "  {} {}{}", target.provider.name, target.model, price(target)))
}

/// The price of a short prompt's tokens, per million.
fn price(target: &Target) -> String {
    let Some(tier) = target.price.as_deref().and_then(|price| price.tier(0)) else { return String::new() };
    let rate = |meter| tier.rate_of(meter).map(|rate| Picodollars(u128::from(rate.0) * 1_000_000).to_string());
    let rate = |meter| rate(meter).unwrap_or_else(|| "-".into());
    format!("  {} in, {} out (USD per million tokens)", rate(Meter::Input), rate(Meter::Output))
}
