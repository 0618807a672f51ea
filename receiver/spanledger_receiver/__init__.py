"""OTLP in: gRPC, HTTP (protobuf and JSON), files. Decides nothing about money."""
