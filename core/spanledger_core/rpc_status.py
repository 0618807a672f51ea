"""`google.rpc.Status` with its RetryInfo: how OTLP says what failed and when to come back.

Only the field numbers of two small messages are needed (google/rpc/status.proto, error_details.proto), so they are
declared here instead of taking a package of generated code. Nested messages are declared as bytes, which is the same
on the wire.
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, duration_pb2, message, message_factory

DETAILS_KEY: Final = "grpc-status-details-bin"
"""The gRPC trailer that carries a Status."""
PYTHON_RETRY_KEY: Final = "google.rpc.retryinfo-bin"
"""The OpenTelemetry Python exporter reads RetryInfo from this trailer and not from the details."""
RETRY_INFO_URL: Final = "type.googleapis.com/google.rpc.RetryInfo"


def _message_classes() -> tuple[Any, Any]:
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="spanledger/status.proto", package="spanledger.rpc", syntax="proto3")
    status = file.message_type.add(name="Status")
    status.field.add(name="code", number=1, type=field.TYPE_INT32, label=field.LABEL_OPTIONAL)
    status.field.add(name="message", number=2, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    status.field.add(name="details", number=3, type=field.TYPE_BYTES, label=field.LABEL_REPEATED)
    retry = file.message_type.add(name="RetryInfo")
    retry.field.add(name="retry_delay", number=1, type=field.TYPE_BYTES, label=field.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    find = pool.FindMessageTypeByName
    return (
        message_factory.GetMessageClass(find("spanledger.rpc.Status")),
        message_factory.GetMessageClass(find("spanledger.rpc.RetryInfo")),
    )


_Status, _RetryInfo = _message_classes()


def encode_status(code: int, text: str, retry_after_s: float | None = None) -> bytes:
    """A Status; with a delay it carries RetryInfo."""
    status = _Status(code=code, message=text)
    if retry_after_s is not None:
        detail = any_pb2.Any(type_url=RETRY_INFO_URL, value=encode_retry_info(retry_after_s))
        status.details.append(detail.SerializeToString())
    return bytes(status.SerializeToString())


def encode_retry_info(seconds: float) -> bytes:
    """A RetryInfo."""
    return bytes(_RetryInfo(retry_delay=duration(seconds).SerializeToString()).SerializeToString())


def duration(seconds: float) -> duration_pb2.Duration:
    """A protobuf Duration."""
    delay = duration_pb2.Duration()
    delay.FromNanoseconds(int(seconds * 1e9))
    return delay


def retry_after(status: bytes) -> float | None:
    """The delay in seconds that a Status asks for; None if it asks for none or is not a Status."""
    try:
        for encoded in _Status.FromString(status).details:
            detail = any_pb2.Any.FromString(encoded)
            if detail.type_url == RETRY_INFO_URL:
                delay = duration_pb2.Duration.FromString(_RetryInfo.FromString(detail.value).retry_delay)
                return max(0.0, delay.seconds + delay.nanos / 1e9)
    except message.DecodeError:
        pass
    return None
