//! The tables, as a list of scripts: a file's `user_version` says how many it has seen.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::SqliteError;

/// One script per schema number, from 1. Released ones never change: a change is another script.
const SCRIPTS: &[&str] = &[include_str!("schema/0001_keys.sql"), include_str!("schema/0002_records.sql")];

/// Marks a file as ours.
const APPLICATION_ID: i32 = i32::from_be_bytes(*b"Prtc");

/// Runs the scripts that the file has not seen, each in a transaction of its own.
///
/// Killed half-way, the file is at the last whole script; of two processes at once, each script is run by one.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), SqliteError> {
    migrate_to(connection, SCRIPTS)
}

fn migrate_to(connection: &mut Connection, scripts: &[&str]) -> Result<(), SqliteError> {
    while seen(connection, scripts.len())? < scripts.len() {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Read again: another process may have been here before we had the lock.
        step(&transaction, scripts)?;
        transaction.commit()?;
    }
    Ok(())
}

fn step(transaction: &Transaction<'_>, scripts: &[&str]) -> Result<(), SqliteError> {
    let seen = seen(transaction, scripts.len())?;
    if let Some(script) = scripts.get(seen) {
        transaction.execute_batch(script)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", number(seen.saturating_add(1)))?;
    }
    Ok(())
}

/// How many scripts the file has seen.
fn seen(connection: &Connection, known: usize) -> Result<usize, SqliteError> {
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let owner: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let fresh = owner == 0 && found == 0 && tables == 0;
    if owner != APPLICATION_ID && !fresh {
        return Err(SqliteError::NotOurs);
    }
    usize::try_from(found).ok().filter(|seen| *seen <= known).ok_or(SqliteError::NewerSchema { found, known: number(known) })
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> Connection {
        Connection::open_in_memory().unwrap()
    }

    #[test]
    fn each_script_runs_once() {
        let mut connection = memory();
        let scripts = ["CREATE TABLE a (x)", "CREATE TABLE b (x)"];
        migrate_to(&mut connection, &scripts[..1]).unwrap();
        migrate_to(&mut connection, &scripts).unwrap();
        migrate_to(&mut connection, &scripts).unwrap();
        assert_eq!(seen(&connection, 2).unwrap(), 2);
    }

    #[test]
    fn f064_a_newer_schema_is_refused() {
        let mut connection = memory();
        migrate_to(&mut connection, &["CREATE TABLE a (x)", "CREATE TABLE b (x)"]).unwrap();
        let refused = migrate_to(&mut connection, &["CREATE TABLE a (x)"]).unwrap_err();
        assert!(matches!(refused, SqliteError::NewerSchema { found: 2, known: 1 }), "{refused}");
    }

    #[test]
    fn f064_a_broken_script_leaves_nothing_behind() {
        let mut connection = memory();
        assert!(migrate_to(&mut connection, &["CREATE TABLE a (x); CREATE TABEL b (x)"]).is_err());
        assert_eq!(seen(&connection, 1).unwrap(), 0);
        migrate(&mut connection).unwrap();
    }

    #[test]
    fn a_file_of_another_program_is_left_alone() {
        let mut connection = memory();
        connection.execute_batch("CREATE TABLE theirs (x)").unwrap();
        assert!(matches!(migrate(&mut connection), Err(SqliteError::NotOurs)));
    }
}
