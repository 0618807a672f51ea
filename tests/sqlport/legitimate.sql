-- SQL that people and their tools send and that must run.

-- == what FinOps people ask
SELECT count() FROM calls
SELECT agent_id, sum(cost_usd) AS spend FROM calls GROUP BY agent_id ORDER BY spend DESC LIMIT 10
SELECT toStartOfHour(timestamp) AS hour, agent_id, sum(cost_usd) FROM calls GROUP BY ALL ORDER BY hour, agent_id
SELECT hour, sum(cost_usd) FROM hourly GROUP BY hour ORDER BY hour
SELECT customer_id, sum(cost_usd) FROM hourly_customer GROUP BY customer_id
SELECT * FROM calls WHERE cost_status = 'unpriced_model' LIMIT 5
SELECT * FROM spanledger.calls LIMIT 1
SELECT agent_id, sum(cost_usd) / nullIf(sum(sum(cost_usd)) OVER (), 0) AS share FROM calls GROUP BY agent_id
SELECT agent_id, timestamp, sum(cost_usd) OVER (PARTITION BY agent_id ORDER BY timestamp ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS running FROM calls
SELECT agent_id, row_number() OVER w, lagInFrame(cost_usd) OVER w FROM calls WINDOW w AS (PARTITION BY agent_id ORDER BY timestamp)
WITH toDate(now()) AS today, daily AS (SELECT toDate(timestamp) AS day, sum(cost_usd) AS spend FROM calls GROUP BY day) SELECT day, spend FROM daily WHERE day <= today
SELECT quantiles(0.5, 0.95)(toFloat64(cost_usd)), topKWeighted(1)(model, toUInt64(ifNull(cost_usd, 0) * 1e9)) FROM calls
SELECT sumIf(cost_usd, status = 'error'), countIf(cost_usd IS NULL), uniqExact(agent_id), countDistinct(model) FROM calls
SELECT sum(cost_usd) FILTER (WHERE model = 'gpt-5') FROM calls
SELECT argMax(model, timestamp), any(provider), anyLast(agent_name), groupUniqArray(3)(model) FROM calls
SELECT arrayJoin(price_ids) AS line, count() FROM calls GROUP BY line
SELECT line, count() FROM calls ARRAY JOIN price_ids AS line GROUP BY line
SELECT units['images'], mapKeys(units), attributes['app.tenant'] FROM calls LIMIT 3
SELECT cost_usd::Float64, CAST(input_tokens AS Nullable(Int32)), toDecimal64('1.5', 3) FROM calls WHERE cost_usd IS NOT NULL LIMIT 1
SELECT a.agent_id FROM calls AS a INNER JOIN (SELECT agent_id, max(cost_usd) AS top FROM calls GROUP BY agent_id) AS b ON a.agent_id = b.agent_id AND a.cost_usd = b.top
SELECT count() FROM calls WHERE agent_id IN (SELECT agent_id FROM hourly WHERE errors > 0)
WITH dear AS (SELECT agent_id FROM calls WHERE cost_usd > 1) SELECT count() FROM calls WHERE agent_id IN dear
WITH ('coder', 'planner') AS ours SELECT count() FROM calls WHERE agent_id IN ours
SELECT count() FROM calls WHERE agent_id IN ('coder', 'planner') AND model NOT IN ('x') AND has(['a'], agent_id)
SELECT toStartOfDay(timestamp, 'Europe/Berlin') AS day, sum(cost_usd) FROM calls GROUP BY day WITH TOTALS
SELECT toStartOfHour(timestamp) AS hour, count() AS n FROM calls GROUP BY hour ORDER BY hour WITH FILL STEP 3600
SELECT toStartOfInterval(timestamp, INTERVAL 5 MINUTE) AS t, count() FROM calls GROUP BY t ORDER BY t WITH FILL STEP toIntervalMinute(5) INTERPOLATE
SELECT model, agent_id, sum(cost_usd) FROM calls GROUP BY GROUPING SETS ((model), (agent_id), ())
SELECT agent_id, cost_usd FROM calls ORDER BY cost_usd DESC NULLS LAST LIMIT 2 BY agent_id
SELECT * EXCEPT (attributes, units) FROM calls LIMIT 1
SELECT COLUMNS('_cost_usd$') APPLY(sum) FROM calls
SELECT * REPLACE (round(cost_usd, 2) AS cost_usd) FROM calls LIMIT 1
SELECT 1 AS x UNION ALL SELECT 2 UNION DISTINCT SELECT 3
SELECT number FROM numbers(5) INTERSECT SELECT number FROM numbers(3)
WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT sum(n) FROM t
SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS v
SELECT * FROM values('agent String, budget Decimal(18, 2)', ('coder', 10), ('planner', 20))
SELECT CASE WHEN cost_usd > 1 THEN 'dear' WHEN cost_usd IS NULL THEN 'unknown' ELSE 'cheap' END FROM calls LIMIT 1
SELECT EXISTS(SELECT 1 FROM calls WHERE status = 'error')
SELECT formatReadableQuantity(sum(input_tokens)), formatDateTime(now(), '%Y-%m'), dateDiff('day', min(timestamp), max(timestamp)) FROM calls
SELECT count() FROM calls WHERE agent_name ILIKE '%cod%' AND match(model, '^gpt') AND position(model, '5') > 0
SELECT JSONExtractString('{"a": "b"}', 'a'), toJSONString(map('a', 1)), splitByChar('/', model)[1] FROM calls LIMIT 1
SELECT * FROM llm_costs FINAL WHERE agent_id = 'coder' LIMIT 1
FROM calls SELECT agent_id LIMIT 1
SELECT DISTINCT ON (agent_id) agent_id, model FROM calls
SELECT agent_id FROM calls QUALIFY row_number() OVER (PARTITION BY agent_id ORDER BY timestamp) = 1
SELECT 'it''s; -- no comment', "agent_id" FROM calls LIMIT 1; -- a comment
/* grafana_dashboard: x */ SELECT 1 # another

-- == what Grafana's plugin sends
SELECT toStartOfInterval(toDateTime(timestamp), INTERVAL 60 second) AS time, agent_id AS series, sum(cost_usd) FROM calls WHERE timestamp >= toDateTime(1) AND timestamp <= toDateTime(4000000000) GROUP BY time, series ORDER BY time
SELECT agent_id FROM calls WHERE agent_id IN (SELECT decodeURLComponent(splitByChar('=', arrayJoin(splitByChar('&', 'var-agent=coder')))[2])) LIMIT 1
SELECT count() FROM calls WHERE timestamp >= fromUnixTimestamp64Milli(1000) AND timestamp <= fromUnixTimestamp64Milli(4000000000000)
SELECT count() FROM calls SETTINGS additional_table_filters = {'calls': ' agent_id = \'coder\' '}
SELECT name FROM system.databases ORDER BY name
SELECT name FROM system.tables WHERE database = 'spanledger'
SELECT name, type, table FROM system.columns WHERE database = 'spanledger' AND table = 'calls'
SHOW DATABASES
SHOW TABLES
SHOW TABLES FROM spanledger
DESC TABLE spanledger.calls
SELECT version()
SELECT timezone()
SELECT 1

-- == discovery by other tools
DESCRIBE calls
DESCRIBE TABLE calls SETTINGS describe_compact_output = 1
DESCRIBE (SELECT agent_id, sum(cost_usd) FROM calls GROUP BY 1)
DESCRIBE numbers(1)
EXISTS calls
EXISTS TABLE spanledger.calls
EXISTS VIEW calls
EXISTS DATABASE spanledger
SHOW CREATE TABLE calls
SHOW CREATE VIEW calls
SHOW COLUMNS FROM calls
SHOW FULL COLUMNS FROM calls FROM spanledger LIKE '%cost%'
SHOW INDEXES FROM llm_costs
SHOW FULL TABLES FROM spanledger LIKE 'h%'
SHOW SETTINGS LIKE 'max_th%'
SHOW SETTING max_threads
SHOW FUNCTIONS LIKE 'sum%'
SHOW ENGINES
SELECT * FROM system.tables WHERE database = 'spanledger'
SELECT t.name, tables.engine FROM system.tables AS t JOIN system.tables USING (name)
SELECT * FROM system.databases
SELECT * FROM system.settings WHERE changed
SELECT name, is_aggregate FROM system.functions LIMIT 5
SELECT * FROM system.one
SELECT table_name FROM information_schema.tables WHERE table_schema = 'spanledger'
SELECT column_name FROM INFORMATION_SCHEMA.COLUMNS WHERE table_name = 'calls'
SELECT currentDatabase(), currentUser(), hostName(), uptime() > 0
SELECT sum(rows) FROM system.parts WHERE active AND table = 'llm_costs'

-- == looking into queries
EXPLAIN SELECT count() FROM calls
EXPLAIN indexes = 1 SELECT count() FROM calls WHERE agent_id = 'coder'
EXPLAIN AST SELECT 1
EXPLAIN SYNTAX SELECT * FROM calls
EXPLAIN QUERY TREE SELECT count() FROM calls
EXPLAIN PIPELINE graph = 1 SELECT count() FROM calls
EXPLAIN ESTIMATE SELECT count() FROM llm_costs

-- == settings and formats in the text
SELECT count() FROM calls SETTINGS max_threads = 1, join_use_nulls = 1
SELECT count() FROM calls SETTINGS max_execution_time = 3600, max_memory_usage = 0
SELECT 1 SETTINGS readonly = 1
SELECT 1 FORMAT JSON
SELECT 1 SETTINGS max_threads = 1 FORMAT JSONEachRow
SELECT 1 FORMAT JSON SETTINGS output_format_json_quote_64bit_integers = 0
SELECT 1 FORMAT Null
SELECT * FROM (SELECT 1 SETTINGS max_threads = 1)
SHOW TABLES FORMAT JSONCompact
EXPLAIN SELECT 1 FORMAT TSVRaw
SET max_threads = 1
USE spanledger
USE default
