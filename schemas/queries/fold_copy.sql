-- Physical rows, never FINAL: tombstones must come along. The inner query, because beside the REPLACE the filter would
-- see the replaced label and let nothing through.
INSERT INTO llm_costs
SELECT * REPLACE ('' AS agent_partition)
FROM (SELECT * FROM llm_costs WHERE toDate(timestamp) = {day:Date} AND agent_partition != '')
