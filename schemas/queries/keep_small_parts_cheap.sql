-- Merge eight parts of a size at once instead of five: every row is copied that much more seldom. What makes big parts
-- cheap to read costs more than it saves in parts of a few hundred rows, and nothing here joins, which is what estimates
-- of distinct values are for. A part below eight megabytes is one file instead of a dozen, each to be made and synced.
ALTER TABLE {table:Identifier}
MODIFY SETTING
    merge_selector_base = 8,
    min_bytes_for_full_part_storage = 8388608,
    write_marks_for_substreams_in_compact_parts = 0,
    string_serialization_version = 'single_stream',
    compress_marks = 0,
    compress_primary_key = 0,
    auto_statistics_types = ''
