INSERT INTO llm_costs ({columns:Identifiers})
FROM INFILE {path:Literal}
SETTINGS
    insert_deduplicate = {insert_deduplicate:UInt16},
    insert_deduplication_token = {insert_deduplication_token:Literal},
    optimize_on_insert = {optimize_on_insert:UInt16},
    materialize_skip_indexes_on_insert = {materialize_skip_indexes_on_insert:UInt16}
FORMAT Native
