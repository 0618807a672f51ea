-- What each instrumentation leaves out, over the last week: one row per scope and service.
SELECT
    scope_name AS scope,
    service_name AS service,
    count() AS calls,
    countIf(cost_status = 'no_usage') AS no_usage,
    countIf(cost_status = 'no_usage' AND is_streaming) AS no_usage_streams,
    countIf(cost_status IN ('suspect_usage', 'bad_usage')) AS doubtful_usage,
    countIf(cost_status = 'unpriced_model' AND request_model = '' AND response_model = '') AS no_model,
    countIf(agent_source IN ('resource', 'none')) AS no_agent,
    countIf(sampling_probability < 1) AS sampled,
    countIf(ingested_at + INTERVAL 5 SECOND < timestamp) AS ahead_of_us
FROM calls
WHERE timestamp >= now64(6, 'UTC') - INTERVAL 7 DAY
GROUP BY scope, service
ORDER BY calls DESC
LIMIT 50
