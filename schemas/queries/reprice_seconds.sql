-- How many physical rows start in each second of [first, last), microseconds since 1970.
SELECT toInt64(toUnixTimestamp(timestamp)) AS second, count()
FROM llm_costs
WHERE timestamp >= fromUnixTimestamp64Micro({first:Int64}, 'UTC')
  AND timestamp < fromUnixTimestamp64Micro({last:Int64}, 'UTC')
GROUP BY second
ORDER BY second
