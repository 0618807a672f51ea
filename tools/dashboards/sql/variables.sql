-- What the variables offer: values with something in the selected range, dearest first, so that the ones that matter
-- are inside the limit. Named by column.

-- name: tenant_id
SELECT {shown:tenant_id} AS tenant
FROM hourly WHERE {hours}
GROUP BY tenant ORDER BY sum(cost_usd) DESC NULLS LAST, tenant LIMIT 1000

-- name: environment
SELECT {shown:environment} AS name
FROM hourly WHERE {hours}
GROUP BY name ORDER BY sum(cost_usd) DESC NULLS LAST, name LIMIT 1000

-- name: agent_id
SELECT agent_id AS agent
FROM hourly WHERE {hours}
GROUP BY agent ORDER BY sum(cost_usd) DESC NULLS LAST, agent LIMIT 1000

-- name: model
SELECT {shown:model} AS name
FROM hourly WHERE {hours}
GROUP BY name ORDER BY sum(cost_usd) DESC NULLS LAST, name LIMIT 1000

-- name: team
SELECT {shown:team} AS name
FROM hourly_customer WHERE {hours}
GROUP BY name ORDER BY sum(cost_usd) DESC NULLS LAST, name LIMIT 1000

-- name: customer_id
SELECT {shown:customer_id} AS customer
FROM hourly_customer WHERE {hours}
GROUP BY customer ORDER BY sum(cost_usd) DESC NULLS LAST, customer LIMIT 1000
