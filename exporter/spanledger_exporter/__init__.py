"""Rows to ClickHouse or embedded chDB; enriched spans to another OTLP endpoint."""
