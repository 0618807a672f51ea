-- name: unknown
{shared:unknown}

-- name: without_usage
SELECT countIf(input_tokens IS NULL AND output_tokens IS NULL AND cost_status != 'not_billed') / nullIf(count(), 0) AS share
FROM calls
WHERE {stamps}
  AND {picked}

-- name: suspect
SELECT countIf(cost_status IN ('suspect_usage', 'bad_usage')) / nullIf(count(), 0) AS share
FROM calls
WHERE {stamps}
  AND {picked}

-- name: without_agent
SELECT countIf(agent_source IN ('resource', 'none')) / nullIf(count(), 0) AS share
FROM calls
WHERE {stamps}
  AND {picked}

-- name: without_customer
SELECT countIf(customer_id = '') / nullIf(count(), 0) AS share
FROM calls
WHERE {stamps}
  AND {picked}

-- name: sampled
SELECT countIf(sampling_probability < 1) / nullIf(count(), 0) AS share
FROM calls
WHERE {stamps}
  AND {picked}

-- name: statuses
SELECT {stamp_bar} AS time, cost_status AS series, count() AS made
FROM calls
WHERE {stamps}
  AND {picked}
GROUP BY time, series
ORDER BY time, series

-- name: sources
SELECT {stamp_bar} AS time, agent_source AS series, count() AS made
FROM calls
WHERE {stamps}
  AND {picked}
GROUP BY time, series
ORDER BY time, series

-- name: unpriced
SELECT
  {shown:provider} AS vendor,
  multiIf(model != '', toString(model), response_model != '', toString(response_model), request_model != '', toString(request_model), '(none)') AS name,
  toString(cost_status) AS why,
  count() AS made,
  sum(input_tokens) AS tokens_in,
  sum(output_tokens) AS tokens_out,
  uniqExact(agent_id) AS agents,
  min(timestamp) AS first_seen,
  max(timestamp) AS last_seen
FROM calls
WHERE {stamps}
  AND {picked}
  AND (cost_status IN ('unpriced_model', 'partial') OR (cost_usd IS NULL AND cost_status != 'not_billed'))
GROUP BY vendor, name, why
ORDER BY made DESC, vendor, name, why
LIMIT 200

-- name: libraries
SELECT
  {shown:scope_name} AS library,
  {shown:scope_version} AS release,
  {shown:dialect} AS family,
  {shown:usage_convention} AS convention,
  count() AS made,
  countIf(input_tokens IS NULL AND output_tokens IS NULL AND cost_status != 'not_billed') / made AS without_usage,
  countIf(cost_status IN ('suspect_usage', 'bad_usage')) / made AS suspect,
  countIf(cost_status = 'unpriced_model') / made AS unpriced,
  countIf(agent_source IN ('resource', 'none')) / made AS without_agent,
  countIf(length(absorbed_spans) > 0) / made AS merged,
  max(timestamp) AS last_seen
FROM calls
WHERE {stamps}
  AND {picked}
GROUP BY library, release, family, convention
ORDER BY made DESC, library, release, family, convention
LIMIT 200

-- name: reported
-- Calls for which a sender stated a cost and the price book knows one, too.
SELECT
  family, vendor, name,
  count() AS made,
  sum(stated) AS reported,
  sum(ours) AS computed,
  toFloat64(reported) / nullIf(toFloat64(computed), 0) - 1 AS difference,
  countIf(abs(toFloat64(stated) - toFloat64(ours)) > 0.05 * greatest(toFloat64(stated), toFloat64(ours))) AS apart
FROM (
  SELECT
    {shown:dialect} AS family,
    {shown:provider} AS vendor,
    {shown:model} AS name,
    reported_cost_usd AS stated,
    if(cost_status = 'reported', list_cost_usd, cost_usd) AS ours
  FROM calls
  WHERE {stamps}
    AND {picked}
    AND reported_cost_usd IS NOT NULL)
WHERE ours IS NOT NULL
GROUP BY family, vendor, name
ORDER BY apart DESC, made DESC, family, vendor, name
LIMIT 100

-- name: sampling
-- A row of a sampled span stands for 1/p calls; what they cost together is estimated here and nowhere else.
SELECT
  {shown:service_name} AS service,
  {shown:scope_name} AS library,
  count() AS made,
  avg(sampling_probability) AS probability,
  sum(1 / sampling_probability) AS stands_for,
  sum(cost_usd) AS spend,
  sum(toFloat64(cost_usd) / sampling_probability) AS estimate
FROM calls
WHERE {stamps}
  AND {picked}
  AND sampling_probability < 1 AND sampling_probability > 0
GROUP BY service, library
ORDER BY estimate DESC, service, library
LIMIT 100

-- name: late
-- How long after its end a call's row was written that stands now: a correction writes a new row.
SELECT
  {stamp_bar} AS time,
  countIf(delay >= 60 AND delay < 600) AS minutes,
  countIf(delay >= 600 AND delay < 3600) AS up_to_an_hour,
  countIf(delay >= 3600) AS hours
FROM (
  SELECT
    timestamp,
    dateDiff('second', timestamp + toIntervalNanosecond(duration_ns), ingested_at) AS delay
  FROM calls
  WHERE {stamps}
    AND {picked})
GROUP BY time
ORDER BY time
