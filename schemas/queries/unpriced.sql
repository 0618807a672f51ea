-- What had no price in [start, end), microseconds since 1970, the busiest models first.
SELECT
    provider,
    if(response_model != '', response_model, request_model) AS model,
    toString(toDateTime(min(timestamp), 'UTC')) AS first_seen,
    toString(toDateTime(max(timestamp), 'UTC')) AS last_seen,
    count() AS calls,
    sum(ifNull(input_tokens, 0) + ifNull(output_tokens, 0)) AS tokens
FROM calls
WHERE cost_status = 'unpriced_model'
  AND timestamp >= fromUnixTimestamp64Micro({start:Int64}, 'UTC') AND timestamp < fromUnixTimestamp64Micro({end:Int64}, 'UTC')
GROUP BY provider, model
ORDER BY tokens DESC, calls DESC, provider, model
LIMIT 1000
