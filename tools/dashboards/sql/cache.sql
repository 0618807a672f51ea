-- name: hit_share
{shared:cache_share}

-- name: saved
-- What reading from caches saved against the full input price, less what writing to them cost more.
SELECT sum(cache_savings_usd) AS saved
FROM calls
WHERE {stamps}
  AND {picked}

-- name: read_cost
SELECT sum(cache_read_cost_usd) AS spend
FROM hourly
WHERE {hours}
  AND {picked}

-- name: write_cost
SELECT sum(cache_write_cost_usd) AS spend
FROM hourly
WHERE {hours}
  AND {picked}

-- name: reads_per_write
SELECT sum(cache_read_tokens) / nullIf(sum(cache_write_5m_tokens) + sum(cache_write_1h_tokens), 0) AS reads
FROM hourly
WHERE {hours}
  AND {picked}

-- name: hits
WITH (
  SELECT groupArray(agent_id) FROM (
    SELECT agent_id FROM hourly
    WHERE {hours}
      AND {picked}
    GROUP BY agent_id ORDER BY sum(input_tokens) DESC NULLS LAST, agent_id LIMIT 7)
) AS top
SELECT
  {bar} AS time,
  toString(indexOf(top, agent_id) AS place) AS rank,
  agent_id AS series,
  sum(cache_read_tokens) / nullIf(sum(input_tokens), 0) AS share
FROM hourly
WHERE {hours}
  AND {picked}
GROUP BY time, rank, series
HAVING rank != '0'
ORDER BY time, rank

-- name: tokens
SELECT
  {bar} AS time,
  sum(input_tokens) - cache_read - cache_written AS fresh,
  sum(cache_read_tokens) AS cache_read,
  sum(cache_write_5m_tokens) + sum(cache_write_1h_tokens) AS cache_written
FROM hourly
WHERE {hours}
  AND {picked}
GROUP BY time
ORDER BY time

-- name: savings
SELECT {stamp_bar} AS time, sum(cache_savings_usd) AS saved
FROM calls
WHERE {stamps}
  AND {picked}
GROUP BY time
ORDER BY time

-- name: agents
SELECT
  agent_id AS agent,
  {shown:model} AS name,
  sum(input_tokens) AS tokens,
  sum(cache_read_tokens) AS cache_read,
  sum(cache_write_5m_tokens) + sum(cache_write_1h_tokens) AS cache_written,
  cache_read / nullIf(tokens, 0) AS share,
  cache_read / nullIf(cache_written, 0) AS reads_per_write,
  sum(cache_read_cost_usd) AS read_cost,
  sum(cache_write_cost_usd) AS write_cost,
  sum(cost_usd) AS spend,
  sum(cache_savings_usd) AS saved
FROM calls
WHERE {stamps}
  AND {picked}
GROUP BY agent, name
ORDER BY spend DESC NULLS LAST, agent, name
LIMIT 200
