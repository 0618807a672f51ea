-- The calls that start in [first, last), microseconds since 1970, as they are booked: the newest version under each key,
-- if it is no tombstone. Without FINAL, so that a day that is being folded gives each row once. Amounts in picodollars.
SELECT
    * EXCEPT (is_deleted)
    REPLACE (
        reinterpretAsInt64(cost_usd) AS cost_usd,
        reinterpretAsInt64(input_cost_usd) AS input_cost_usd,
        reinterpretAsInt64(output_cost_usd) AS output_cost_usd,
        reinterpretAsInt64(cache_read_cost_usd) AS cache_read_cost_usd,
        reinterpretAsInt64(cache_write_cost_usd) AS cache_write_cost_usd,
        reinterpretAsInt64(other_cost_usd) AS other_cost_usd,
        reinterpretAsInt64(list_cost_usd) AS list_cost_usd,
        reinterpretAsInt64(cache_savings_usd) AS cache_savings_usd,
        reinterpretAsInt64(estimated_cost_usd) AS estimated_cost_usd,
        reinterpretAsInt64(reported_cost_usd) AS reported_cost_usd
    )
FROM
(
    SELECT {columns:Identifiers}, is_deleted
    FROM llm_costs
    WHERE timestamp >= fromUnixTimestamp64Micro({first:Int64}, 'UTC')
      AND timestamp < fromUnixTimestamp64Micro({last:Int64}, 'UTC')
    ORDER BY version DESC, is_deleted DESC
    LIMIT 1 BY agent_id, tenant_id, timestamp, trace_id, span_id
)
WHERE is_deleted = 0
ORDER BY timestamp, trace_id, span_id, agent_id, tenant_id
