-- Traces of a person's rows that the spool may still hold, ingested since {since}, milliseconds since 1970.
SELECT DISTINCT trace_id
FROM llm_costs
WHERE {column:Identifier} IN {names:Array(String)}
  AND ({any_tenant:UInt8} OR tenant_id IN {tenants:Array(String)})
  AND ingested_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')
