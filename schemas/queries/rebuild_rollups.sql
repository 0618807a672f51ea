-- Rebuilds whole hours, and single minutes of others; hours in `whole` are kept as one, others minute by minute.
-- One statement, so that no reader sees an hour half rebuilt: the old rows are withdrawn with version - 1 and the new
-- ones come with version. Keys that vanished keep only the withdrawal, of which nothing but the key counts. Both halves
-- land in the same part.
-- A rebuild may equal an earlier one and must be written all the same; one thread and one block make one part a month,
-- which readers see at once or not at all.
INSERT INTO rollup_changes
SETTINGS
    insert_deduplicate = 0,
    max_insert_threads = 1,
    min_insert_block_size_rows = 16777216,
    min_insert_block_size_bytes = 2147483648,
    max_partitions_per_insert_block = 0
SELECT
    if(grouping(team) = 1, 'hourly', 'hourly_customer'),
    toDateTime(toStartOfHour(timestamp), 'UTC') AS hour,
    tenant_id,
    agent_id,
    service_name,
    provider,
    model,
    environment,
    team,
    customer_id,
    if(toUnixTimestamp(toStartOfHour(timestamp)) IN {whole:Array(UInt32)}, 0, toUInt8(toMinute(timestamp) + 1)) AS slice,
    count(),
    countIf(status = 'error'),
    countIf(cost_usd IS NULL AND cost_status != 'not_billed'),
    sum(input_tokens),
    sum(output_tokens),
    sum(cache_read_tokens),
    sum(cache_write_5m_tokens),
    sum(cache_write_1h_tokens),
    sum(reasoning_tokens),
    sum(audio_input_tokens),
    sum(audio_output_tokens),
    sum(cost_usd),
    sum(input_cost_usd),
    sum(output_cost_usd),
    sum(cache_read_cost_usd),
    sum(cache_write_cost_usd),
    sum(other_cost_usd),
    sum(list_cost_usd),
    sum(estimated_cost_usd),
    sum(reported_cost_usd),
    {version:UInt64},
    0
FROM calls
WHERE timestamp >= toDateTime64({first:UInt32}, 6, 'UTC')
  AND timestamp < toDateTime64({until:UInt32}, 6, 'UTC')
  AND (
      toUnixTimestamp(toStartOfHour(timestamp)) IN {hours:Array(UInt32)}
      OR toUnixTimestamp(toStartOfMinute(timestamp)) IN {minutes:Array(UInt32)}
  )
GROUP BY GROUPING SETS
(
    (hour, tenant_id, agent_id, service_name, provider, model, environment, slice),
    (hour, tenant_id, team, customer_id, agent_id, slice)
)
UNION ALL
SELECT
    'hourly', hour, tenant_id, agent_id, service_name, provider, model, environment, '', '', slice,
    0, 0, 0, NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    {version:UInt64} - 1,
    1
FROM llm_costs_hourly FINAL
WHERE hour >= toStartOfHour(toDateTime({first:UInt32}, 'UTC'))
  AND hour < toDateTime({until:UInt32}, 'UTC')
  AND (
      toUnixTimestamp(hour) IN {hours:Array(UInt32)}
      OR (slice > 0 AND toUnixTimestamp(hour) + 60 * (slice - 1) IN {minutes:Array(UInt32)})
  )
UNION ALL
SELECT
    'hourly_customer', hour, tenant_id, agent_id, '', '', '', '', team, customer_id, slice,
    0, 0, 0, NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    {version:UInt64} - 1,
    1
FROM llm_costs_hourly_customer FINAL
WHERE hour >= toStartOfHour(toDateTime({first:UInt32}, 'UTC'))
  AND hour < toDateTime({until:UInt32}, 'UTC')
  AND (
      toUnixTimestamp(hour) IN {hours:Array(UInt32)}
      OR (slice > 0 AND toUnixTimestamp(hour) + 60 * (slice - 1) IN {minutes:Array(UInt32)})
  )
