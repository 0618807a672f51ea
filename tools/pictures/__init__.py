"""Pictures of the dashboards for the documentation, drawn with Grafana's own components in a headless browser."""
