-- Erasing facts from the spool's database (SQLite). The table is `records` or `aside`.

-- name: overwrite_what_is_deleted
PRAGMA secure_delete = ON;

-- name: naming_records
SELECT body FROM records WHERE instr(body, ?) > 0 UNION ALL SELECT body FROM aside WHERE instr(body, ?) > 0;

-- name: records
SELECT sequence, body FROM records WHERE sequence > ? ORDER BY sequence LIMIT ?;

-- name: aside
SELECT sequence, body FROM aside WHERE sequence > ? ORDER BY sequence LIMIT ?;

-- name: update_records
UPDATE records SET facts = ?, body = ? WHERE sequence = ?;

-- name: update_aside
UPDATE aside SET facts = ?, body = ? WHERE sequence = ?;

-- name: empty_log
PRAGMA wal_checkpoint(TRUNCATE);
