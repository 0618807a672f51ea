-- The store: one physical table of calls, its partition registry, two rollups, and the views that everybody reads.
-- Every statement can be run again: a migration that stopped half way is simply repeated.

-- Which agents own a partition on which day, and by which rule the others were spread. Sticky: the label is part of the
-- sorting key, so the same call under two labels would be two calls. Never expires: a few short rows a day.
CREATE TABLE IF NOT EXISTS agent_partitions
(
    day         Date,
    agent_id    String,
    label       String,
    assigned_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(assigned_at)
ORDER BY (day, agent_id);

CREATE TABLE IF NOT EXISTS partition_days
(
    day            Date,
    literal_agents UInt16 COMMENT 'how many agents of the day get a partition of their own',
    hash_buckets   UInt16 COMMENT 'over how many labels ~0, ~1, ... the others are spread; 0: all have the label empty string',
    assigned_at    DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC')
)
ENGINE = ReplacingMergeTree(assigned_at)
ORDER BY day;

-- Days whose partitions by agent are, or are being, folded into one.
CREATE TABLE IF NOT EXISTS folds
(
    day      Date,
    step     UInt8 COMMENT '1 copying, 2 dropping, 3 folded',
    noted_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC')
)
ENGINE = ReplacingMergeTree(noted_at)
ORDER BY day;

CREATE TABLE IF NOT EXISTS llm_costs
(
    timestamp             DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)) COMMENT 'start of the call',
    duration_ns           UInt64 CODEC(T64, ZSTD(1)),
    time_to_first_token_ns Nullable(UInt64) CODEC(T64, ZSTD(1)),

    trace_id              String CODEC(ZSTD(1)),
    span_id               String CODEC(ZSTD(1)),
    parent_span_id        String CODEC(ZSTD(1)),
    response_id           String CODEC(ZSTD(1)),

    agent_id              LowCardinality(String),
    agent_name            LowCardinality(String),
    agent_source          LowCardinality(String) COMMENT 'span, ancestor, twin, resource, rule, none',
    service_name          LowCardinality(String),
    environment           LowCardinality(String),
    tenant_id             LowCardinality(String),
    customer_id           LowCardinality(String),
    team                  LowCardinality(String),
    user_id               String CODEC(ZSTD(1)),
    session_id            String CODEC(ZSTD(1)),
    run_id                String CODEC(ZSTD(1)),
    workflow              LowCardinality(String),
    step                  LowCardinality(String),
    feature               LowCardinality(String),
    prompt_version        LowCardinality(String),

    provider              LowCardinality(String),
    operation             LowCardinality(String),
    request_model         LowCardinality(String),
    response_model        LowCardinality(String),
    model                 LowCardinality(String) COMMENT 'the model that was priced',
    service_tier          LowCardinality(String),
    is_streaming          Nullable(Bool),

    input_tokens          Nullable(UInt64) CODEC(T64, ZSTD(1)) COMMENT 'total, cached tokens included; NULL: the span did not say',
    output_tokens         Nullable(UInt64) CODEC(T64, ZSTD(1)) COMMENT 'total, reasoning included; NULL: the span did not say',
    cache_read_tokens     UInt64 CODEC(T64, ZSTD(1)),
    cache_write_5m_tokens UInt64 CODEC(T64, ZSTD(1)),
    cache_write_1h_tokens UInt64 CODEC(T64, ZSTD(1)),
    reasoning_tokens      UInt64 CODEC(T64, ZSTD(1)),
    audio_input_tokens    UInt64 CODEC(T64, ZSTD(1)),
    audio_output_tokens   UInt64 CODEC(T64, ZSTD(1)),
    units                 Map(LowCardinality(String), UInt64) COMMENT 'amounts that are not tokens of the columns above',
    usage_convention      LowCardinality(String),

    cost_usd              Nullable(Decimal(18, 12)) CODEC(ZSTD(1)) COMMENT 'sum of its five parts; NULL: unknown, cost_status says why',
    input_cost_usd        Nullable(Decimal(18, 12)) CODEC(ZSTD(1)),
    output_cost_usd       Nullable(Decimal(18, 12)) CODEC(ZSTD(1)),
    cache_read_cost_usd   Nullable(Decimal(18, 12)) CODEC(ZSTD(1)),
    cache_write_cost_usd  Nullable(Decimal(18, 12)) CODEC(ZSTD(1)),
    other_cost_usd        Nullable(Decimal(18, 12)) CODEC(ZSTD(1)),
    list_cost_usd         Nullable(Decimal(18, 12)) CODEC(ZSTD(1)),
    cache_savings_usd     Nullable(Decimal(18, 12)) CODEC(ZSTD(1)),
    estimated_cost_usd    Nullable(Decimal(18, 12)) CODEC(ZSTD(1)),
    reported_cost_usd     Nullable(Decimal(18, 12)) CODEC(ZSTD(1)),
    cost_status           LowCardinality(String) COMMENT 'priced, partial, free, reported, unpriced_model, no_usage, not_billed, suspect_usage, bad_usage',
    price_ids             Array(LowCardinality(String)) COMMENT 'the price lines that made the amounts',
    price_book            LowCardinality(String),

    status                LowCardinality(String) COMMENT 'ok, error',
    error_type            LowCardinality(String),
    finish_reason         LowCardinality(String),

    scope_name            LowCardinality(String),
    scope_version         LowCardinality(String),
    dialect               LowCardinality(String),
    absorbed_spans        Array(String) CODEC(ZSTD(1)) COMMENT 'trace:span of twins and suppressed spans',
    is_aggregate          Bool,
    settles_at            DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    sampling_probability  Nullable(Float64),
    attributes            Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ingested_at           DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    version               UInt64 CODEC(T64, ZSTD(1)) COMMENT 'reprice generation << 52 | microseconds of booking',

    agent_partition       LowCardinality(String) COMMENT 'agent_id, ~N or empty: see agent_partitions',
    is_deleted            UInt8,

    INDEX by_trace trace_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_response response_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_absorbed absorbed_spans TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY (toDate(timestamp), agent_partition)
-- Every column of PARTITION BY is in the key, which lets FINAL work partition by partition.
ORDER BY (agent_id, tenant_id, timestamp, trace_id, span_id, agent_partition)
TTL toDateTime(timestamp) + INTERVAL {retention_days:UInt16} DAY
SETTINGS
    ttl_only_drop_parts = 1,
    non_replicated_deduplication_window = 10000,
    enable_block_number_column = 1,
    enable_block_offset_column = 1,
    min_bytes_for_wide_part = 268435456,
    fsync_after_insert = 1,
    fsync_part_directory = 1;

CREATE VIEW IF NOT EXISTS calls AS SELECT * EXCEPT (agent_partition, is_deleted) FROM llm_costs FINAL;

-- Rollups are rebuilt from FINAL for the hours that an insert touched. A rebuild may produce a block it produced
-- before, which must not be skipped: hence no deduplication.
CREATE TABLE IF NOT EXISTS llm_costs_hourly
(
    hour                  DateTime('UTC'),
    tenant_id             LowCardinality(String),
    agent_id              LowCardinality(String),
    service_name          LowCardinality(String),
    provider              LowCardinality(String),
    model                 LowCardinality(String),
    environment           LowCardinality(String),
    calls                 UInt64,
    errors                UInt64,
    unpriced_calls        UInt64 COMMENT 'calls whose cost is unknown though they may have been billed',
    input_tokens          Nullable(UInt64),
    output_tokens         Nullable(UInt64),
    cache_read_tokens     UInt64,
    cache_write_5m_tokens UInt64,
    cache_write_1h_tokens UInt64,
    reasoning_tokens      UInt64,
    audio_input_tokens    UInt64,
    audio_output_tokens   UInt64,
    cost_usd              Nullable(Decimal(38, 12)),
    input_cost_usd        Nullable(Decimal(38, 12)),
    output_cost_usd       Nullable(Decimal(38, 12)),
    cache_read_cost_usd   Nullable(Decimal(38, 12)),
    cache_write_cost_usd  Nullable(Decimal(38, 12)),
    other_cost_usd        Nullable(Decimal(38, 12)),
    list_cost_usd         Nullable(Decimal(38, 12)),
    estimated_cost_usd    Nullable(Decimal(38, 12)),
    reported_cost_usd     Nullable(Decimal(38, 12)),
    version               UInt64,
    is_deleted            UInt8
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY toYYYYMM(hour)
ORDER BY (hour, tenant_id, agent_id, service_name, provider, model, environment)
TTL hour + INTERVAL {rollup_retention_days:UInt16} DAY
SETTINGS non_replicated_deduplication_window = 0;

CREATE VIEW IF NOT EXISTS hourly AS SELECT * EXCEPT (version, is_deleted) FROM llm_costs_hourly FINAL;

CREATE TABLE IF NOT EXISTS llm_costs_hourly_customer
(
    hour                  DateTime('UTC'),
    tenant_id             LowCardinality(String),
    team                  LowCardinality(String),
    customer_id           LowCardinality(String),
    agent_id              LowCardinality(String),
    calls                 UInt64,
    errors                UInt64,
    unpriced_calls        UInt64 COMMENT 'calls whose cost is unknown though they may have been billed',
    input_tokens          Nullable(UInt64),
    output_tokens         Nullable(UInt64),
    cache_read_tokens     UInt64,
    cache_write_5m_tokens UInt64,
    cache_write_1h_tokens UInt64,
    reasoning_tokens      UInt64,
    audio_input_tokens    UInt64,
    audio_output_tokens   UInt64,
    cost_usd              Nullable(Decimal(38, 12)),
    input_cost_usd        Nullable(Decimal(38, 12)),
    output_cost_usd       Nullable(Decimal(38, 12)),
    cache_read_cost_usd   Nullable(Decimal(38, 12)),
    cache_write_cost_usd  Nullable(Decimal(38, 12)),
    other_cost_usd        Nullable(Decimal(38, 12)),
    list_cost_usd         Nullable(Decimal(38, 12)),
    estimated_cost_usd    Nullable(Decimal(38, 12)),
    reported_cost_usd     Nullable(Decimal(38, 12)),
    version               UInt64,
    is_deleted            UInt8
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY toYYYYMM(hour)
ORDER BY (hour, tenant_id, team, customer_id, agent_id)
TTL hour + INTERVAL {rollup_retention_days:UInt16} DAY
SETTINGS non_replicated_deduplication_window = 0;

CREATE VIEW IF NOT EXISTS hourly_customer AS SELECT * EXCEPT (version, is_deleted) FROM llm_costs_hourly_customer FINAL;
