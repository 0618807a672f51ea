-- Parts that newer ones took the place of leave the disk at once, not after eight minutes.
ALTER TABLE llm_costs MODIFY SETTING old_parts_lifetime = 1;
ALTER TABLE llm_costs_hourly_customer MODIFY SETTING old_parts_lifetime = 1;
ALTER TABLE llm_budgets MODIFY SETTING old_parts_lifetime = 1;
