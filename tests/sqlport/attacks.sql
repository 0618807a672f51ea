-- SQL that must not run. $SECRET is a readable file with a canary in it, $FOLDER a folder that must stay empty,
-- $PORT a port of this machine that must see no connection. Refused with 497 or 164 unless the heading says otherwise.

-- == files read by functions
SELECT file('$SECRET')
SELECT arrayMap(path -> file(path), ['$SECRET'])
SELECT length(file('$SECRET')) FROM calls
WITH file('$SECRET') AS content SELECT content
SELECT 1 FROM calls WHERE file('$SECRET') = 'x'
SELECT 1 FROM calls ORDER BY file('$SECRET')
SELECT count() FROM calls GROUP BY file('$SECRET')
SELECT count() FROM calls HAVING file('$SECRET') != ''
SELECT 1 LIMIT length(file('$SECRET'))
SELECT (SELECT file('$SECRET'))
SELECT if(1, file('$SECRET'), '')
SELECT CAST(file('$SECRET') AS String)
SELECT '$SECRET' AS p, p.1, tuple(file(p))
SELECT filesystemAvailable()
SELECT showCertificate()

-- == what EXPLAIN AST does not show
SELECT * APPLY(file) FROM (SELECT '$SECRET')
SELECT * APPLY(x -> file(x)) FROM (SELECT '$SECRET')
SELECT COLUMNS('x') APPLY(x -> (SELECT file(x))) FROM (SELECT '$SECRET' AS x)
SELECT sum(1) OVER (ORDER BY file('$SECRET')) FROM calls
SELECT sum(1) OVER (PARTITION BY (SELECT file('$SECRET'))) FROM calls
SELECT sum(1) OVER w FROM calls WINDOW w AS (ORDER BY file('$SECRET'))
SELECT 1 AS a ORDER BY a WITH FILL FROM 1 TO 3 STALENESS length(file('$SECRET'))
SELECT 1 AS a, '' AS b ORDER BY a WITH FILL FROM 1 TO 3 INTERPOLATE (b AS file('$SECRET'))
SELECT * REPLACE (file('$SECRET') AS agent_id) FROM calls
SELECT sum(1) OVER (ORDER BY 1 IN system.processes) FROM calls
SELECT sum(1) OVER (ORDER BY (SELECT count() FROM system.processes)) FROM calls

-- == files read as tables
SELECT * FROM `$SECRET`
SELECT * FROM '$SECRET'
SELECT * FROM default.`$SECRET`
SELECT * FROM spanledger.`$SECRET`
SELECT 1 IN `$SECRET`
SELECT 1 IN default.`$SECRET`
SELECT in(1, `$SECRET`)
SELECT * FROM file('$SECRET', 'LineAsString')
SELECT * FROM FILE('$SECRET', 'LineAsString')
SELECT * FROM calls JOIN file('$SECRET', 'LineAsString', 'x String') AS f ON 1
SELECT * FROM (SELECT * FROM file('$SECRET', 'LineAsString'))
SELECT 1 IN (SELECT x FROM file('$SECRET', 'LineAsString', 'x String'))
WITH t AS (SELECT * FROM file('$SECRET', 'LineAsString')) SELECT * FROM t
SELECT * FROM view(SELECT * FROM file('$SECRET', 'LineAsString'))
DESCRIBE TABLE file('$SECRET', 'LineAsString')
DESCRIBE file('$SECRET')
DESCRIBE (SELECT file('$SECRET'))
EXPLAIN SELECT file('$SECRET')
EXPLAIN SELECT * FROM file('$SECRET', 'LineAsString')
EXPLAIN QUERY TREE SELECT file('$SECRET')
SELECT * FROM filesystem('$FOLDER')
SELECT * FROM fileCluster('c', '$SECRET', 'LineAsString')
SELECT * FROM sqlite('$SECRET', 't')
SELECT * FROM executable('cat $SECRET', 'LineAsString', 'x String')
SELECT * FROM python('open("$SECRET").read()')
SELECT * FROM Python(os)
SELECT * FROM eval('file')
SELECT * FROM icebergLocal('$FOLDER')
SELECT * FROM deltaLakeLocal('$FOLDER')
SELECT * FROM merge('system', '.*')
SELECT * FROM merge('^(processes|users)$')
SELECT * FROM loop(system.processes)
SELECT * FROM dictionary('d')
SELECT * FROM mergeTreeIndex('spanledger', 'llm_costs')
SELECT * FROM viewExplain('EXPLAIN', '', (SELECT file('$SECRET')))
SELECT * FROM viewIfPermitted(SELECT 1 ELSE file('$SECRET', 'LineAsString', 'x String'))
SELECT * FROM input('x String')

-- == the network
SELECT * FROM url('http://127.0.0.1:$PORT/', 'LineAsString')
SELECT * FROM URL('http://127.0.0.1:$PORT/', LineAsString, 'x String')
DESCRIBE url('http://127.0.0.1:$PORT/')
SELECT * FROM remote('127.0.0.1:$PORT', system.one)
SELECT * FROM remote('127.0.0.1:$PORT', view(SELECT 1))
SELECT * FROM remoteSecure('127.0.0.1:$PORT', system.one)
SELECT * FROM numbers(remote('127.0.0.1:$PORT', system.one))
SELECT * FROM s3('http://127.0.0.1:$PORT/b/k', 'CSV')
SELECT * FROM gcs('http://127.0.0.1:$PORT/b/k', 'CSV')
SELECT * FROM azureBlobStorage('http://127.0.0.1:$PORT', 'c', 'b')
SELECT * FROM hdfs('hdfs://127.0.0.1:$PORT/x', 'CSV')
SELECT * FROM mysql('127.0.0.1:$PORT', 'd', 't', 'u', 'p')
SELECT * FROM postgresql('127.0.0.1:$PORT', 'd', 't', 'u', 'p')
SELECT * FROM mongodb('127.0.0.1:$PORT', 'd', 't', 'u', 'p', 'x Int8')
SELECT * FROM redis('127.0.0.1:$PORT', 'k', 'k String')
SELECT * FROM jdbc('jdbc:x://127.0.0.1:$PORT', 't')
SELECT * FROM odbc('DSN=x', 't')
SELECT * FROM cluster('default', system.one)
SELECT * FROM clusterAllReplicas('default', system.one)
EXPLAIN TABLE OVERRIDE mysql('127.0.0.1:$PORT', 'd', 't', 'u', 'p') PARTITION BY x
SELECT aiGenerate('hello')
SELECT dictGet('d', 'a', 1)
SELECT regionToName(toUInt32(1))

-- == writing
SELECT 1 INTO OUTFILE '$FOLDER/out'
SELECT 1 INTO OUTFILE '$FOLDER/out' AND STDOUT FORMAT CSV
SELECT 1 INTO OUTFILE '$FOLDER/out' TRUNCATE COMPRESSION 'gzip' SETTINGS max_threads = 1
(SELECT 1) INTO OUTFILE '$FOLDER/out'
SHOW TABLES INTO OUTFILE '$FOLDER/out'
DESCRIBE calls INTO OUTFILE '$FOLDER/out'
EXPLAIN SELECT 1 INTO OUTFILE '$FOLDER/out'
EXISTS calls INTO OUTFILE '$FOLDER/out'
SHOW CREATE TABLE calls INTO OUTFILE '$FOLDER/out'
INSERT INTO FUNCTION file('$FOLDER/out', 'CSV', 'x Int8') VALUES (1)
INSERT INTO FUNCTION file('$FOLDER/out', 'CSV', 'x Int8') SELECT 1
INSERT INTO llm_costs (agent_id) VALUES ('x')
INSERT INTO llm_costs SELECT * FROM llm_costs
CREATE TABLE x (a Int8) ENGINE = File(CSV, '$FOLDER/out')
CREATE TABLE x ENGINE = MergeTree ORDER BY tuple() AS SELECT 1
CREATE TEMPORARY TABLE x (a Int8)
CREATE VIEW x AS SELECT file('$SECRET')
CREATE OR REPLACE VIEW calls AS SELECT 1
CREATE FUNCTION f AS x -> file(x)
CREATE DICTIONARY d (k UInt64) PRIMARY KEY k SOURCE(FILE(path '$SECRET' format 'CSV')) LAYOUT(FLAT()) LIFETIME(0)
CREATE DATABASE x ENGINE = Filesystem('$FOLDER')
CREATE NAMED COLLECTION x AS key = '1'
CREATE USER x
GRANT ALL ON *.* TO default
DROP TABLE calls
DROP DATABASE spanledger
TRUNCATE TABLE llm_costs
ALTER TABLE llm_costs DELETE WHERE 1
ALTER TABLE llm_costs DROP COLUMN cost_usd
ALTER TABLE llm_costs FREEZE
DELETE FROM llm_costs WHERE 1
UPDATE llm_costs SET cost_usd = 0 WHERE 1
OPTIMIZE TABLE llm_costs FINAL
RENAME TABLE llm_costs TO x
EXCHANGE TABLES llm_costs AND agent_partitions
DETACH TABLE llm_costs PERMANENTLY
ATTACH TABLE x FROM '$FOLDER' (a Int8) ENGINE = File(CSV)
UNDROP TABLE x
BACKUP TABLE llm_costs TO File('$FOLDER/out')
RESTORE TABLE llm_costs FROM File('$FOLDER/out')
CHECK TABLE llm_costs
SELECT generateSerialID('x')
SELECT 1 PARALLEL WITH SELECT 2

-- == control
SYSTEM SHUTDOWN
SYSTEM FLUSH LOGS
SYSTEM RELOAD CONFIG
SYSTEM STOP MERGES
KILL QUERY WHERE 1
KILL MUTATION WHERE 1
SET readonly = 0
SET allow_ddl = 1
SET max_execution_time = 0, format_schema = '$SECRET'
SET param_x = '1'
SELECT 1 SETTINGS readonly = 0
SELECT 1 SETTINGS allow_ddl = 1
SELECT 1 SETTINGS format_schema = '$SECRET'
SELECT 1 FORMAT CSV SETTINGS output_format_schema = '$FOLDER/out'
SELECT 1 SETTINGS enable_json_ast_dialect = 1
SELECT 1 SETTINGS dialect = 'clickhouse_json'
SELECT * FROM (SELECT 1 SETTINGS allow_introspection_functions = 1, user_files_path = '/')
SELECT 1 SETTINGS max_threads = DEFAULT
SELECT 1 SETTINGS param_x = 1
SELECT 1 FROM calls SETTINGS additional_table_filters = {'calls': 'file(\'$SECRET\') != \'\''}
SELECT 1 FROM calls SETTINGS additional_table_filters = {'calls': '1 IN system.processes'}
SELECT 1 FROM calls SETTINGS additional_table_filters = {'calls': '1 FROM url(\'http://127.0.0.1:$PORT\')'}
SELECT 1 FROM calls SETTINGS additional_result_filter = 'file(\'$SECRET\') = 1'
BEGIN TRANSACTION
EXPLAIN CURRENT TRANSACTION
EXECUTE AS x SELECT 1
USE `/etc`
USE x
SELECT sleep(3)
SELECT sleepEachRow(1) FROM numbers(10)
SELECT logTrace('x')

-- == what the machine, its store and others do
SELECT * FROM system.users
SELECT * FROM system.processes
SELECT * FROM system.server_settings
SELECT * FROM system.named_collections
SELECT * FROM system.disks
SELECT * FROM system.stack_trace
SELECT * FROM system.certificates
SELECT * FROM system.clusters
SELECT * FROM system.macros
SELECT * FROM system.dictionaries
SELECT * FROM system.detached_parts
SELECT * FROM system.remote_data_paths
SELECT * FROM system.build_options
SELECT 1 IN system.users
SELECT 1 AS x WHERE x NOT IN system.processes
WITH processes AS (SELECT 1) SELECT * FROM system.processes
SHOW PROCESSLIST
SHOW USERS
SHOW GRANTS
SHOW ACCESS
SHOW CLUSTERS
SHOW MERGES
SHOW FILESYSTEM CACHES
SHOW TABLES FROM `/etc`
SHOW COLUMNS FROM users FROM system
SHOW CREATE TABLE system.users
SHOW CREATE DATABASE spanledger
DESCRIBE FILESYSTEM CACHE 'x'
SELECT getServerSetting('path')
SELECT getMacro('shard')
SELECT FQDN(), serverUUID()
SELECT addressToSymbol(1)
SELECT getClientHTTPHeader('authorization')
SELECT hasColumnInTable('127.0.0.1:$PORT', 'u', 'p', 'd', 't', 'c')
SELECT joinGet('spanledger.x', 'a', 1)
SELECT __getScalar('x')

-- == formats that read or speak: code 73
SELECT 1 FORMAT Template
SELECT 1 FORMAT Protobuf
SELECT 1 FORMAT CapnProto
SELECT 1 FORMAT AvroConfluent
SELECT 1 FORMAT MySQLWire

-- == more than one statement: code 62
SELECT 1; SELECT file('$SECRET')
SELECT 1; DROP TABLE calls
SELECT 1;;DROP TABLE calls
SELECT 1 /* ; */; DROP TABLE calls -- ok
SELECT '1'';'; DROP TABLE calls
SELECT 1 FROM calls SETTINGS additional_table_filters = {'calls': '1) OR (file(\'$SECRET\') = 1'}

-- == names that would become part of another statement: code 115
SELECT 1 SETTINGS `output_format_json_x = 1, allow_ddl` = 1
SET `output_format_json_x = 1, allow_ddl` = 1
SELECT * FROM (SELECT 1 SETTINGS `output_format_json_x=1,user_files_path` = '/')
SELECT 1 SETTINGS `max_threads=1, allow_ddl` = 1
