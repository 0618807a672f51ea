ALTER TABLE llm_costs RESET SETTING old_parts_lifetime;
ALTER TABLE llm_costs_hourly_customer RESET SETTING old_parts_lifetime;
ALTER TABLE llm_budgets RESET SETTING old_parts_lifetime;
