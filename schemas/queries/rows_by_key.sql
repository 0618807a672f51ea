-- The newest version under each key, if it is no tombstone. By key, so that the sorting key finds the rows, and without
-- FINAL, so that a day that is being folded (the same rows under two labels) gives each row once.
SELECT {columns:Identifiers}
FROM
(
    SELECT {columns:Identifiers}, is_deleted
    FROM llm_costs
    WHERE agent_id IN {agents:Array(String)}
      AND timestamp IN (SELECT fromUnixTimestamp64Micro(arrayJoin({starts:Array(Int64)}), 'UTC'))
      AND trace_id IN {traces:Array(String)}
      AND span_id IN {spans:Array(String)}
      AND timestamp BETWEEN fromUnixTimestamp64Micro({first:Int64}, 'UTC') AND fromUnixTimestamp64Micro({last:Int64}, 'UTC')
    ORDER BY version DESC, is_deleted DESC
    LIMIT 1 BY agent_id, tenant_id, timestamp, trace_id, span_id
)
WHERE is_deleted = 0
