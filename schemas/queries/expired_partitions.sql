SELECT DISTINCT _partition_id FROM llm_costs WHERE toDate(timestamp) < {before:Date}
