-- Parts with rows that are still on disk though newer ones took their place by {erased}, seconds since 1970.
SELECT count()
FROM system.parts
WHERE database = currentDatabase() AND NOT active AND rows > 0 AND toUnixTimestamp(remove_time) <= {erased:UInt32}
  AND table IN ('llm_costs', 'llm_costs_hourly_customer', 'llm_budgets', 'forgetting')
