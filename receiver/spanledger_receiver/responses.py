"""Bodies of answers to requests that were taken. The three signals' messages are alike on the wire."""

from __future__ import annotations

from typing import Final

import orjson
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from spanledger_core.stages import Receipt

TAKEN: Final = b""
"""An empty Export*ServiceResponse: everything was taken."""
TAKEN_JSON: Final = b"{}"


def encode_receipt(receipt: Receipt) -> bytes:
    """ExportTraceServiceResponse: partial success only where spans were refused or there is something to say."""
    if not receipt.rejected and not receipt.message:
        return TAKEN
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = receipt.rejected
    response.partial_success.error_message = receipt.message
    return response.SerializeToString()


def encode_receipt_json(receipt: Receipt) -> bytes:
    """The same as protobuf JSON, where an int64 is a string."""
    if not receipt.rejected and not receipt.message:
        return TAKEN_JSON
    partial = {"rejectedSpans": str(receipt.rejected), "errorMessage": receipt.message}
    return orjson.dumps({"partialSuccess": partial})
