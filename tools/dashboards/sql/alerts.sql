-- What the alert rules watch. One number a row, everything else text: Grafana makes an alert instance of each row and
-- labels of its texts. Every row is returned, also those in order, so that instances resolve. Rules take no variables.

-- name: pace
-- Used part over elapsed part of the period, once a quarter is used: 30 % of a day's budget in two hours is 3.6.
WITH toTimeZone($__toTime, 'UTC') AS until
SELECT
  toString(scope) AS scope, toString(name) AS name, toString(period) AS period, toString(of_tenant) AS tenant,
  if(used < 0.25, 0, used / elapsed) AS pace
FROM (
  {shared:budget_use})

-- name: used
WITH toTimeZone($__toTime, 'UTC') AS until
SELECT
  toString(scope) AS scope, toString(name) AS name, toString(period) AS period, toString(of_tenant) AS tenant,
  used
FROM (
  {shared:budget_use})

-- name: spend_high
-- Three sigmas alone happen by chance to somebody every day. They count where there are calls enough to say so, and the
-- hour is twice the usual one and half above any such hour of any day in four weeks; or where the excess is worth a
-- dollar and a whole usual day.
SELECT
  toString(agent) AS agent,
  if((made >= 40 AND latest > 2 * usual AND latest > 1.5 * record) OR latest - usual > greatest(1, usual_day), sigmas, 0) AS deviation
FROM (
  {shared:unusual})
WHERE sigmas IS NOT NULL

-- name: spend_low
SELECT toString(agent) AS agent, sigmas AS deviation
FROM (
  {shared:unusual})
WHERE sigmas IS NOT NULL

-- name: model_mix
-- By how much the part of an agent's calls grew that goes to models costing more than twice its usual call; of the last
-- three hours or of the last day, against the seven days before. Needs twenty such calls, and fifty before.
WITH {running} AS running_hour
SELECT
  agent,
  if(calls_before < 50 OR dear_3h < 20 AND dear_24h < 20, 0,
    greatest(if(dear_3h < 20, 0, dear_3h / calls_3h), if(dear_24h < 20, 0, dear_24h / calls_24h))
    - dear_before / calls_before) AS shift
FROM (
  SELECT
    agent,
    sum(n_3h) AS calls_3h, sum(n_24h) AS calls_24h, sum(n_before) AS calls_before,
    sumIf(n_3h, is_dear) AS dear_3h, sumIf(n_24h, is_dear) AS dear_24h, sumIf(n_before, is_dear) AS dear_before
  FROM (
    SELECT
      agent, n_3h, n_24h, n_before,
      coalesce(usd_before / nullIf(n_before, 0), usd_24h / nullIf(n_24h, 0))
        > 2 * sum(usd_before) OVER (PARTITION BY agent) / nullIf(sum(n_before) OVER (PARTITION BY agent), 0) AS is_dear
    FROM (
      SELECT
        toString(agent_id) AS agent,
        model,
        sumIf(calls, hour >= running_hour - INTERVAL 2 HOUR) AS n_3h,
        sumIf(calls, hour >= running_hour - INTERVAL 23 HOUR) AS n_24h,
        sumIf(calls, hour < running_hour - INTERVAL 23 HOUR) AS n_before,
        toFloat64(coalesce(sumIf(cost_usd, hour >= running_hour - INTERVAL 23 HOUR), 0)) AS usd_24h,
        toFloat64(coalesce(sumIf(cost_usd, hour < running_hour - INTERVAL 23 HOUR), 0)) AS usd_before
      FROM hourly
      WHERE hour >= running_hour - INTERVAL 191 HOUR AND hour < $__toTime
      GROUP BY agent, model))
  GROUP BY agent)

-- name: per_success
-- Cost per success of the last six full hours over that of the seven days before; 0 unless it is also above every six
-- hours of them, and there are fifty calls now and before.
WITH {running} AS running_hour
SELECT
  agent,
  if(max(now_calls) < 50 OR sum(before_calls) < 50 OR max(now_each) <= max(before_each), 0,
    max(now_each) / nullIf(sum(before_usd) / greatest(sum(before_good), 1), 0)) AS ratio
FROM (
  SELECT
    agent,
    if(span = 0, n, 0) AS now_calls,
    if(span > 0, n, 0) AS before_calls,
    if(span = 0, usd / greatest(good, 1), 0) AS now_each,
    if(span > 0 AND n >= 20, usd / greatest(good, 1), 0) AS before_each,
    if(span > 0, usd, 0) AS before_usd,
    if(span > 0, good, 0) AS before_good
  FROM (
    SELECT
      toString(agent_id) AS agent,
      intDiv(dateDiff('hour', hour, running_hour) - 1, 6) AS span,
      sum(calls) AS n,
      toInt64(sum(calls)) - toInt64(sum(errors)) AS good,
      toFloat64(coalesce(sum(cost_usd), 0)) AS usd
    FROM hourly
    WHERE hour >= running_hour - INTERVAL 174 HOUR AND hour < running_hour
    GROUP BY agent, span))
GROUP BY agent
HAVING ratio IS NOT NULL

-- name: unpriced
SELECT
  {shown:provider} AS vendor,
  multiIf(model != '', toString(model), response_model != '', toString(response_model), request_model != '', toString(request_model), '(none)') AS model_name,
  countIf(cost_status IN ('unpriced_model', 'partial')) AS made
FROM calls
WHERE timestamp >= toTimeZone($__toTime, 'UTC') - INTERVAL 1 HOUR AND timestamp < $__toTime
GROUP BY vendor, model_name

-- name: without_usage
SELECT
  {shown:service_name} AS service,
  {shown:scope_name} AS scope,
  if(count() < 20, 0, countIf(cost_status IN ('no_usage', 'suspect_usage', 'bad_usage')) / count()) AS share
FROM calls
WHERE timestamp >= toTimeZone($__toTime, 'UTC') - INTERVAL 1 HOUR AND timestamp < $__toTime
GROUP BY service, scope

-- name: silence
SELECT dateDiff('second', max(ingested_at), toTimeZone($__toTime, 'UTC')) AS seconds
FROM calls
WHERE timestamp >= toTimeZone($__toTime, 'UTC') - INTERVAL 1 DAY AND timestamp <= $__toTime + INTERVAL 1 HOUR
  AND ingested_at <= $__toTime
HAVING count() > 0

-- name: delay
-- Rows that take their agent from an ancestor or a twin are written again when that comes, and would look late.
SELECT quantile(0.95)(dateDiff('millisecond', timestamp + toIntervalNanosecond(duration_ns), ingested_at)) / 1000 AS seconds
FROM calls
WHERE timestamp >= toTimeZone($__toTime, 'UTC') - INTERVAL 1 DAY AND timestamp <= $__toTime + INTERVAL 1 HOUR
  AND ingested_at >= $__toTime - INTERVAL 15 MINUTE AND ingested_at < $__toTime
  AND agent_source NOT IN ('ancestor', 'twin')
HAVING count() > 0
