-- Keys of rows, dead or alive, that absorbed one of these spans (trace:span).
SELECT agent_id, tenant_id, timestamp, trace_id, span_id
FROM llm_costs
WHERE hasAny(absorbed_spans, {absorbed:Array(String)})
  AND timestamp BETWEEN fromUnixTimestamp64Micro({first:Int64}, 'UTC') AND fromUnixTimestamp64Micro({last:Int64}, 'UTC')
