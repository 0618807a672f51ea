SELECT (SELECT max(version) FROM llm_costs_hourly), (SELECT max(version) FROM llm_costs_hourly_customer)
