"""An application as users have it: the openai client, OpenLLMetry's instrumentation, exporters set by environment.

usage: application.py BASE_URL_OF_THE_PROVIDER
"""

from __future__ import annotations

import sys

from openai import OpenAI
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.openai import OpenAIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
OpenAIInstrumentor().instrument()

client = OpenAI(api_key="unused", base_url=sys.argv[1], max_retries=0)
with trace.get_tracer("application").start_as_current_span(
    "invoke_agent planner", attributes={"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "planner"}
):
    answer = client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "SECRET-PROMPT plan my day"}], user="user-7"
    )
    print(answer.choices[0].message.content)
provider.shutdown()
