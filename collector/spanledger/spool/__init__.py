"""Between acknowledging and booking."""
