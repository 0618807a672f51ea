-- Whether the engine knows all the settings that keep small parts cheap, and whether the tables have been given them.
SELECT
    (
        SELECT count() = 7
        FROM system.merge_tree_settings
        WHERE name IN (
            'merge_selector_base', 'min_bytes_for_full_part_storage', 'write_marks_for_substreams_in_compact_parts',
            'string_serialization_version', 'compress_marks', 'compress_primary_key', 'auto_statistics_types'
        )
    ),
    (
        SELECT countIf(position(engine_full, 'min_bytes_for_full_part_storage = 8388608') > 0) = 3
        FROM system.tables
        WHERE database = currentDatabase() AND name IN ('llm_costs', 'llm_costs_hourly', 'llm_costs_hourly_customer')
    )
    AND (
        SELECT position(compression_codec, 'LZ4') > 0
        FROM system.columns
        WHERE database = currentDatabase() AND table = 'llm_costs' AND name = 'version'
    )
