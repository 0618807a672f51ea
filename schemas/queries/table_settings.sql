-- Of these settings of tables, the ones that the engine knows.
SELECT name
FROM system.merge_tree_settings
WHERE name IN {names:Array(String)}
