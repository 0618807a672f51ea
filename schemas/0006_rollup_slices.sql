-- An hour that is not over is rolled up minute by minute, so that an insert makes only the minutes it touched be read
-- again, however busy the hour was before. An hour that is long over is one row per group again. The views add up.
ALTER TABLE llm_costs_hourly
    ADD COLUMN IF NOT EXISTS slice UInt8 COMMENT '0: the whole hour; else its minute, from 1' AFTER environment,
    MODIFY ORDER BY (hour, tenant_id, agent_id, service_name, provider, model, environment, slice);

ALTER TABLE llm_costs_hourly_customer
    ADD COLUMN IF NOT EXISTS slice UInt8 COMMENT '0: the whole hour; else its minute, from 1' AFTER agent_id,
    MODIFY ORDER BY (hour, tenant_id, team, customer_id, agent_id, slice);

ALTER TABLE rollup_changes
    ADD COLUMN IF NOT EXISTS slice UInt8 AFTER customer_id;

CREATE OR REPLACE VIEW hourly AS
SELECT
    hour, tenant_id, agent_id, service_name, provider, model, environment,
    sum(slices.calls) AS calls,
    sum(slices.errors) AS errors,
    sum(slices.unpriced_calls) AS unpriced_calls,
    sum(slices.input_tokens) AS input_tokens,
    sum(slices.output_tokens) AS output_tokens,
    sum(slices.cache_read_tokens) AS cache_read_tokens,
    sum(slices.cache_write_5m_tokens) AS cache_write_5m_tokens,
    sum(slices.cache_write_1h_tokens) AS cache_write_1h_tokens,
    sum(slices.reasoning_tokens) AS reasoning_tokens,
    sum(slices.audio_input_tokens) AS audio_input_tokens,
    sum(slices.audio_output_tokens) AS audio_output_tokens,
    sum(slices.cost_usd) AS cost_usd,
    sum(slices.input_cost_usd) AS input_cost_usd,
    sum(slices.output_cost_usd) AS output_cost_usd,
    sum(slices.cache_read_cost_usd) AS cache_read_cost_usd,
    sum(slices.cache_write_cost_usd) AS cache_write_cost_usd,
    sum(slices.other_cost_usd) AS other_cost_usd,
    sum(slices.list_cost_usd) AS list_cost_usd,
    sum(slices.estimated_cost_usd) AS estimated_cost_usd,
    sum(slices.reported_cost_usd) AS reported_cost_usd
FROM llm_costs_hourly AS slices FINAL
GROUP BY hour, tenant_id, agent_id, service_name, provider, model, environment;

CREATE OR REPLACE VIEW hourly_customer AS
SELECT
    hour, tenant_id, team, customer_id, agent_id,
    sum(slices.calls) AS calls,
    sum(slices.errors) AS errors,
    sum(slices.unpriced_calls) AS unpriced_calls,
    sum(slices.input_tokens) AS input_tokens,
    sum(slices.output_tokens) AS output_tokens,
    sum(slices.cache_read_tokens) AS cache_read_tokens,
    sum(slices.cache_write_5m_tokens) AS cache_write_5m_tokens,
    sum(slices.cache_write_1h_tokens) AS cache_write_1h_tokens,
    sum(slices.reasoning_tokens) AS reasoning_tokens,
    sum(slices.audio_input_tokens) AS audio_input_tokens,
    sum(slices.audio_output_tokens) AS audio_output_tokens,
    sum(slices.cost_usd) AS cost_usd,
    sum(slices.input_cost_usd) AS input_cost_usd,
    sum(slices.output_cost_usd) AS output_cost_usd,
    sum(slices.cache_read_cost_usd) AS cache_read_cost_usd,
    sum(slices.cache_write_cost_usd) AS cache_write_cost_usd,
    sum(slices.other_cost_usd) AS other_cost_usd,
    sum(slices.list_cost_usd) AS list_cost_usd,
    sum(slices.estimated_cost_usd) AS estimated_cost_usd,
    sum(slices.reported_cost_usd) AS reported_cost_usd
FROM llm_costs_hourly_customer AS slices FINAL
GROUP BY hour, tenant_id, team, customer_id, agent_id;
