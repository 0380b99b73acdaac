//! Records in a SQLite file, and their sums by day.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, ToSql, Transaction, TransactionBehavior, params, params_from_iter};

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
    let rows: Vec<_> = batch.records.iter().collect();
    let mut rows: Vec<_> = rows.iter().collect();
    // In the index's order each follows the last one, on the same page. Of two by one id the first stays.
    rows.sort_by_key(|row| row.id);
    if !insert_by(MANY, connection, batch, &rows)? {
        insert_by(1, connection, batch, &rows)?;
    }
    Ok(())
}

/// Inserts `rows`, so `many` with one statement. A record that is there already was summed when it came: where only some of
/// a statement's are, nothing is changed and the answer is `false`, since it cannot be told which.
fn insert_by(many: usize, connection: &mut Connection, batch: &Batch, rows: &[&RecordRow<'_>]) -> Result<bool, SqliteError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut groups = Groups::default();
    let chunks = rows.chunks_exact(many);
    let rest = chunks.remainder().chunks_exact(1);
    for (many, chunks) in [(many, chunks), (1, rest)] {
        let mut statement = transaction.prepare_cached(&insertion(many))?;
        for rows in chunks {
            let values = rows.iter().flat_map(|row| [&row.id as &dyn ToSql, &row.packed]);
            match statement.execute(params_from_iter(values))? {
                0 => {}
                inserted if inserted == many => rows.iter().for_each(|row| groups.add(row)),
                _ => return Ok(false),
            }
        }
    }
    groups.sums().iter().try_for_each(|(group, sum)| add(&transaction, group, sum))?;
    let Position { segment, offset } = batch.upto;
    transaction.prepare_cached(REACHED)?.execute(params![&*batch.journal, integer(segment), integer(offset)])?;
    transaction.commit()?;
    Ok(true)
}

/// A statement that inserts `many` records, but for those that are there.
///
/// If it fails it takes nothing back, as its transaction does that: otherwise SQLite writes a copy of every page that a
/// statement is the first to change, in case only that statement is undone.
fn insertion(many: usize) -> String {
    let values = ["(?, ?)"].repeat(many).join(", ");
    format!("INSERT OR FAIL INTO records (id, record) VALUES {values} ON CONFLICT (id) DO NOTHING")
}

/// What a batch adds to each row of `sums`.
#[derive(Default)]
struct Groups<'a> {
    groups: HashMap<Group<'a>, Sum>,
    /// Calls come in runs of one group: these are summed without looking the group up.
    run: Option<(Group<'a>, Sum)>,
}

impl<'a> Groups<'a> {
    fn add(&mut self, row: &RecordRow<'a>) {
        let group = Group::of(row);
        match &mut self.run {
            Some((known, sum)) if *known == group => sum.plus(&Sum::of(row)),
            _ => {
                self.end_run();
                self.run = Some((group, Sum::of(row)));
            }
        }
    }

    fn end_run(&mut self) {
        if let Some((group, sum)) = self.run.take() {
            self.groups.entry(group).or_default().plus(&sum);
        }
    }

    fn sums(mut self) -> HashMap<Group<'a>, Sum> {
        self.end_run();
        self.groups
    }
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

/// Records inserted with one statement: its start and its end cost as much as one of them.
const MANY: usize = 64;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{RecordRows, samples};

    #[tokio::test]
    async fn a_record_is_stored_and_summed_once_whatever_comes_with_it() {
        let path = std::env::temp_dir().join(format!("portcullis-records-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        let database = Sqlite::open(path.join("gateway.db")).unwrap();
        let all: Vec<_> = (0..3 * MANY + 7).map(|_| samples::record("app".to_owned())).collect();
        // None is there, all are, some of each statement's are, and the last ones are new; in any order.
        for (from, to) in [(MANY, MANY + 40), (MANY, MANY + 40), (0, 2 * MANY), (0, all.len())] {
            let records: RecordRows = all[from..to].iter().rev().collect();
            database.insert(Batch { journal: "j".into(), records, upto: Position::default() }).await.unwrap();
        }
        let sums = database.sums(SumBy::Day, None).await.unwrap();
        assert_eq!(sums.iter().map(|sum| sum.calls).sum::<u64>(), all.len() as u64);
        for record in &all {
            assert!(database.find(record.request_id.as_str(), "team").await.unwrap().is_some());
        }
        std::fs::remove_dir_all(path).unwrap();
    }
}
