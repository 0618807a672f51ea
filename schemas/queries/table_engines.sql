-- Of these tables, the engine with the settings that it was given.
SELECT name, engine_full
FROM system.tables
WHERE database = currentDatabase() AND name IN {names:Array(String)}
