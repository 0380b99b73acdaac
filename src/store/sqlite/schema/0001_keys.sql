-- Keys of callers. Times are Unix milliseconds; scopes, limits and metadata are JSON objects.
CREATE TABLE keys (
    kid          TEXT PRIMARY KEY,
    kind         TEXT NOT NULL CHECK (kind IN ('inference', 'management')),
    workspace    TEXT NOT NULL,
    name         TEXT NOT NULL,
    status       TEXT NOT NULL CHECK (status IN ('active', 'paused', 'revoked')),
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER,
    expires_at   INTEGER,
    scopes       TEXT NOT NULL,
    limits       TEXT NOT NULL,
    metadata     TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX keys_by_workspace ON keys (workspace, created_at);

-- What a key's secrets hash to: the current one, and one that a rotation lets work for a while.
CREATE TABLE key_hashes (
    kid   TEXT NOT NULL REFERENCES keys (kid) ON DELETE CASCADE,
    hash  TEXT NOT NULL,
    until INTEGER,
    PRIMARY KEY (kid, hash)
) STRICT, WITHOUT ROWID;

-- Every change of a key, in the transaction that made it. Its last id is the version that caches follow.
CREATE TABLE key_audit (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    at     INTEGER NOT NULL,
    actor  TEXT NOT NULL,
    action TEXT NOT NULL,
    kid    TEXT NOT NULL
) STRICT;

CREATE INDEX key_audit_by_kid ON key_audit (kid, id);
