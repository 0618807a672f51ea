-- What may be spent: by one agent, customer, team or model, or in total; each day, week (from Monday) or month, UTC.
-- A later valid_from replaces an earlier one of the same budget; an amount of 0 ends it. Loaded from configuration.
CREATE TABLE IF NOT EXISTS llm_budgets
(
    tenant_id             LowCardinality(String) COMMENT 'whose spend counts; empty: that of all tenants together',
    scope                 LowCardinality(String) COMMENT 'agent, customer, team, model, total',
    name                  String COMMENT 'which agent_id, customer_id, team or model; empty for total',
    period                LowCardinality(String) COMMENT 'day, week, month',
    amount_usd            Decimal(38, 12) COMMENT 'for the whole period',
    valid_from            DateTime('UTC'),
    version               UInt64 COMMENT 'microseconds of loading',
    is_deleted            UInt8,

    CONSTRAINT scope_is_known CHECK scope IN ('agent', 'customer', 'team', 'model', 'total'),
    CONSTRAINT total_has_no_name CHECK (scope = 'total') = (name = ''),
    CONSTRAINT period_is_known CHECK period IN ('day', 'week', 'month'),
    CONSTRAINT amount_is_not_negative CHECK amount_usd >= 0
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (scope, name, tenant_id, period, valid_from);

CREATE VIEW IF NOT EXISTS budgets AS SELECT * EXCEPT (version, is_deleted) FROM llm_budgets FINAL;
