-- What the store is, for whoever asks how it is.
SELECT
    version() AS engine,
    toUnixTimestamp64Milli(now64(3)) AS now_ms,
    (SELECT max(version) FROM schema_migrations) AS schema_version,
    (SELECT count() FROM calls WHERE timestamp >= now64(6, 'UTC') - INTERVAL 7 DAY) AS calls
