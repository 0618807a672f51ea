-- The engine checks the files of a table when it loads it.
DETACH TABLE {database:Identifier}.{table:Identifier} SYNC;
ATTACH TABLE {database:Identifier}.{table:Identifier};
