-- Written anew without them; a lightweight delete would leave them in the files. Once for the whole table: naming
-- partitions would make the engine go through all parts for each of them.
ALTER TABLE llm_costs DELETE
WHERE (trace_id, span_id) IN (SELECT trace_id, span_id FROM forgetting WHERE kind = 'span')
   OR (trace_id, span_id, version) IN (SELECT trace_id, span_id, version FROM forgetting WHERE kind = 'row')
