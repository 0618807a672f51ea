-- name: spend
{shared:spend}

-- name: change
{shared:change}

-- name: last_hour
SELECT sum(cost_usd) AS spend
FROM calls
WHERE timestamp >= $__toTime - INTERVAL 1 HOUR AND timestamp < $__toTime
  AND {picked}

-- name: projected_month
-- Month to date, and the pace of the last seven days (or of all there is) for what is left of the month.
WITH
  toTimeZone($__toTime, 'UTC') AS until,
  toDateTime(toStartOfMonth(until), 'UTC') AS month,
  until - INTERVAL 7 DAY AS week
SELECT
  toFloat64(coalesce(sumIf(cost_usd, hour >= month), 0))
  + toFloat64(sumIf(cost_usd, hour >= week))
    / greatest(dateDiff('second', greatest(min(hour), week), until), 3600)
    * dateDiff('second', until, toDateTime(toStartOfMonth(until) + INTERVAL 1 MONTH, 'UTC')) AS projected
FROM hourly
WHERE hour >= least(month, week) AND hour < until
  AND {picked}

-- name: per_success
{shared:per_success}

-- name: unknown
{shared:unknown}

-- name: by_agent
{shared:by_agent}

-- name: by_model
SELECT {shown:model} AS name, sum(cost_usd) AS spend
FROM hourly
WHERE {hours}
  AND {picked}
GROUP BY name
ORDER BY spend DESC NULLS LAST, name
LIMIT 12

-- name: agents
WITH
  {start} AS first_hour,
  {running} AS running_hour,
  first_hour - (running_hour - first_hour) AS before
SELECT
  agent,
  sum(spent) AS spend,
  toFloat64(spend) / nullIf(sum(toFloat64(spend)) OVER (), 0) AS share,
  toFloat64(sum(complete)) / nullIf(toFloat64(sum(previous)), 0) - 1 AS change,
  sum(made) AS calls,
  sum(failed) / nullIf(calls, 0) AS failed_share,
  sum(unknown) AS unknown_cost,
  toFloat64(spend) / nullIf(calls - sum(failed), 0) AS per_success,
  sum(cached) / nullIf(sum(tokens), 0) AS cache_share,
  argMax(name, coalesce(spent, 0)) AS top_model
FROM (
  SELECT
    agent_id AS agent,
    {shown:model} AS name,
    sumIf(cost_usd, hour >= first_hour) AS spent,
    sumIf(cost_usd, hour >= first_hour AND hour < running_hour) AS complete,
    sumIf(cost_usd, hour < first_hour) AS previous,
    sumIf(calls, hour >= first_hour) AS made,
    sumIf(errors, hour >= first_hour) AS failed,
    sumIf(unpriced_calls, hour >= first_hour) AS unknown,
    sumIf(cache_read_tokens, hour >= first_hour) AS cached,
    sumIf(input_tokens, hour >= first_hour) AS tokens
  FROM hourly
  WHERE hour >= before AND hour < $__toTime
    AND {picked}
  GROUP BY agent, name)
GROUP BY agent
HAVING calls > 0
ORDER BY spend DESC NULLS LAST, agent
LIMIT 200

-- name: first_uses
{shared:first_uses}
