"""The SQL endpoint: ClickHouse's HTTP protocol, read-only, over the embedded store."""
