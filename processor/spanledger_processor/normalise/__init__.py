"""From OTLP spans to facts: what each dialect says, read by one table of declared data (`data/*.yaml`)."""
