-- Rows are looked for up to a day before they were written; what was delayed longer shows on the board Data quality.

-- name: silence
SELECT dateDiff('second', max(ingested_at), $__toTime) AS seconds
FROM calls
WHERE timestamp >= $__toTime - INTERVAL 1 DAY AND timestamp <= $__toTime + INTERVAL 1 HOUR
  AND ingested_at <= $__toTime
HAVING count() > 0

-- name: rows_written
SELECT count() / 15 AS made
FROM calls
WHERE timestamp >= $__toTime - INTERVAL 1 DAY AND timestamp <= $__toTime + INTERVAL 1 HOUR
  AND ingested_at >= $__toTime - INTERVAL 15 MINUTE AND ingested_at < $__toTime

-- name: delay
SELECT quantile(0.95)(dateDiff('millisecond', timestamp + toIntervalNanosecond(duration_ns), ingested_at)) / 1000 AS seconds
FROM calls
WHERE timestamp >= $__toTime - INTERVAL 1 DAY AND timestamp <= $__toTime + INTERVAL 1 HOUR
  AND ingested_at >= $__toTime - INTERVAL 15 MINUTE AND ingested_at < $__toTime
HAVING count() > 0

-- name: provisional
SELECT count() AS made
FROM calls
WHERE timestamp >= $__toTime - INTERVAL 1 DAY AND timestamp <= $__toTime + INTERVAL 1 HOUR
  AND settles_at > $__toTime AND ingested_at <= $__toTime

-- name: rate
-- Every interval has a point, so that silence shows as zero.
SELECT
  toStartOfInterval(toDateTime(ingested_at, 'UTC'), INTERVAL $__interval_s second) AS time,
  60 * count() / $__interval_s AS made
FROM calls
WHERE timestamp >= toTimeZone($__fromTime, 'UTC') - INTERVAL 1 DAY AND timestamp <= $__toTime + INTERVAL 1 HOUR
  AND ingested_at >= $__fromTime AND ingested_at < $__toTime
GROUP BY time
ORDER BY time WITH FILL
  FROM toStartOfInterval(toTimeZone($__fromTime, 'UTC'), INTERVAL $__interval_s second)
  TO toStartOfInterval(toTimeZone($__toTime, 'UTC'), INTERVAL $__interval_s second)
  STEP toIntervalSecond($__interval_s)

-- name: delays
SELECT
  toStartOfInterval(toDateTime(ingested_at, 'UTC'), INTERVAL $__interval_s second) AS time,
  quantile(0.5)(delay) AS p50,
  quantile(0.95)(delay) AS p95,
  quantile(0.99)(delay) AS p99
FROM (
  SELECT ingested_at, dateDiff('millisecond', timestamp + toIntervalNanosecond(duration_ns), ingested_at) / 1000 AS delay
  FROM calls
  WHERE timestamp >= toTimeZone($__fromTime, 'UTC') - INTERVAL 1 DAY AND timestamp <= $__toTime + INTERVAL 1 HOUR
    AND ingested_at >= $__fromTime AND ingested_at < $__toTime)
GROUP BY time
ORDER BY time
