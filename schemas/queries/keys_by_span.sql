-- Keys of rows, dead or alive, that are one of these spans. No FINAL: a filter beside the key could hide a tombstone.
SELECT agent_id, tenant_id, timestamp, trace_id, span_id
FROM llm_costs
WHERE trace_id IN {traces:Array(String)} AND span_id IN {spans:Array(String)}
  AND timestamp BETWEEN fromUnixTimestamp64Micro({first:Int64}, 'UTC') AND fromUnixTimestamp64Micro({last:Int64}, 'UTC')
