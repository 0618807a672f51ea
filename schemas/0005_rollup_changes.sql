-- What a rebuild writes, for both rollups at once: one scan of the calls makes the rows of both, and reading the calls is
-- most of what a rebuild costs. The table keeps nothing; its views only hand each row on to its rollup.
CREATE TABLE IF NOT EXISTS rollup_changes
(
    rollup                LowCardinality(String) COMMENT 'hourly, hourly_customer',
    hour                  DateTime('UTC'),
    tenant_id             LowCardinality(String),
    agent_id              LowCardinality(String),
    service_name          LowCardinality(String),
    provider              LowCardinality(String),
    model                 LowCardinality(String),
    environment           LowCardinality(String),
    team                  LowCardinality(String),
    customer_id           LowCardinality(String),
    calls                 UInt64,
    errors                UInt64,
    unpriced_calls        UInt64,
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
ENGINE = Null;

CREATE MATERIALIZED VIEW IF NOT EXISTS rollup_changes_hourly TO llm_costs_hourly AS
SELECT * EXCEPT (rollup, team, customer_id)
FROM rollup_changes
WHERE rollup = 'hourly';

CREATE MATERIALIZED VIEW IF NOT EXISTS rollup_changes_hourly_customer TO llm_costs_hourly_customer AS
SELECT * EXCEPT (rollup, service_name, provider, model, environment)
FROM rollup_changes
WHERE rollup = 'hourly_customer';
