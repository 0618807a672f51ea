-- name: calls
-- Thirty days of calls of sixty agents, eight models, two hundred customers; a few agents make most of them.
INSERT INTO llm_costs (
  timestamp, duration_ns, trace_id, span_id, agent_id, agent_source, service_name, environment, customer_id, team,
  workflow, feature, step, provider, operation, model, input_tokens, output_tokens, cache_read_tokens,
  cache_write_5m_tokens, cost_usd, input_cost_usd, output_cost_usd, cache_read_cost_usd, cache_write_cost_usd,
  other_cost_usd, list_cost_usd, cache_savings_usd, cost_status, status, error_type, scope_name, dialect, ingested_at,
  settles_at, version)
WITH
  number + {offset} AS n,
  cityHash64(n) AS h,
  toUInt32(60 * pow((h % 10007) / 10007, 2)) AS agent,
  (agent + h % 3) % 8 AS which,
  h % 50 = 0 AS broken
SELECT
  fromUnixTimestamp64Micro(toInt64({until} - (n * 2592000) / {calls}) * 1000000 + h % 1000000, 'UTC') AS at,
  (h % 8000) * 1000000, hex(cityHash64(intDiv(n, 4))), hex(h), concat('agent-', toString(agent)), 'ancestor',
  concat('service-', toString(agent % 12)), 'production', concat('customer-', toString(h % 200)),
  concat('team-', toString(agent % 6)), 'flow', concat('feature-', toString(h % 9)), concat('step-', toString(h % 4)),
  'openai', 'chat', concat('model-', toString(which)), 500 + h % 6000, 50 + h % 900, h % 400, h % 60,
  if(broken, NULL, toDecimal64((0.00002 + h % 997 / 40000) * (1 + which), 12)) AS cost,
  cost * 0.5, cost * 0.4, cost * 0.05, cost * 0.05, cost * 0, cost, cost * 0.1, if(broken, 'no_usage', 'priced'),
  if(h % 40 = 0, 'error', 'ok'), if(h % 40 = 0, 'timeout', ''), 'opentelemetry.instrumentation.openai', 'genai',
  at + INTERVAL 5 SECOND, at + INTERVAL 1 HOUR, toUInt64(toUnixTimestamp64Micro(at))
FROM numbers({rows})

-- name: densest
-- A day of every agent with every customer in every hour: as many rows as there can be, whatever the number of calls.
INSERT INTO llm_costs_hourly_customer (* EXCEPT (slice))
SELECT
  toDateTime({last} - 86400 * {day} - 3600 * hours.back, 'UTC') AS hour, customers.tenant_id, agents.team,
  customers.customer_id, agents.* EXCEPT (team), toUInt64(9000000000000000) AS version, 0 AS is_deleted
FROM (SELECT DISTINCT tenant_id, customer_id FROM hourly_customer) AS customers
CROSS JOIN (
  SELECT * EXCEPT (hour, tenant_id, customer_id) FROM hourly_customer ORDER BY calls DESC LIMIT 1 BY agent_id
) AS agents
CROSS JOIN (SELECT number AS back FROM numbers(24)) AS hours
