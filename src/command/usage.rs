//! `usage`: what was used and what it cost. A running server's last calls are there within a second.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use super::{Failure, arguments::Arguments, failed_to, house};
use crate::{
    catalog::Picodollars,
    store::{RecordStore, Sum, SumBy},
};

pub(super) async fn usage(arguments: &Arguments, by: SumBy, workspace: Option<&str>) -> Result<ExitCode, Failure> {
    let (config, _) = house::configuration(arguments)?;
    let sums = house::database(&config)?.sums(by, workspace).await.map_err(failed_to("sum up the records"))?;
    // A closed pipe, as `head` leaves it, is no failure.
    let _ = print(by, &sums, &mut io::stdout().lock());
    Ok(ExitCode::SUCCESS)
}

fn print(by: SumBy, sums: &[Sum], out: &mut impl Write) -> io::Result<()> {
    let group = |sum: &Sum| if sum.group.is_empty() { "-".to_owned() } else { sum.group.clone() };
    let width = sums.iter().map(|sum| group(sum).len()).max().unwrap_or(0).max(by.name().len());
    writeln!(out, "{:width$}  {:>10} {:>10} {:>14} {:>14}  USD", by.name(), "calls", "failed", "input tokens", "output tokens")?;
    sums.iter().try_for_each(|sum| {
        let Sum { calls, failed, input_tokens, output_tokens, cost_nanos, .. } = sum;
        let cost = Picodollars(u128::from(*cost_nanos) * 1_000);
        writeln!(out, "{:width$}  {calls:>10} {failed:>10} {input_tokens:>14} {output_tokens:>14}  {cost}", group(sum))
    })
}
