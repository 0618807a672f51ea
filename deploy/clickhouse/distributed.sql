-- Reading several shards as one. Run on every node that Grafana or people ask, after replicated.sql on every shard.
--
-- A call is on one shard only, and so is every correction of it, because its trace goes to one collector and each
-- collector writes to one shard. So sums over shards are exact; an hour of an agent may be one row of `hourly` per shard,
-- which every query that sums, as all boards do, adds up.
--
-- The tables are for reading: the collector speaks to the tables of its own shard. cityHash64(agent_id) says where a row
-- would go that is inserted here, so that all versions of a key meet; it does not say where the collectors' rows are.
-- Leave optimize_skip_unused_shards at 0: a query for one agent must ask every shard.

CREATE DATABASE IF NOT EXISTS spanledger_all ON CLUSTER '{cluster}';

CREATE TABLE IF NOT EXISTS spanledger_all.calls ON CLUSTER '{cluster}' AS spanledger.calls
ENGINE = Distributed('{cluster}', 'spanledger', 'calls', cityHash64(agent_id));

CREATE TABLE IF NOT EXISTS spanledger_all.hourly ON CLUSTER '{cluster}' AS spanledger.hourly
ENGINE = Distributed('{cluster}', 'spanledger', 'hourly', cityHash64(agent_id));

CREATE TABLE IF NOT EXISTS spanledger_all.hourly_customer ON CLUSTER '{cluster}' AS spanledger.hourly_customer
ENGINE = Distributed('{cluster}', 'spanledger', 'hourly_customer', cityHash64(agent_id));

-- Budgets are loaded by every collector alike: one shard's are all of them.
CREATE VIEW IF NOT EXISTS spanledger_all.budgets ON CLUSTER '{cluster}' AS SELECT * FROM spanledger.budgets;

-- With a `secret` in the cluster's definition the shards ask for the rights of whoever asks: those of users.sql.
GRANT ON CLUSTER '{cluster}' SELECT ON spanledger_all.* TO spanledger_read;

-- The collector rebuilds an hour from what it has just written: on a replica behind a load balancer it must see its own
-- rows. Quorum writes and sequential reads make sure of it; a store address that names one replica does so too.
ALTER USER IF EXISTS spanledger_writer ON CLUSTER '{cluster}' SETTINGS
    insert_quorum = 'auto', insert_quorum_parallel = 0, select_sequential_consistency = 1;
