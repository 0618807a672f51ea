-- name: by_model
{shared:by_model}

-- name: models
WITH
  {start} AS first_hour,
  {running} AS running_hour,
  first_hour - (running_hour - first_hour) AS before
SELECT
  {shown:model} AS name,
  min(provider) AS vendor,
  sumIf(cost_usd, hour >= first_hour) AS spend,
  toFloat64(spend) / nullIf(sum(toFloat64(spend)) OVER (), 0) AS share,
  toFloat64(sumIf(cost_usd, hour >= first_hour AND hour < running_hour))
    / nullIf(toFloat64(sumIf(cost_usd, hour < first_hour)), 0) - 1 AS change,
  sumIf(calls, hour >= first_hour) AS made,
  uniqExactIf(agent_id, hour >= first_hour) AS agents,
  sumIf(errors, hour >= first_hour) / nullIf(made, 0) AS failed_share,
  sumIf(unpriced_calls, hour >= first_hour) AS unknown_cost,
  toFloat64(spend) / nullIf(made, 0) AS per_call,
  1e6 * toFloat64(spend) / nullIf(sumIf(input_tokens, hour >= first_hour) + sumIf(output_tokens, hour >= first_hour), 0) AS per_million
FROM hourly
WHERE hour >= before AND hour < $__toTime
  AND {picked}
GROUP BY name
HAVING made > 0
ORDER BY spend DESC NULLS LAST, name
LIMIT 200

-- name: per_million
WITH (
  SELECT groupArray(name) FROM (
    SELECT {shown:model} AS name FROM hourly
    WHERE {hours}
      AND {picked}
    GROUP BY name ORDER BY sum(cost_usd) DESC NULLS LAST, name LIMIT 7)
) AS top
SELECT
  {bar} AS time,
  toString(indexOf(top, {shown:model}) AS place) AS rank,
  {shown:model} AS series,
  1e6 * toFloat64(sum(cost_usd)) / nullIf(sum(input_tokens) + sum(output_tokens), 0) AS dollars
FROM hourly
WHERE {hours}
  AND {picked}
GROUP BY time, rank, series
HAVING rank != '0'
ORDER BY time, rank

-- name: users
SELECT
  agent_id AS agent,
  {shown:model} AS name,
  sum(cost_usd) AS spend,
  sum(calls) AS made,
  toFloat64(spend) / nullIf(made, 0) AS per_call,
  min(hour) AS first_hour,
  max(hour) AS last_hour
FROM hourly
WHERE {hours}
  AND {picked}
GROUP BY agent, name
ORDER BY spend DESC NULLS LAST, agent, name
LIMIT 200

-- name: failed
WITH (
  SELECT groupArray(name) FROM (
    SELECT {shown:model} AS name FROM hourly
    WHERE {hours}
      AND {picked}
    GROUP BY name ORDER BY sum(errors) DESC, sum(cost_usd) DESC NULLS LAST, name LIMIT 7)
) AS top
SELECT
  {bar} AS time,
  toString(indexOf(top, {shown:model}) AS place) AS rank,
  {shown:model} AS series,
  sum(errors) / sum(calls) AS failed
FROM hourly
WHERE {hours}
  AND {picked}
GROUP BY time, rank, series
HAVING rank != '0'
ORDER BY time, rank

-- name: latency
WITH (
  SELECT groupArray(name) FROM (
    SELECT {shown:model} AS name FROM hourly
    WHERE {hours}
      AND {picked}
    GROUP BY name ORDER BY sum(cost_usd) DESC NULLS LAST, name LIMIT 7)
) AS top
SELECT
  {stamp_bar} AS time,
  toString(indexOf(top, {shown:model}) AS place) AS rank,
  {shown:model} AS series,
  quantile(0.95)(duration_ns) / 1e9 AS seconds
FROM calls
WHERE {stamps}
  AND {picked}
GROUP BY time, rank, series
HAVING rank != '0'
ORDER BY time, rank

-- name: wasted
SELECT
  {shown:model} AS name,
  countIf(status = 'error') AS failed,
  sumIf(cost_usd, status = 'error') AS wasted,
  toFloat64(wasted) / nullIf(toFloat64(sum(cost_usd)), 0) AS share,
  countIf(status = 'error' AND cost_usd IS NULL AND cost_status != 'not_billed') AS unknown_cost
FROM calls
WHERE {stamps}
  AND {picked}
GROUP BY name
HAVING failed > 0
ORDER BY wasted DESC NULLS LAST, failed DESC, name
LIMIT 50

-- name: what_if
-- The same tokens at the rates the chosen model really cost here in the last 30 days. Hours with a call of unknown cost
-- are left out on both sides. Where it never cached, cached tokens are taken at its full rate.
WITH rates AS (
  SELECT
    toFloat64(sum(input_cost_usd))
      / nullIf(sum(input_tokens) - sum(cache_read_tokens) - sum(cache_write_5m_tokens) - sum(cache_write_1h_tokens), 0) AS fresh,
    coalesce(toFloat64(sum(cache_read_cost_usd)) / nullIf(sum(cache_read_tokens), 0), fresh) AS reading,
    coalesce(
      toFloat64(sum(cache_write_cost_usd)) / nullIf(sum(cache_write_5m_tokens) + sum(cache_write_1h_tokens), 0), fresh
    ) AS writing,
    toFloat64(sum(output_cost_usd)) / nullIf(sum(output_tokens), 0) AS answering
  FROM hourly
  WHERE hour >= {end} - INTERVAL 30 DAY AND hour < $__toTime
    AND unpriced_calls = 0
    AND model = decodeURLComponent(splitByChar('=', '${what_if:queryparam}')[2]))
SELECT
  agent, name, made, spend,
  fresh * rates.fresh + cached * rates.reading + written * rates.writing + answered * rates.answering AS estimate,
  estimate - toFloat64(spend) AS difference
FROM (
  SELECT
    agent_id AS agent,
    {shown:model} AS name,
    sum(calls) AS made,
    sum(cost_usd) AS spend,
    sum(cache_read_tokens) AS cached,
    sum(cache_write_5m_tokens) + sum(cache_write_1h_tokens) AS written,
    sum(input_tokens) - cached - written AS fresh,
    sum(output_tokens) AS answered
  FROM hourly
  WHERE {hours}
    AND {picked}
    AND unpriced_calls = 0
  GROUP BY agent, name) AS used
CROSS JOIN rates
WHERE spend > 0 AND estimate IS NOT NULL
ORDER BY difference, agent, name
LIMIT 100

-- name: what_if_models
SELECT model
FROM hourly
WHERE {hours}
  AND model != ''
GROUP BY model
HAVING sum(cost_usd) > 0
ORDER BY sum(cost_usd) / sum(calls), model
LIMIT 200

-- name: price_books
SELECT min(timestamp) AS time, concat('price book ', price_book) AS text
FROM calls
WHERE {stamps}
  AND price_book != ''
  AND price_book NOT IN (
    SELECT price_book FROM calls
    WHERE timestamp >= {start} - INTERVAL 1 DAY AND timestamp < {start})
GROUP BY price_book
ORDER BY time
LIMIT 20
