//! Records in a SQLite file, and their sums by day.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::{Sqlite, SqliteError};
use crate::store::{Batch, Position, RecordRow, RecordStore, StoreFuture, Sum, SumBy};

impl RecordStore for Sqlite {
    fn position<'a>(&'a self, journal: &'a str) -> StoreFuture<'a, Option<Position>> {
        let journal = journal.to_owned();
        Box::pin(async move { Ok(self.run(move |connection| position(connection, &journal)).await?) })
    }

    fn insert(&self, batch: Batch) -> StoreFuture<'_, ()> {
        Box::pin(async move { Ok(self.run(move |connection| insert(connection, &batch)).await?) })
    }

    fn find<'a>(&'a self, id: &'a str, workspace: &'a str) -> StoreFuture<'a, Option<String>> {
        let (id, workspace) = (id.to_owned(), workspace.to_owned());
        Box::pin(async move { Ok(self.run(move |connection| find(connection, &id, &workspace)).await?) })
    }

    fn sums<'a>(&'a self, by: SumBy, workspace: Option<&'a str>) -> StoreFuture<'a, Vec<Sum>> {
        let workspace = workspace.map(str::to_owned);
        Box::pin(async move { Ok(self.run(move |connection| sums(connection, by, workspace.as_deref())).await?) })
    }
}

fn position(connection: &mut Connection, journal: &str) -> Result<Option<Position>, SqliteError> {
    let mut statement = connection.prepare_cached("SELECT segment, offset FROM journals WHERE id = ?1")?;
    let position = statement.query_row([journal], |row| Ok(Position { segment: count(row.get(0)?), offset: count(row.get(1)?) }));
    Ok(position.optional()?)
}

fn find(connection: &mut Connection, id: &str, workspace: &str) -> Result<Option<String>, SqliteError> {
    let mut statement = connection.prepare_cached("SELECT record FROM records WHERE id = ?1")?;
    let packed: Option<Vec<u8>> = statement.query_row([id], |row| row.get(0)).optional()?;
    let Some(packed) = packed else { return Ok(None) };
    let damaged = || SqliteError::failed(format!("the record of {id} is damaged"));
    let row = RecordRow::read(&packed).ok_or_else(damaged)?;
    if row.workspace == workspace { row.json().ok_or_else(damaged).map(Some) } else { Ok(None) }
}

fn insert(connection: &mut Connection, batch: &Batch) -> Result<(), SqliteError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut groups: HashMap<Group<'_>, Sum> = HashMap::new();
    // Calls come in runs of one group: these are summed without looking the group up.
    let mut run: Option<(Group<'_>, Sum)> = None;
    {
        let mut statement = transaction.prepare_cached(INSERT)?;
        for row in batch.records.iter() {
            // A record that is there already was summed when it came.
            if statement.execute(params![row.id, row.packed])? > 0 {
                let group = Group::of(&row);
                match &mut run {
                    Some((known, sum)) if *known == group => sum.add(&row),
                    _ => {
                        if let Some((group, sum)) = run.replace((group, Sum::of(&row))) {
                            groups.entry(group).or_default().plus(&sum);
                        }
                    }
                }
            }
        }
        if let Some((group, sum)) = run {
            groups.entry(group).or_default().plus(&sum);
        }
    }
    groups.iter().try_for_each(|(group, sum)| add(&transaction, group, sum))?;
    let Position { segment, offset } = batch.upto;
    transaction.prepare_cached(REACHED)?.execute(params![&*batch.journal, integer(segment), integer(offset)])?;
    Ok(transaction.commit()?)
}

/// What one row of `sums` is about.
#[derive(PartialEq, Eq, Hash)]
struct Group<'a> {
    day: u64,
    workspace: &'a str,
    key: &'a str,
    model: &'a str,
    provider: &'a str,
}

impl<'a> Group<'a> {
    fn of(row: &RecordRow<'a>) -> Self {
        Self {
            day: row.created_ms / DAY_MS,
            workspace: row.workspace,
            key: row.key.unwrap_or_default(),
            model: row.model.unwrap_or_default(),
            provider: row.provider.unwrap_or_default(),
        }
    }
}

impl Sum {
    fn of(row: &RecordRow<'_>) -> Self {
        let failed = if row.success { 0 } else { row.calls };
        let &RecordRow { calls, input_tokens, output_tokens, cost_nanos, .. } = row;
        Self { group: String::new(), calls, failed, input_tokens, output_tokens, cost_nanos }
    }

    fn add(&mut self, row: &RecordRow<'_>) {
        self.plus(&Self::of(row));
    }

    fn plus(&mut self, other: &Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.failed = self.failed.saturating_add(other.failed);
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
        self.cost_nanos = self.cost_nanos.saturating_add(other.cost_nanos);
    }
}

fn add(transaction: &Transaction<'_>, group: &Group<'_>, sum: &Sum) -> Result<(), SqliteError> {
    transaction.prepare_cached(ADD)?.execute(params![
        integer(group.day),
        group.workspace,
        group.key,
        group.model,
        group.provider,
        integer(sum.calls),
        integer(sum.failed),
        integer(sum.input_tokens),
        integer(sum.output_tokens),
        integer(sum.cost_nanos),
    ])?;
    Ok(())
}

fn sums(connection: &mut Connection, by: SumBy, workspace: Option<&str>) -> Result<Vec<Sum>, SqliteError> {
    let column = match by {
        SumBy::Day => "date(day * 86400, 'unixepoch')",
        SumBy::Key => "key",
        SumBy::Model => "model",
        SumBy::Provider => "provider",
    };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {column}, sum(calls), sum(failed), sum(input_tokens), sum(output_tokens), sum(cost_nanos)
         FROM sums WHERE ?1 IS NULL OR workspace = ?1 GROUP BY 1 ORDER BY 1"
    ))?;
    let sums = statement.query_map([workspace], |row| {
        Ok(Sum {
            group: row.get(0)?,
            calls: count(row.get(1)?),
            failed: count(row.get(2)?),
            input_tokens: count(row.get(3)?),
            output_tokens: count(row.get(4)?),
            cost_nanos: count(row.get(5)?),
        })
    })?;
    Ok(sums.collect::<Result<_, _>>()?)
}

/// SQLite's integers are signed; no count of ours comes near their end.
fn integer(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn count(integer: i64) -> u64 {
    u64::try_from(integer).unwrap_or(0)
}

const DAY_MS: u64 = 86_400_000;

const INSERT: &str = "INSERT INTO records (id, record) VALUES (?1, ?2) ON CONFLICT (id) DO NOTHING";

const REACHED: &str = "
    INSERT INTO journals (id, segment, offset) VALUES (?1, ?2, ?3)
    ON CONFLICT (id) DO UPDATE SET segment = excluded.segment, offset = excluded.offset";

const ADD: &str = "
    INSERT INTO sums (day, workspace, key, model, provider, calls, failed, input_tokens, output_tokens, cost_nanos)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
    ON CONFLICT (day, workspace, key, model, provider) DO UPDATE SET
        calls = calls + excluded.calls, failed = failed + excluded.failed,
        input_tokens = input_tokens + excluded.input_tokens, output_tokens = output_tokens + excluded.output_tokens,
        cost_nanos = cost_nanos + excluded.cost_nanos";
