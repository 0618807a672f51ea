-- Physical rows of a person, dead or alive, by table, as far as they are of calls booked or begun by {until},
-- microseconds since 1970: hours with calls since then have rows of their own.
SELECT 'llm_costs' AS where, count() AS rows
FROM llm_costs
WHERE {column:Identifier} IN {names:Array(String)}
  AND ({any_tenant:UInt8} OR tenant_id IN {tenants:Array(String)})
  AND (timestamp <= fromUnixTimestamp64Micro({until:Int64}, 'UTC') OR ingested_at <= fromUnixTimestamp64Micro({until:Int64}, 'UTC'))
UNION ALL
SELECT 'llm_costs_hourly_customer', count()
FROM llm_costs_hourly_customer
WHERE {is_customer:UInt8} AND customer_id IN {names:Array(String)} AND ({any_tenant:UInt8} OR tenant_id IN {tenants:Array(String)})
  AND toUnixTimestamp(hour) NOT IN
  (
      SELECT toUnixTimestamp(toStartOfHour(timestamp))
      FROM llm_costs
      WHERE {column:Identifier} IN {names:Array(String)}
        AND timestamp > fromUnixTimestamp64Micro({until:Int64}, 'UTC')
        AND ingested_at > fromUnixTimestamp64Micro({until:Int64}, 'UTC')
  )
UNION ALL
SELECT 'llm_budgets', count()
FROM llm_budgets
WHERE {is_customer:UInt8} AND scope = 'customer' AND name IN {names:Array(String)}
  AND ({any_tenant:UInt8} OR tenant_id IN {tenants:Array(String)})
