ALTER TABLE llm_costs DROP PARTITION ID {partition:String}
