-- Models without a price, over the last week, the busiest first.
SELECT
    provider,
    if(response_model != '', response_model, request_model) AS named,
    count() AS calls,
    countIf(cost_status = 'partial') AS partly
FROM calls
WHERE timestamp >= now64(6, 'UTC') - INTERVAL 7 DAY
  AND cost_status IN ('unpriced_model', 'partial')
  AND named != ''
GROUP BY provider, named
ORDER BY calls DESC
LIMIT 10
