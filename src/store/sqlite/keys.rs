//! Keys in a SQLite file. The last id of the audit is the version that caches follow.

use std::{
    collections::BTreeMap,
    str::FromStr,
    time::{Duration, SystemTime},
};

use rusqlite::{
    Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params,
    types::{FromSql, FromSqlError, Type},
};
use serde::{Serialize, de::DeserializeOwned};

use super::{Sqlite, SqliteError};
use crate::{
    auth::{
        Applied, Changed, KeyAudit, KeyChange, KeyChanges, KeyFuture, KeyHash, KeyRecord, KeyRegister, KeyRegisterError, KeyStatus,
        KeyStore, KeyStoreError, KeyUse, SecretHash,
    },
    stage::{KeyId, KeyKind},
};

impl KeyStore for Sqlite {
    fn find<'a>(&'a self, kid: &'a KeyId) -> KeyFuture<'a, Result<Option<KeyRecord>, KeyStoreError>> {
        let kid = kid.clone();
        Box::pin(async move { self.run(move |connection| Ok(find(connection, &kid)?)).await })
    }

    fn changes(&self, since: Option<u64>) -> KeyFuture<'_, Result<KeyChanges, KeyStoreError>> {
        Box::pin(async move { self.run(move |connection| Ok(changes(connection, since)?)).await })
    }

    fn used(&self, uses: Vec<KeyUse>) -> KeyFuture<'_, Result<(), KeyStoreError>> {
        Box::pin(async move { self.run(move |connection| Ok(used(connection, &uses)?)).await })
    }
}

impl KeyRegister for Sqlite {
    fn apply(&self, change: KeyChange) -> KeyFuture<'_, Result<KeyRecord, KeyRegisterError>> {
        Box::pin(async move { self.run(move |connection| apply(connection, &change)).await })
    }

    fn list<'a>(&'a self, workspace: Option<&'a str>) -> KeyFuture<'a, Result<Vec<KeyRecord>, KeyStoreError>> {
        let workspace = workspace.map(str::to_owned);
        Box::pin(async move { self.run(move |connection| Ok(list(connection, workspace.as_deref())?)).await })
    }

    fn audit<'a>(&'a self, kid: &'a KeyId) -> KeyFuture<'a, Result<Vec<KeyAudit>, KeyStoreError>> {
        let kid = kid.clone();
        Box::pin(async move { self.run(move |connection| Ok(audit(connection, &kid)?)).await })
    }
}

fn find(connection: &Connection, kid: &KeyId) -> Result<Option<KeyRecord>, SqliteError> {
    let record = connection.prepare_cached(FIND)?.query_row([kid.as_str()], record).optional()?;
    record.map(|record| with_hashes(connection, record)).transpose()
}

fn list(connection: &Connection, workspace: Option<&str>) -> Result<Vec<KeyRecord>, SqliteError> {
    let mut statement = connection.prepare_cached(LIST)?;
    let records = statement.query_map([workspace], record)?;
    records.map(|record| with_hashes(connection, record?)).collect()
}

fn with_hashes(connection: &Connection, mut record: KeyRecord) -> Result<KeyRecord, SqliteError> {
    let mut statement =
        connection.prepare_cached("SELECT hash, until FROM key_hashes WHERE kid = ?1 ORDER BY until IS NOT NULL, until DESC")?;
    let hashes = statement.query_map([record.kid.as_str()], |row| {
        Ok(SecretHash { hash: text(row, 0, |text| KeyHash::from_str(text).ok())?, until: row.get::<_, Option<i64>>(1)?.map(time) })
    })?;
    record.hashes = hashes.collect::<Result<_, _>>()?;
    Ok(record)
}

fn changes(connection: &Connection, since: Option<u64>) -> Result<KeyChanges, SqliteError> {
    let last: i64 = connection.prepare_cached("SELECT coalesce(max(id), 0) FROM key_audit")?.query_row([], |row| row.get(0))?;
    let version = last.unsigned_abs();
    let Some(since) = since.filter(|since| *since <= version).and_then(|since| i64::try_from(since).ok()) else {
        return Ok(KeyChanges { version, keys: Changed::Any });
    };
    if since == last {
        return Ok(KeyChanges { version, keys: Changed::These(Vec::new()) });
    }
    if last.saturating_sub(since) > MOST_CHANGES {
        return Ok(KeyChanges { version, keys: Changed::Any });
    }
    let mut statement = connection.prepare_cached("SELECT DISTINCT kid FROM key_audit WHERE id > ?1 AND id <= ?2")?;
    let kids = statement.query_map([since, last], |row| row.get::<_, String>(0))?;
    let kids = kids.map(|kid| kid.map(KeyId::from)).collect::<Result<_, _>>()?;
    Ok(KeyChanges { version, keys: Changed::These(kids) })
}

fn used(connection: &mut Connection, uses: &[KeyUse]) -> Result<(), SqliteError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let mut statement =
            transaction.prepare_cached("UPDATE keys SET last_used_at = max(coalesce(last_used_at, ?2), ?2) WHERE kid = ?1")?;
        for KeyUse { kid, at } in uses {
            statement.execute(params![kid.as_str(), millis(*at)])?;
        }
    }
    Ok(transaction.commit()?)
}

fn audit(connection: &Connection, kid: &KeyId) -> Result<Vec<KeyAudit>, SqliteError> {
    let mut statement = connection.prepare_cached("SELECT at, actor, action FROM key_audit WHERE kid = ?1 ORDER BY id")?;
    let entries = statement.query_map([kid.as_str()], |row| {
        Ok(KeyAudit { at: time(row.get(0)?), actor: row.get(1)?, action: row.get(2)?, kid: kid.clone() })
    })?;
    Ok(entries.collect::<Result<_, _>>()?)
}

/// Reads, changes and writes under the write lock, so that two processes cannot undo each other's changes.
fn apply(connection: &mut Connection, change: &KeyChange) -> Result<KeyRecord, KeyRegisterError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(SqliteError::from)?;
    let applied = change.apply(find(&transaction, &change.kid)?)?;
    match &applied {
        Applied::Kept(record) => write(&transaction, record)?,
        Applied::Gone(record) => erase(&transaction, &record.kid)?,
    }
    log(&transaction, &change.audit())?;
    transaction.commit().map_err(SqliteError::from)?;
    Ok(applied.into_record())
}

fn write(transaction: &Transaction<'_>, record: &KeyRecord) -> Result<(), SqliteError> {
    transaction.prepare_cached(WRITE)?.execute(params![
        record.kid.as_str(),
        record.kind.name(),
        record.workspace,
        record.name,
        record.status.name(),
        millis(record.created),
        record.last_used.map(millis),
        record.expires.map(millis),
        json(&record.scopes)?,
        json(&record.limits)?,
        json(&record.metadata)?,
    ])?;
    transaction.prepare_cached("DELETE FROM key_hashes WHERE kid = ?1")?.execute([record.kid.as_str()])?;
    let mut statement = transaction.prepare_cached("INSERT INTO key_hashes (kid, hash, until) VALUES (?1, ?2, ?3)")?;
    for SecretHash { hash, until } in &record.hashes {
        statement.execute(params![record.kid.as_str(), hash.to_string(), until.map(millis)])?;
    }
    Ok(())
}

fn erase(transaction: &Transaction<'_>, kid: &KeyId) -> Result<(), SqliteError> {
    transaction.prepare_cached("DELETE FROM keys WHERE kid = ?1")?.execute([kid.as_str()])?;
    Ok(())
}

fn log(transaction: &Transaction<'_>, entry: &KeyAudit) -> Result<(), SqliteError> {
    let mut statement = transaction.prepare_cached("INSERT INTO key_audit (at, actor, action, kid) VALUES (?1, ?2, ?3, ?4)")?;
    statement.execute(params![millis(entry.at), entry.actor, entry.action, entry.kid.as_str()])?;
    Ok(())
}

/// A row of `FIND` or `LIST`; the hashes are in a table of their own.
fn record(row: &Row<'_>) -> rusqlite::Result<KeyRecord> {
    Ok(KeyRecord {
        kid: row.get::<_, String>(0)?.into(),
        kind: text(row, 1, |name| [KeyKind::Inference, KeyKind::Management].into_iter().find(|kind| kind.name() == name))?,
        workspace: row.get(2)?,
        name: row.get(3)?,
        hashes: Vec::new(),
        status: text(row, 4, |name| {
            [KeyStatus::Active, KeyStatus::Paused, KeyStatus::Revoked].into_iter().find(|status| status.name() == name)
        })?,
        created: time(row.get(5)?),
        last_used: row.get::<_, Option<i64>>(6)?.map(time),
        expires: row.get::<_, Option<i64>>(7)?.map(time),
        scopes: from_json(row, 8)?,
        limits: from_json(row, 9)?,
        metadata: from_json::<BTreeMap<String, String>>(row, 10)?,
    })
}

/// A column whose text stands for a value.
fn text<T>(row: &Row<'_>, column: usize, read: impl FnOnce(&str) -> Option<T>) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?;
    let value = String::column_result(text).ok().and_then(|text| read(&text));
    value.ok_or_else(|| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, FromSqlError::InvalidType.into()))
}

fn from_json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    text(row, column, |text| serde_json::from_str(text).ok())
}

fn json(value: &impl Serialize) -> Result<String, SqliteError> {
    serde_json::to_string(value).map_err(SqliteError::failed)
}

/// Unix milliseconds, rounded down; what is before the epoch is the epoch.
fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn time(millis: i64) -> SystemTime {
    let since = Duration::from_millis(u64::try_from(millis).unwrap_or(0));
    SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH)
}

impl From<SqliteError> for KeyStoreError {
    fn from(error: SqliteError) -> Self {
        Self::new(error)
    }
}

impl From<SqliteError> for KeyRegisterError {
    fn from(error: SqliteError) -> Self {
        Self::Store(error.into())
    }
}

const FIND: &str = "
    SELECT kid, kind, workspace, name, status, created_at, last_used_at, expires_at, scopes, limits, metadata
    FROM keys WHERE kid = ?1";

const LIST: &str = "
    SELECT kid, kind, workspace, name, status, created_at, last_used_at, expires_at, scopes, limits, metadata
    FROM keys WHERE ?1 IS NULL OR workspace = ?1 ORDER BY created_at, kid";

const WRITE: &str = "
    INSERT INTO keys (kid, kind, workspace, name, status, created_at, last_used_at, expires_at, scopes, limits, metadata)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
    ON CONFLICT (kid) DO UPDATE SET
        name = excluded.name, status = excluded.status, expires_at = excluded.expires_at,
        scopes = excluded.scopes, limits = excluded.limits, metadata = excluded.metadata";

/// Past these, a cache reads everything again.
const MOST_CHANGES: i64 = 1_000;
