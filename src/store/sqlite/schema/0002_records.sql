-- Records of calls, packed. They are appended to the table as they come, and their ids, ordered by time, to its index.
CREATE TABLE records (
    id     TEXT PRIMARY KEY NOT NULL,
    record BLOB NOT NULL
) STRICT;

-- Sums that are kept up with the records, days counted from the epoch, so that asking for them reads days and not calls.
CREATE TABLE sums (
    day           INTEGER NOT NULL,
    workspace     TEXT NOT NULL,
    key           TEXT NOT NULL,
    model         TEXT NOT NULL,
    provider      TEXT NOT NULL,
    calls         INTEGER NOT NULL,
    failed        INTEGER NOT NULL,
    input_tokens  INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cost_nanos    INTEGER NOT NULL,
    PRIMARY KEY (day, workspace, key, model, provider)
) STRICT, WITHOUT ROWID;

-- How far each journal was shipped; written together with the records it held.
CREATE TABLE journals (
    id      TEXT PRIMARY KEY,
    segment INTEGER NOT NULL,
    offset  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
