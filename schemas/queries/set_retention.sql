-- Only what is written or merged from now on follows at once; parts that have expired are dropped whole by the engine.
ALTER TABLE llm_costs MODIFY TTL toDateTime(timestamp) + toIntervalDay({retention_days:UInt16})
SETTINGS materialize_ttl_after_modify = 0;

ALTER TABLE llm_costs_hourly MODIFY TTL hour + toIntervalDay({rollup_retention_days:UInt16})
SETTINGS materialize_ttl_after_modify = 0;

ALTER TABLE llm_costs_hourly_customer MODIFY TTL hour + toIntervalDay({rollup_retention_days:UInt16})
SETTINGS materialize_ttl_after_modify = 0;
