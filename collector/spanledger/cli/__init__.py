"""The command line: one module per command or group; what is heavy is imported by the command that needs it."""
