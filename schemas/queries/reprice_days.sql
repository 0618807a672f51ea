-- The UTC days with calls in [first, last), microseconds since 1970, and how many physical rows each has.
SELECT toInt64(toUnixTimestamp(toDateTime(toDate(timestamp), 'UTC'))) AS day, count()
FROM llm_costs
WHERE timestamp >= fromUnixTimestamp64Micro({first:Int64}, 'UTC')
  AND timestamp < fromUnixTimestamp64Micro({last:Int64}, 'UTC')
GROUP BY day
ORDER BY day
