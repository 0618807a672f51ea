-- How many originals of a day have no copy that is as new: none, or nothing may be dropped.
SELECT count()
FROM
(
    SELECT agent_id, tenant_id, timestamp, trace_id, span_id, max(version) AS newest
    FROM llm_costs
    WHERE toDate(timestamp) = {day:Date} AND agent_partition != ''
    GROUP BY agent_id, tenant_id, timestamp, trace_id, span_id
)
WHERE (agent_id, tenant_id, timestamp, trace_id, span_id, newest) NOT IN
(
    SELECT agent_id, tenant_id, timestamp, trace_id, span_id, max(version)
    FROM llm_costs
    WHERE toDate(timestamp) = {day:Date} AND agent_partition = ''
    GROUP BY agent_id, tenant_id, timestamp, trace_id, span_id
)
