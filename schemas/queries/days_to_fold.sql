SELECT DISTINCT toDate(timestamp) AS day
FROM llm_costs
WHERE agent_partition != '' AND toDate(timestamp) < {before:Date}
ORDER BY day
