-- The days that each table with a TTL keeps its rows.
SELECT name, toUInt16OrZero(extract(create_table_query, 'toIntervalDay\\((\\d+)\\)'))
FROM system.tables
WHERE database = currentDatabase() AND name IN ('llm_costs', 'llm_costs_hourly', 'llm_costs_hourly_customer')
