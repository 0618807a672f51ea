-- How much of what may have been billed in [start, end), microseconds since 1970, has a price.
SELECT
    countIf(cost_status != 'not_billed') AS calls,
    countIf(cost_usd IS NOT NULL AND cost_status != 'partial') AS priced_calls,
    countIf(cost_status = 'partial') AS partial_calls,
    sumIf(ifNull(input_tokens, 0) + ifNull(output_tokens, 0), cost_status != 'not_billed') AS tokens,
    sumIf(ifNull(input_tokens, 0) + ifNull(output_tokens, 0), cost_usd IS NOT NULL AND cost_status != 'partial') AS priced_tokens,
    sum(cost_usd) AS at_least_usd
FROM calls
WHERE timestamp >= fromUnixTimestamp64Micro({start:Int64}, 'UTC') AND timestamp < fromUnixTimestamp64Micro({end:Int64}, 'UTC')
