-- name: in_force
WITH toTimeZone($__toTime, 'UTC') AS until
SELECT count() AS budgets
FROM ({shared:budget_use})
HAVING budgets > 0

-- name: used_up
WITH toTimeZone($__toTime, 'UTC') AS until
SELECT countIf(used >= 1) AS budgets
FROM ({shared:budget_use})
HAVING count() > 0

-- name: ahead
WITH toTimeZone($__toTime, 'UTC') AS until
SELECT countIf(used / elapsed > 1.25) AS budgets
FROM ({shared:budget_use})
HAVING count() > 0

-- name: total_used
WITH toTimeZone($__toTime, 'UTC') AS until
SELECT used
FROM ({shared:budget_use})
WHERE scope = 'total' AND of_tenant = ''
ORDER BY period = 'month' DESC, period = 'week' DESC
LIMIT 1

-- name: budgets
WITH toTimeZone($__toTime, 'UTC') AS until
SELECT
  scope,
  if(name = '', '(all)', name) AS owner,
  if(of_tenant = '', '(all)', of_tenant) AS tenant,
  period, amount, spent, used,
  if(used / elapsed > 100, 100, used / elapsed) AS pace,
  spent / elapsed AS projected,
  greatest(amount - spent, 0) AS remaining
FROM ({shared:budget_use})
ORDER BY used DESC, scope, owner, tenant, period
LIMIT 500

-- name: choices
SELECT {budget_title} AS budget
FROM budgets
WHERE valid_from <= $__toTime
GROUP BY budget, scope, name, tenant_id, period
HAVING argMax(amount_usd, valid_from) > 0
ORDER BY scope = 'total' DESC, scope, name, tenant_id, period
LIMIT 1000

-- name: burn
-- The running period of the chosen budget: what is spent so far, hour by hour, and what even spending would be.
WITH
  toTimeZone($__toTime, 'UTC') AS until,
  (
    SELECT (any(scope), any(name), any(tenant_id), any(period), toFloat64(argMax(amount_usd, valid_from)))
    FROM budgets
    WHERE valid_from <= until AND {chosen_budget}
  ) AS chosen,
  multiIf(
    chosen.4 = 'day', toStartOfDay(until),
    chosen.4 = 'week', toDateTime(toMonday(until), 'UTC'),
    toDateTime(toStartOfMonth(until), 'UTC')) AS begun,
  multiIf(chosen.4 = 'day', begun + INTERVAL 1 DAY, chosen.4 = 'week', begun + INTERVAL 7 DAY, begun + INTERVAL 1 MONTH) AS over
SELECT
  least(hour + INTERVAL 1 HOUR, until) AS time,
  sum(sum(dollars)) OVER (ORDER BY hour) AS spent,
  chosen.5 * dateDiff('second', begun, time) / dateDiff('second', begun, over) AS even_pace,
  chosen.5 AS amount
FROM (
  SELECT begun + toIntervalHour(number) AS hour, 0. AS dollars
  FROM numbers(toUInt64(dateDiff('hour', begun, until) + 1))
  UNION ALL
  SELECT hour, toFloat64(coalesce(cost_usd, 0)) AS dollars
  FROM hourly
  WHERE hour >= begun AND hour < until
    AND (chosen.3 = '' OR tenant_id = chosen.3)
    AND (chosen.1 = 'total' OR (chosen.1 = 'agent' AND agent_id = chosen.2) OR (chosen.1 = 'model' AND model = chosen.2))
  UNION ALL
  SELECT hour, toFloat64(coalesce(cost_usd, 0)) AS dollars
  FROM hourly_customer
  WHERE hour >= begun AND hour < until
    AND (chosen.3 = '' OR tenant_id = chosen.3)
    AND ((chosen.1 = 'customer' AND customer_id = chosen.2) OR (chosen.1 = 'team' AND team = chosen.2)))
WHERE chosen.5 > 0 AND hour < until
GROUP BY hour
ORDER BY hour

-- name: unbudgeted
SELECT
  agent_id AS agent,
  sum(cost_usd) AS spend,
  sum(calls) AS made,
  max(toFloat64(coalesce(cost_usd, 0))) AS dearest_hour,
  min(hour) AS first_hour
FROM hourly
WHERE {hours}
  AND agent_id NOT IN (SELECT name FROM budgets WHERE scope = 'agent' AND valid_from <= $__toTime AND amount_usd > 0)
GROUP BY agent
ORDER BY spend DESC NULLS LAST, agent
LIMIT 200
