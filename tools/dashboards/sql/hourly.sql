-- name: burn
-- What the last five minutes cost, times twelve.
SELECT 12 * sum(cost_usd) AS per_hour
FROM calls
WHERE timestamp >= $__toTime - INTERVAL 5 MINUTE AND timestamp < $__toTime
  AND {picked}

-- name: last_full_hour
SELECT sum(cost_usd) AS spend
FROM hourly
WHERE hour = {running} - INTERVAL 1 HOUR
  AND {picked}

-- name: against_yesterday
SELECT
  toFloat64(sumIf(cost_usd, hour = {running} - INTERVAL 1 HOUR))
  / nullIf(toFloat64(sumIf(cost_usd, hour = {running} - INTERVAL 25 HOUR)), 0) - 1 AS change
FROM hourly
WHERE hour IN ({running} - INTERVAL 1 HOUR, {running} - INTERVAL 25 HOUR)
  AND {picked}

-- name: today
SELECT sum(cost_usd) AS spend
FROM hourly
WHERE hour >= toStartOfDay(toTimeZone($__toTime, 'UTC') - 1) AND hour < $__toTime
  AND {picked}

-- name: calls_a_minute
SELECT count() / 5 AS made
FROM calls
WHERE timestamp >= $__toTime - INTERVAL 5 MINUTE AND timestamp < $__toTime
  AND {picked}

-- name: by_agent
{shared:by_agent}

-- name: hourly
SELECT hour AS time, sum(cost_usd) AS spend
FROM hourly
WHERE {hours}
  AND {picked}
GROUP BY time
ORDER BY time

-- name: day_before
SELECT hour + INTERVAL 1 DAY AS time, sum(cost_usd) AS day_before
FROM hourly
WHERE hour >= {start} - INTERVAL 1 DAY AND hour < $__toTime - INTERVAL 1 DAY
  AND {picked}
GROUP BY time
ORDER BY time

-- name: week_before
SELECT hour + INTERVAL 7 DAY AS time, sum(cost_usd) AS week_before
FROM hourly
WHERE hour >= {start} - INTERVAL 7 DAY AND hour < $__toTime - INTERVAL 7 DAY
  AND {picked}
GROUP BY time
ORDER BY time

-- name: minutes
-- The panel's own range is the last three hours.
WITH (
  SELECT groupArray(agent_id) FROM (
    SELECT agent_id FROM calls
    WHERE timestamp >= $__fromTime AND timestamp < $__toTime
      AND {picked}
    GROUP BY agent_id ORDER BY sum(cost_usd) DESC NULLS LAST, agent_id LIMIT 7)
) AS top
SELECT
  toStartOfMinute(toDateTime(timestamp, 'UTC')) AS time,
  if((indexOf(top, agent_id) AS place) = 0, '+', toString(place)) AS rank,
  if(place = 0, 'others', agent_id) AS series,
  sum(cost_usd) AS spend
FROM calls
WHERE timestamp >= $__fromTime AND timestamp < $__toTime
  AND {picked}
GROUP BY time, rank, series
ORDER BY time, rank = '+', rank

-- name: unusual
SELECT agent, latest, hour_before, day_before, usual, sigmas, made
FROM (
  {shared:unusual})
WHERE latest > 0 OR usual > 0
ORDER BY latest - coalesce(usual, 0) DESC, agent
LIMIT 100

-- name: week
-- What an hour of the week costs on average, over the days of the range that have a call.
WITH (
  SELECT mapFromArrays(groupArray(weekday), groupArray(days)) FROM (
    SELECT toDayOfWeek(hour) AS weekday, uniqExact(toDate(hour)) AS days
    FROM hourly
    WHERE {hours}
      AND {picked}
    GROUP BY weekday)
) AS days
SELECT
  toHour(hour) AS of_day,
  {days_of_week}
FROM hourly
WHERE {hours}
  AND {picked}
GROUP BY of_day
ORDER BY of_day WITH FILL FROM 0 TO 24

-- name: loops
SELECT
  trace_id AS trace,
  argMin(agent_id, (timestamp, span_id)) AS agent,
  count() AS made,
  sum(cost_usd) AS spend,
  min(timestamp) AS started,
  dateDiff('second', min(timestamp), max(timestamp)) AS seconds
FROM calls
WHERE {stamps}
  AND {picked}
GROUP BY trace
ORDER BY made DESC, spend DESC NULLS LAST, trace
LIMIT 50

-- name: first_uses
{shared:first_uses}

-- name: spend
{shared:spend}
