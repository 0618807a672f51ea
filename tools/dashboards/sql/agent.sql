-- name: spend
{shared:spend}

-- name: change
{shared:change}

-- name: calls
{shared:calls}

-- name: failed
{shared:failed}

-- name: per_success
{shared:per_success}

-- name: cache_share
{shared:cache_share}

-- name: hourly
SELECT {bar} AS time, sum(cost_usd) AS spend
FROM hourly
WHERE {hours}
  AND {picked}
GROUP BY time
ORDER BY time

-- name: week_before
SELECT {bar} + INTERVAL 7 DAY AS time, sum(cost_usd) AS week_before
FROM hourly
WHERE hour >= {start} - INTERVAL 7 DAY AND hour < $__toTime - INTERVAL 7 DAY
  AND {picked}
GROUP BY time
ORDER BY time

-- name: by_model
{shared:by_model}

-- name: why
-- Volume: all models called more or less often in the same proportion. Mix: this model's part of the calls moved.
-- Cost per call: a call of this model costs something else (price, or tokens per call). The three add up to the change.
WITH
  {start} AS first_hour,
  {running} AS running_hour,
  first_hour - (running_hour - first_hour) AS before
SELECT
  name AS model,
  was, now, now - was AS change,
  was * (growth - 1) AS from_volume,
  (n1 - n0 * growth) * coalesce(was / nullIf(n0, 0), now / nullIf(n1, 0), 0) AS from_mix,
  if(n0 = 0, 0, n1 * (coalesce(now / nullIf(n1, 0), 0) - was / n0)) AS from_cost_per_call,
  n0 AS calls_before, n1 AS calls_now
FROM (
  SELECT
    name, n0, n1, was, now,
    coalesce(sum(n1) OVER () / nullIf(sum(n0) OVER (), 0), 1) AS growth
  FROM (
    SELECT
      {shown:model} AS name,
      toFloat64(sumIf(calls, hour < first_hour)) AS n0,
      toFloat64(sumIf(calls, hour >= first_hour)) AS n1,
      toFloat64(coalesce(sumIf(cost_usd, hour < first_hour), 0)) AS was,
      toFloat64(coalesce(sumIf(cost_usd, hour >= first_hour), 0)) AS now
    FROM hourly
    WHERE hour >= before AND hour < running_hour
      AND {picked}
    GROUP BY name))
ORDER BY abs(change) DESC, name
LIMIT 100

-- name: parts
SELECT
  {bar} AS time,
  sum(input_cost_usd) AS input,
  sum(output_cost_usd) AS output,
  sum(cache_read_cost_usd) AS cache_read,
  sum(cache_write_cost_usd) AS cache_write,
  sum(other_cost_usd) AS other
FROM hourly
WHERE {hours}
  AND {picked}
GROUP BY time
ORDER BY time

-- name: per_call
SELECT
  {stamp_bar} AS time,
  quantile(0.5)(cost_usd) AS p50,
  quantile(0.95)(cost_usd) AS p95,
  max(cost_usd) AS dearest
FROM calls
WHERE {stamps}
  AND {picked}
  AND cost_usd IS NOT NULL
GROUP BY time
ORDER BY time

-- name: success_over_time
SELECT {bar} AS time, toFloat64(sum(cost_usd)) / nullIf(sum(calls) - sum(errors), 0) AS cost
FROM hourly
WHERE {hours}
  AND {picked}
GROUP BY time
ORDER BY time

-- name: steps
SELECT
  {shown:workflow} AS flow,
  {shown:feature} AS part,
  {shown:step} AS stage,
  {shown:operation} AS kind,
  sum(cost_usd) AS spend,
  toFloat64(spend) / nullIf(sum(toFloat64(spend)) OVER (), 0) AS share,
  count() AS made,
  quantile(0.95)(cost_usd) AS p95_cost,
  quantile(0.95)(duration_ns) / 1e9 AS p95_seconds
FROM calls
WHERE {stamps}
  AND {picked}
GROUP BY flow, part, stage, kind
ORDER BY spend DESC NULLS LAST, made DESC, flow, part, stage, kind
LIMIT 100

-- name: traces
SELECT
  min(timestamp) AS started,
  trace_id AS trace,
  argMin(agent_id, (timestamp, span_id)) AS agent,
  count() AS made,
  sum(cost_usd) AS spend,
  dateDiff('second', min(timestamp), max(timestamp + toIntervalNanosecond(duration_ns))) AS seconds,
  argMin({shown:customer_id}, (timestamp, span_id)) AS customer,
  arrayStringConcat(arraySlice(arraySort(groupUniqArray({shown:model})), 1, 8), ', ') AS models
FROM calls
WHERE {stamps}
  AND {picked}
GROUP BY trace
ORDER BY spend DESC NULLS LAST, made DESC, trace
LIMIT 50

-- name: failures
SELECT
  {shown:error_type} AS error,
  {shown:model} AS name,
  count() AS made,
  sum(cost_usd) AS spend,
  countIf(cost_usd IS NULL AND cost_status != 'not_billed') AS unknown_cost,
  max(timestamp) AS last_seen
FROM calls
WHERE {stamps}
  AND {picked}
  AND status = 'error'
GROUP BY error, name
ORDER BY made DESC, error, name
LIMIT 50

-- name: first_uses
{shared:first_uses}
