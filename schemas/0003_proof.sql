-- What proves the amounts, and how they were moved: price lines, runs of reprice, and the views that say what is not
-- priced and where instrumentation reports another cost than the book.

-- Every price line that any row names in price_ids, as it was when first used: a line never changes, its id is a hash of
-- what it says.
CREATE TABLE IF NOT EXISTS price_lines
(
    price_id       String COMMENT 'what price_ids of calls name',
    layer          LowCardinality(String) COMMENT 'base, gapfill, history, operator, contract',
    provider       LowCardinality(String),
    model          LowCardinality(String) COMMENT 'exact or a glob',
    variant        LowCardinality(String) COMMENT 'what else must be true of the call: batch=true&region=eu',
    bucket         LowCardinality(String) COMMENT 'what is counted; * is all',
    tier_min       UInt64 COMMENT 'smallest total input of a request it applies to',
    unit_size      UInt64 COMMENT 'how many units the price is for',
    unit_price     Decimal(38, 18) COMMENT 'in currency; the multiplier of a factor',
    currency       LowCardinality(String),
    usd_rate       Decimal(38, 18) COMMENT 'US dollars for one unit of currency, as configured when first used',
    effective_from Nullable(DateTime64(6, 'UTC')) COMMENT 'NULL: always',
    effective_to   Nullable(DateTime64(6, 'UTC')) COMMENT 'exclusive; NULL: for ever',
    schedule       String COMMENT 'when within the week, UTC; empty is always',
    contract       String,
    source         String,
    confidence     LowCardinality(String),
    kind           LowCardinality(String) COMMENT 'price, factor, free, unknown',
    first_used     DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree
ORDER BY (price_id, usd_rate);

-- One row per run of reprice and moment it was noted at; read it with FINAL.
CREATE TABLE IF NOT EXISTS reprice_runs
(
    run_id        String,
    price_book    LowCardinality(String),
    range_from    DateTime64(6, 'UTC'),
    range_to      DateTime64(6, 'UTC') COMMENT 'exclusive',
    done_until    DateTime64(6, 'UTC') COMMENT 'calls before it have the amounts of the book',
    is_finished   Bool,
    calls         UInt64 COMMENT 'looked at',
    calls_changed UInt64 COMMENT 'given other amounts',
    noted_at      DateTime64(6, 'UTC')
)
ENGINE = ReplacingMergeTree(noted_at)
ORDER BY run_id;

-- What is being erased, while it is; empty at all other times. The statements that erase name this table instead of a
-- person: the engine keeps their text.
CREATE TABLE IF NOT EXISTS forgetting
(
    kind     LowCardinality(String) COMMENT 'span: every row of it; row: one version of it; hour: rollups to rebuild; name',
    trace_id String,
    span_id  String,
    version  UInt64,
    hour     UInt32 COMMENT 'seconds since 1970',
    name     String
)
ENGINE = MergeTree
ORDER BY (kind, trace_id, span_id)
SETTINGS old_parts_lifetime = 1;

-- What beside the model changed a price stands in attributes under spanledger.price.*, so that a row can be priced again.
CREATE OR REPLACE VIEW calls AS
SELECT * EXCEPT (agent_partition, is_deleted)
       REPLACE (mapFilter((name, value) -> NOT startsWith(name, 'spanledger.price.'), attributes) AS attributes)
FROM llm_costs FINAL;

CREATE OR REPLACE VIEW unpriced_models AS
SELECT
    provider,
    if(response_model != '', response_model, request_model) AS model,
    min(timestamp) AS first_seen,
    max(timestamp) AS last_seen,
    count() AS calls,
    sum(ifNull(input_tokens, 0) + ifNull(output_tokens, 0)) AS tokens
FROM calls
WHERE cost_status = 'unpriced_model'
GROUP BY provider, model;

-- Per UTC day: how much of what may have been billed has a price. A partial cost is a lower bound, so the sum is one.
CREATE OR REPLACE VIEW price_coverage AS
SELECT
    toDate(timestamp) AS day,
    countIf(cost_status != 'not_billed') AS calls,
    countIf(cost_usd IS NOT NULL AND cost_status != 'partial') AS priced_calls,
    countIf(cost_status = 'partial') AS partial_calls,
    sumIf(ifNull(input_tokens, 0) + ifNull(output_tokens, 0), cost_status != 'not_billed') AS tokens,
    sumIf(ifNull(input_tokens, 0) + ifNull(output_tokens, 0), cost_usd IS NOT NULL AND cost_status != 'partial') AS priced_tokens,
    if(calls = 0, NULL, toDecimal64(round(100 * priced_calls / calls, 2), 2)) AS calls_percent,
    if(tokens = 0, NULL, toDecimal64(round(100 * priced_tokens / tokens, 2), 2)) AS tokens_percent,
    sum(cost_usd) AS at_least_usd
FROM calls
GROUP BY day;

-- Where a span carries a cost and the book has one too. A call whose reported cost counts (cost_status reported) has no
-- second figure and is not here.
CREATE OR REPLACE VIEW reported_gap AS
SELECT
    toDate(timestamp) AS day,
    provider,
    model,
    scope_name,
    count() AS calls,
    countIf(abs(reported_cost_usd - cost_usd) > greatest(abs(cost_usd) / 1000, toDecimal64(0.000001, 12))) AS calls_apart,
    sum(cost_usd) AS computed_usd,
    sum(reported_cost_usd) AS reported_usd,
    reported_usd - computed_usd AS gap_usd,
    max(abs(reported_cost_usd - cost_usd)) AS largest_gap_usd
FROM calls
WHERE reported_cost_usd IS NOT NULL AND cost_usd IS NOT NULL AND cost_status != 'reported'
GROUP BY day, provider, model, scope_name;
