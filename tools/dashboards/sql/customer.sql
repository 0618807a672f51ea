-- name: spend
SELECT sum(cost_usd) AS spend
FROM hourly_customer
WHERE {hours}
  AND {picked}

-- name: month
SELECT sum(cost_usd) AS spend
FROM hourly_customer
WHERE hour >= toStartOfMonth(toTimeZone($__toTime, 'UTC') - 1) AND hour < $__toTime
  AND {picked}

-- name: customers
SELECT uniqExactIf(customer_id, customer_id != '') AS customers
FROM hourly_customer
WHERE {hours}
  AND {picked}

-- name: unallocated
SELECT toFloat64(sumIf(cost_usd, customer_id = '')) / nullIf(toFloat64(sum(cost_usd)), 0) AS share
FROM hourly_customer
WHERE {hours}
  AND {picked}

-- name: per_success
SELECT toFloat64(sum(cost_usd)) / nullIf(sum(calls) - sum(errors), 0) AS cost
FROM hourly_customer
WHERE {hours}
  AND {picked}

-- name: by_customer
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
      {shown:customer_id} AS name,
      sum(cost_usd) AS spend,
      sum(sum(cost_usd)) OVER (PARTITION BY name) AS total
    FROM hourly_customer
    WHERE {hours}
      AND {picked}
    GROUP BY time, name))
GROUP BY time, rank, series
ORDER BY time, rank = '+', rank

-- name: by_team
SELECT {shown:team} AS name, sum(cost_usd) AS spend
FROM hourly_customer
WHERE {hours}
  AND {picked}
GROUP BY name
ORDER BY spend DESC NULLS LAST, name
LIMIT 12

-- name: chargeback
WITH
  {start} AS first_hour,
  {running} AS running_hour,
  first_hour - (running_hour - first_hour) AS before,
  toStartOfMonth(toTimeZone($__toTime, 'UTC') - 1) AS month
SELECT
  {shown:customer_id} AS customer,
  sumIf(cost_usd, hour >= first_hour) AS spend,
  toFloat64(spend) / nullIf(sum(toFloat64(spend)) OVER (), 0) AS share,
  toFloat64(sumIf(cost_usd, hour >= first_hour AND hour < running_hour))
    / nullIf(toFloat64(sumIf(cost_usd, hour >= before AND hour < first_hour)), 0) - 1 AS change,
  sumIf(cost_usd, hour >= month) AS month_to_date,
  sumIf(calls, hour >= first_hour) AS made,
  toFloat64(spend) / nullIf(made - sumIf(errors, hour >= first_hour), 0) AS per_success,
  sumIf(unpriced_calls, hour >= first_hour) AS unknown_cost,
  uniqExactIf(agent_id, hour >= first_hour) AS agents
FROM hourly_customer
WHERE hour >= least(before, toDateTime(month, 'UTC')) AND hour < $__toTime
  AND {picked}
GROUP BY customer_id
HAVING made > 0
ORDER BY spend DESC NULLS LAST, customer
LIMIT 500

-- name: matrix
SELECT
  {shown:team} AS squad,
  {shown:customer_id} AS customer,
  agent_id AS agent,
  sum(cost_usd) AS spend,
  toFloat64(spend) / nullIf(sum(toFloat64(spend)) OVER (PARTITION BY customer), 0) AS share,
  sum(calls) AS made
FROM hourly_customer
WHERE {hours}
  AND {picked}
GROUP BY team, customer_id, agent_id
ORDER BY spend DESC NULLS LAST, squad, customer, agent
LIMIT 500

-- name: statement
-- What goes on the bill: whole months, newest first, whatever range is selected.
SELECT
  formatDateTime(toStartOfMonth(hour), '%Y-%m') AS month,
  {shown:customer_id} AS customer,
  sum(cost_usd) AS spend,
  sum(calls) AS made,
  sum(input_tokens) AS tokens_in,
  sum(output_tokens) AS tokens_out,
  sum(unpriced_calls) AS unknown_cost
FROM hourly_customer
WHERE hour >= toStartOfMonth(toTimeZone($__toTime, 'UTC') - 1) - INTERVAL 12 MONTH AND hour < $__toTime
  AND {picked}
GROUP BY toStartOfMonth(hour), customer_id
ORDER BY month DESC, spend DESC NULLS LAST, customer
LIMIT 2000
