-- How many tombstones, and rows in all, what is noted has in the store.
SELECT countIf(is_deleted), count()
FROM llm_costs
WHERE (trace_id, span_id) IN (SELECT trace_id, span_id FROM forgetting WHERE kind = 'span')
   OR (trace_id, span_id, version) IN (SELECT trace_id, span_id, version FROM forgetting WHERE kind = 'row')
