-- The spool's own database (SQLite). `confirmed` is the last sequence whose rows are in the store.

-- name: create_state
CREATE TABLE IF NOT EXISTS spool (id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL, confirmed INTEGER NOT NULL);

-- name: first_state
INSERT OR IGNORE INTO spool (id, version, confirmed) VALUES (1, ?, 0);

-- name: create_records
CREATE TABLE IF NOT EXISTS records (
    sequence   INTEGER PRIMARY KEY,
    arrived_ms INTEGER NOT NULL,
    facts      INTEGER NOT NULL,
    body       BLOB NOT NULL
);

-- name: create_aside
-- Since version 2: records that could not be read or booked, with the reason and the program that said so.
CREATE TABLE IF NOT EXISTS aside (
    sequence   INTEGER PRIMARY KEY,
    arrived_ms INTEGER NOT NULL,
    facts      INTEGER NOT NULL,
    body       BLOB NOT NULL,
    reason     TEXT NOT NULL,
    program    TEXT NOT NULL
);

-- name: create_suspects
-- Since version 2: records that booking failed with once.
CREATE TABLE IF NOT EXISTS suspects (sequence INTEGER PRIMARY KEY);

-- name: set_version
UPDATE spool SET version = ?;

-- name: state
SELECT version, confirmed FROM spool;

-- name: check
PRAGMA quick_check(1);

-- name: apply_log
-- Answers (busy, pages in the log, pages applied).
PRAGMA wal_checkpoint(PASSIVE);

-- name: page_size
PRAGMA page_size;

-- name: salvaged
-- Of a record that is found twice one is as good as the other: its checksum fits.
INSERT OR REPLACE INTO records (sequence, arrived_ms, facts, body) VALUES (?, ?, ?, ?);

-- name: delete_before
DELETE FROM records WHERE sequence <= ?1 AND arrived_ms < ?2;

-- name: counts
SELECT count(*), coalesce(sum(sequence > ?1), 0) FROM records;

-- name: tables
SELECT name FROM sqlite_master WHERE type = 'table';

-- name: newest_records
SELECT max(sequence) FROM records;

-- name: newest_aside
SELECT max(sequence) FROM aside;

-- name: last_sequence
-- Only what is confirmed or set aside is ever deleted, so this is the last one given; AUTOINCREMENT would write one page
-- more in every commit.
SELECT max(
    (SELECT confirmed FROM spool),
    coalesce((SELECT max(sequence) FROM records), 0),
    coalesce((SELECT max(sequence) FROM aside), 0)
);

-- name: oldest_kept
SELECT min(sequence), min(arrived_ms) FROM records;

-- name: kept_bytes
SELECT coalesce(sum(length(body)), 0) FROM records;

-- name: waiting
-- What waits to be booked, in blocks of `?3` sequences.
SELECT max(sequence), sum(facts), sum(length(body)), min(arrived_ms)
FROM records WHERE sequence > ?1 GROUP BY (sequence - ?2) / ?3 ORDER BY 1;

-- name: insert_record
INSERT INTO records (sequence, arrived_ms, facts, body) VALUES (?, ?, ?, ?);

-- name: confirm
UPDATE spool SET confirmed = ?;

-- name: clamp_arrivals
-- Records from a time that the clock has left again would otherwise be kept until it comes back.
UPDATE records SET arrived_ms = ?1 WHERE arrived_ms > ?1;

-- name: oldest
SELECT sequence, arrived_ms, length(body) FROM records WHERE sequence <= ? ORDER BY sequence LIMIT ?;

-- name: delete_up_to
DELETE FROM records WHERE sequence <= ?;

-- name: bodies
SELECT sequence, body FROM records WHERE sequence BETWEEN ? AND ? ORDER BY sequence LIMIT ?;

-- name: is_suspect
SELECT 1 FROM suspects WHERE sequence = ?;

-- name: suspect
INSERT OR IGNORE INTO suspects (sequence) VALUES (?);

-- name: set_aside
INSERT OR REPLACE INTO aside SELECT sequence, arrived_ms, facts, body, ?2, ?3 FROM records WHERE sequence = ?1;

-- name: record_bytes
SELECT length(body) FROM records WHERE sequence = ?;

-- name: drop_record
DELETE FROM records WHERE sequence = ?;

-- name: try_again
-- What an earlier program could not book, behind everything else.
INSERT INTO records (sequence, arrived_ms, facts, body)
SELECT ?2 + row_number() OVER (ORDER BY sequence), arrived_ms, facts, body FROM aside WHERE program <> ?1;

-- name: tried_again
DELETE FROM aside WHERE program <> ?;
