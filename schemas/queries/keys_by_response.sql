-- Keys of rows, dead or alive, that carry one of these response ids.
SELECT agent_id, tenant_id, timestamp, trace_id, span_id
FROM llm_costs
WHERE response_id IN {responses:Array(String)}
  AND timestamp BETWEEN fromUnixTimestamp64Micro({first:Int64}, 'UTC') AND fromUnixTimestamp64Micro({last:Int64}, 'UTC')
