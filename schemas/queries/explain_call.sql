-- The call that a span is, or that absorbed it.
SELECT
    trace_id, span_id, toString(timestamp) AS started, toString(timestamp + toIntervalNanosecond(duration_ns)) AS ended,
    agent_id, provider, request_model, response_model, model, service_tier,
    input_tokens, output_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens, reasoning_tokens,
    audio_input_tokens, audio_output_tokens, units, usage_convention,
    cost_usd, input_cost_usd, output_cost_usd, cache_read_cost_usd, cache_write_cost_usd, other_cost_usd, list_cost_usd,
    cache_savings_usd, estimated_cost_usd, reported_cost_usd, cost_status, price_ids, price_book,
    bitShiftRight(version, 52) AS generation
FROM calls
WHERE trace_id = {trace:String} AND (span_id = {span:String} OR has(absorbed_spans, concat({trace:String}, ':', {span:String})))
ORDER BY span_id = {span:String} DESC
LIMIT 1
