-- Who may do what: the collector writes, Grafana reads the views. Run as an administrator, once:
--
--   printf %s "$password" | sha256sum       # in place of WRITER_PASSWORD_SHA256 and GRAFANA_PASSWORD_SHA256 below
--   clickhouse-client --multiquery < deploy/clickhouse/users.sql
--
-- On a cluster without replicated access storage add ON CLUSTER '{cluster}' after each name.
-- Another database: replace `spanledger.` everywhere; the collector takes it from the end of its store address.

CREATE DATABASE IF NOT EXISTS spanledger;

-- The collector owns its tables: it creates them, folds and drops their partitions, and erases what is to be forgotten.
CREATE ROLE IF NOT EXISTS spanledger_write;
GRANT SELECT, INSERT, CREATE TABLE, CREATE VIEW, DROP VIEW, TRUNCATE,
      ALTER DELETE, ALTER TTL, ALTER SETTINGS, ALTER COLUMN, ALTER INDEX, SYSTEM CLEANUP
    ON spanledger.* TO spanledger_write;
-- Schema, partitions and parts of its own database: rows of others are not shown to it.
GRANT SELECT ON system.databases TO spanledger_write;
GRANT SELECT ON system.tables TO spanledger_write;
GRANT SELECT ON system.parts TO spanledger_write;
GRANT SELECT ON system.detached_parts TO spanledger_write;

CREATE USER IF NOT EXISTS spanledger_writer
    IDENTIFIED WITH sha256_hash BY 'WRITER_PASSWORD_SHA256'
    DEFAULT ROLE spanledger_write;
GRANT spanledger_write TO spanledger_writer;

-- Grafana's user may change nothing but the time limit, which the plugin sets. Agent names come from whoever can send
-- spans and end up in dashboard variables: what a query could reach is therefore as little as the boards need.
CREATE SETTINGS PROFILE IF NOT EXISTS spanledger_read SETTINGS
    readonly = 1,
    max_execution_time = 60 MIN 1 MAX 300 CHANGEABLE_IN_READONLY,
    max_memory_usage = 4000000000,
    max_result_rows = 1000000,
    result_overflow_mode = 'throw',
    do_not_merge_across_partitions_select_final = 1,
    use_skip_indexes_if_final = 1;

CREATE ROLE IF NOT EXISTS spanledger_read SETTINGS PROFILE 'spanledger_read';
-- A view runs with the rights of who reads it, so the tables beneath are granted too.
GRANT SELECT ON spanledger.calls TO spanledger_read;
GRANT SELECT ON spanledger.llm_costs TO spanledger_read;
GRANT SELECT ON spanledger.hourly TO spanledger_read;
GRANT SELECT ON spanledger.llm_costs_hourly TO spanledger_read;
GRANT SELECT ON spanledger.hourly_customer TO spanledger_read;
GRANT SELECT ON spanledger.llm_costs_hourly_customer TO spanledger_read;
GRANT SELECT ON spanledger.budgets TO spanledger_read;
GRANT SELECT ON spanledger.llm_budgets TO spanledger_read;
GRANT SELECT ON spanledger.unpriced_models TO spanledger_read;
GRANT SELECT ON spanledger.price_coverage TO spanledger_read;
GRANT SELECT ON spanledger.reported_gap TO spanledger_read;

CREATE USER IF NOT EXISTS spanledger_grafana
    IDENTIFIED WITH sha256_hash BY 'GRAFANA_PASSWORD_SHA256'
    DEFAULT ROLE spanledger_read;
GRANT spanledger_read TO spanledger_grafana;

-- One dashboard cannot take the server from the collector.
CREATE QUOTA IF NOT EXISTS spanledger_read FOR INTERVAL 1 minute MAX queries = 1200, execution_time = 600
    TO spanledger_grafana;
