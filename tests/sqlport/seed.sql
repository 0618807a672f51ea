-- 300 calls of three agents and two tenants, one a minute, yesterday.
INSERT INTO llm_costs (timestamp, trace_id, span_id, agent_id, agent_partition, agent_name, tenant_id, model, provider,
    input_tokens, output_tokens, cost_usd, cost_status, price_ids, units, attributes, status, settles_at, version)
SELECT toDateTime64(yesterday(), 6, 'UTC') + INTERVAL number MINUTE, lower(hex(number)), lower(hex(number)),
    ['coder', 'planner', 'it''s'][number % 3 + 1] AS agent, agent, agent, ['acme', 'other'][number % 2 + 1],
    'gpt-5', 'openai', 100 + number, 10, if(number % 10 = 0, NULL, toDecimal64(number, 12) / 1000),
    if(number % 10 = 0, 'unpriced_model', 'priced'), ['line-1'], map('images', number), map('app.tenant', 'x'),
    'ok', now64(3, 'UTC'), 1
FROM numbers(300)
