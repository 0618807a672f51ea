-- The UTC days with rows of a person, dead or alive, and how many. A row counts if it was booked or started by {until},
-- microseconds since 1970.
SELECT toDate(timestamp) AS day, count()
FROM llm_costs
WHERE {column:Identifier} IN {names:Array(String)}
  AND ({any_tenant:UInt8} OR tenant_id IN {tenants:Array(String)})
  AND (timestamp <= fromUnixTimestamp64Micro({until:Int64}, 'UTC') OR ingested_at <= fromUnixTimestamp64Micro({until:Int64}, 'UTC'))
GROUP BY day
ORDER BY day
