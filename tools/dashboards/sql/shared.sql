-- Queries that stand on several boards.

-- name: spend
SELECT sum(cost_usd) AS spend
FROM hourly
WHERE {hours}
  AND {picked}

-- name: change
-- Only complete hours are compared, with as many hours just before them.
WITH
  {start} AS first_hour,
  {running} AS running_hour,
  first_hour - (running_hour - first_hour) AS before
SELECT toFloat64(sumIf(cost_usd, hour >= first_hour)) / nullIf(toFloat64(sumIf(cost_usd, hour < first_hour)), 0) - 1 AS change
FROM hourly
WHERE hour >= before AND hour < running_hour
  AND {picked}

-- name: calls
SELECT sum(calls) AS calls
FROM hourly
WHERE {hours}
  AND {picked}
HAVING calls > 0

-- name: failed
SELECT sum(errors) / nullIf(sum(calls), 0) AS failed
FROM hourly
WHERE {hours}
  AND {picked}

-- name: per_success
SELECT toFloat64(sum(cost_usd)) / nullIf(sum(calls) - sum(errors), 0) AS cost
FROM hourly
WHERE {hours}
  AND {picked}

-- name: unknown
SELECT sum(unpriced_calls) / nullIf(sum(calls), 0) AS share
FROM hourly
WHERE {hours}
  AND {picked}

-- name: cache_share
SELECT sum(cache_read_tokens) / nullIf(sum(input_tokens), 0) AS share
FROM hourly
WHERE {hours}
  AND {picked}

-- name: by_agent
-- One pass: the seven dearest are known once all are added up.
SELECT time, rank, series, sum(spend) AS spend
FROM (
  SELECT
    time, spend,
    dense_rank() OVER (ORDER BY coalesce(total, 0) DESC, name) AS place,
    if(place <= 7, toString(place), '+') AS rank,
    if(place <= 7, name, 'others') AS series
  FROM (
    SELECT
      {bar} AS time,
      agent_id AS name,
      sum(cost_usd) AS spend,
      sum(sum(cost_usd)) OVER (PARTITION BY name) AS total
    FROM hourly
    WHERE {hours}
      AND {picked}
    GROUP BY time, name))
GROUP BY time, rank, series
ORDER BY time, rank = '+', rank

-- name: by_model
SELECT time, rank, series, sum(spend) AS spend
FROM (
  SELECT
    time, spend,
    dense_rank() OVER (ORDER BY coalesce(total, 0) DESC, name) AS place,
    if(place <= 7, toString(place), '+') AS rank,
    if(place <= 7, name, 'others') AS series
  FROM (
    SELECT
      {bar} AS time,
      {shown:model} AS name,
      sum(cost_usd) AS spend,
      sum(sum(cost_usd)) OVER (PARTITION BY name) AS total
    FROM hourly
    WHERE {hours}
      AND {picked}
    GROUP BY time, name))
GROUP BY time, rank, series
ORDER BY time, rank = '+', rank

-- name: first_uses
SELECT
  min(hour) AS time,
  concat(agent_id, ' first used ', {shown:model}) AS text
FROM hourly
WHERE hour >= {start} - INTERVAL 14 DAY AND hour < $__toTime
  AND {picked}
GROUP BY agent_id, model
HAVING time >= {start}
  -- an agent's own first hour is no news about its models
  AND agent_id IN (SELECT agent_id FROM hourly WHERE hour >= {start} - INTERVAL 14 DAY AND hour < {start})
ORDER BY time, text
LIMIT 100

-- name: budget_spent
-- Spend of the running day, week and month, of everybody a budget can be for. Of one tenant and of all together.
SELECT of_tenant, whose.1 AS scope, whose.2 AS name, span.1 AS period, span.2 AS spent
FROM (
  SELECT
    arrayJoin(arrayDistinct(['', toString(tenant_id)])) AS of_tenant,
    arrayJoin([('total', ''), ('agent', toString(agent_id)), ('model', toString(model))]) AS whose,
    sum(in_day) AS day, sum(in_week) AS week, sum(in_month) AS month
  FROM (
    SELECT
      tenant_id, agent_id, model,
      sumIf(cost_usd, hour >= toStartOfDay(until)) AS in_day,
      sumIf(cost_usd, hour >= toDateTime(toMonday(until), 'UTC')) AS in_week,
      sumIf(cost_usd, hour >= toDateTime(toStartOfMonth(until), 'UTC')) AS in_month
    FROM hourly
    WHERE hour >= toDateTime(least(toMonday(until), toStartOfMonth(until)), 'UTC') AND hour < until
    GROUP BY tenant_id, agent_id, model)
  GROUP BY of_tenant, whose
  UNION ALL
  SELECT
    arrayJoin(arrayDistinct(['', toString(tenant_id)])) AS of_tenant,
    arrayJoin([('customer', toString(customer_id)), ('team', toString(team))]) AS whose,
    sum(in_day) AS day, sum(in_week) AS week, sum(in_month) AS month
  FROM (
    SELECT
      tenant_id, customer_id, team,
      sumIf(cost_usd, hour >= toStartOfDay(until)) AS in_day,
      sumIf(cost_usd, hour >= toDateTime(toMonday(until), 'UTC')) AS in_week,
      sumIf(cost_usd, hour >= toDateTime(toStartOfMonth(until), 'UTC')) AS in_month
    FROM hourly_customer
    WHERE hour >= toDateTime(least(toMonday(until), toStartOfMonth(until)), 'UTC') AND hour < until
      AND (
        customer_id IN (SELECT name FROM budgets WHERE scope = 'customer')
        OR team IN (SELECT name FROM budgets WHERE scope = 'team'))
    GROUP BY tenant_id, customer_id, team)
  GROUP BY of_tenant, whose)
ARRAY JOIN [('day', day), ('week', week), ('month', month)] AS span

-- name: budget_use
-- Every budget in force: what of it is used, and how far its period is.
SELECT
  b.of_tenant AS of_tenant, b.scope AS scope, b.name AS name, b.period AS period, amount,
  toFloat64(coalesce(s.spent, 0)) AS spent,
  spent / amount AS used,
  multiIf(
    period = 'day', toStartOfDay(until),
    period = 'week', toDateTime(toMonday(until), 'UTC'),
    toDateTime(toStartOfMonth(until), 'UTC')) AS begun,
  multiIf(period = 'day', begun + INTERVAL 1 DAY, period = 'week', begun + INTERVAL 7 DAY, begun + INTERVAL 1 MONTH) AS over,
  greatest(dateDiff('second', begun, until) / dateDiff('second', begun, over), 1 / 24) AS elapsed
FROM (
  SELECT tenant_id AS of_tenant, scope, name, period, toFloat64(argMax(amount_usd, valid_from)) AS amount
  FROM budgets
  WHERE valid_from <= until
  GROUP BY of_tenant, scope, name, period
  HAVING amount > 0) AS b
LEFT JOIN (
  {shared:budget_spent}) AS s
ON s.of_tenant = b.of_tenant AND s.scope = b.scope AND s.name = b.name AND s.period = b.period

-- name: unusual
-- The last full hour of each agent beside its own four weeks: the same hour of the same weekday and the hours around
-- it, twelve in all; an hour without a call counts as zero. Sigma is never taken below a quarter of the mean or a cent.
-- Agents younger than two weeks have no sigmas.
WITH {running} - INTERVAL 1 HOUR AS latest_hour
SELECT
  agent_id AS agent,
  toFloat64(coalesce(sumIf(dollars, hour = latest_hour), 0)) AS latest,
  toFloat64(coalesce(sumIf(dollars, hour = latest_hour - INTERVAL 1 HOUR), 0)) AS hour_before,
  toFloat64(coalesce(sumIf(dollars, hour = latest_hour - INTERVAL 24 HOUR), 0)) AS day_before,
  sumIf(called, hour = latest_hour) AS made,
  least(4, intDiv(dateDiff('hour', min(hour), latest_hour) + 1, 168)) AS weeks,
  sumIf(dollars, is_like) / nullIf(3 * weeks, 0) AS usual,
  maxIf(dollars, is_near) AS record,
  sumIf(dollars, hour < latest_hour) / nullIf(dateDiff('hour', min(hour), latest_hour) / 24, 0) AS usual_day,
  sqrt(greatest(sumIf(dollars * dollars, is_like) / nullIf(3 * weeks, 0) - usual * usual, 0)
    * 3 * weeks / nullIf(3 * weeks - 1, 0)) AS sigma,
  if(weeks < 2, NULL, (latest - usual) / greatest(sigma, usual / 4, 0.01)) AS sigmas
FROM (
  SELECT
    agent_id, hour,
    toFloat64(coalesce(sum(cost_usd), 0)) AS dollars,
    sum(calls) AS called,
    hour < latest_hour - INTERVAL 24 HOUR
      AND abs(modulo(dateDiff('hour', hour, latest_hour) + 12, 24) - 12) <= 1 AS is_near,
    is_near AND abs(modulo(dateDiff('hour', hour, latest_hour) + 84, 168) - 84) <= 1 AS is_like
  FROM hourly
  WHERE hour >= latest_hour - INTERVAL 673 HOUR AND hour <= latest_hour
    AND {picked}
  GROUP BY agent_id, hour)
GROUP BY agent
