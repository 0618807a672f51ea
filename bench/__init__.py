"""Benchmarks: CPU microseconds per span, by stage and end to end."""
