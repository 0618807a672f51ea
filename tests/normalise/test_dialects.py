"""One captured span of each dialect, by hand: what it says, and what a fact says then."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from spanledger_core.facts import SpanClass, Usage


class Case(NamedTuple):
    what: str
    scope: str
    name: str
    attributes: dict[str, Any]
    usage: dict[str, Any]
    about: Mapping[str, Any] = MappingProxyType({})
    version: str = ""
    response_id: str | None = None


SEMCONV = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "anthropic",
    "gen_ai.request.model": "claude-sonnet-4-5",
}
OPENAI = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o"}
BEDROCK = {
    "gen_ai.operation.name": "chat",
    "gen_ai.system": "aws.bedrock",
    "gen_ai.request.model": "anthropic.claude-3-haiku",
}
GEMINI = {
    "gen_ai.operation.name": "generate_content",
    "gen_ai.provider.name": "gemini",
    "gen_ai.request.model": "gemini-2.5-pro",
}
OI = {"openinference.span.kind": "LLM"}

CASES = [
    Case(
        "official conventions: cache is inside input",
        "opentelemetry.instrumentation.genai.anthropic",
        "chat claude-sonnet-4-5",
        {
            **SEMCONV,
            "gen_ai.usage.input_tokens": 1072,
            "gen_ai.usage.output_tokens": 82,
            "gen_ai.usage.cache_read.input_tokens": 50,
            "gen_ai.usage.cache_write.input_tokens": 1000,
            "gen_ai.response.id": "msg_01284e442aa3074c",
            "gen_ai.response.finish_reasons": ["end_turn"],
        },
        {"input": 1072, "output": 82, "cache_read": 50, "cache_write_5m": 1000, "convention": "inclusive"},
        {"provider": "anthropic", "level": 0, "finish_reason": "end_turn", "operation": "chat"},
        response_id="msg_01284e442aa3074c",
    ),
    Case(
        "the Anthropic SDK's own span: writes split by lifetime, best among twins",
        "com.anthropic.sdk.python",
        "anthropic.messages.create",
        {
            **SEMCONV,
            "gen_ai.usage.input_tokens": 1072,
            "gen_ai.usage.output_tokens": 82,
            "gen_ai.usage.cache_read.input_tokens": 50,
            "gen_ai.usage.cache_write.input_tokens": 1000,
            "anthropic.usage.cache_creation.ephemeral_5m_input_tokens": 700,
            "anthropic.usage.cache_creation.ephemeral_1h_input_tokens": 300,
            "gen_ai.request.stream": True,
            "anthropic.response.service_tier": "standard",
        },
        {"input": 1072, "output": 82, "cache_read": 50, "cache_write_5m": 700, "cache_write_1h": 300},
        {"rank": 0, "is_streaming": True, "service_tier": "standard"},
    ),
    Case(
        "botocore: cache is outside input",
        "opentelemetry.instrumentation.botocore.bedrock-runtime",
        "chat anthropic.claude-3-haiku",
        {
            **BEDROCK,
            "gen_ai.usage.input_tokens": 31,
            "gen_ai.usage.output_tokens": 91,
            "gen_ai.usage.cache_read.input_tokens": 1500,
            "gen_ai.usage.cache_creation.input_tokens": 300,
            "cloud.region": "eu-west-1",
        },
        {"input": 1831, "output": 91, "cache_read": 1500, "cache_write_5m": 300, "convention": "exclusive"},
        {"provider": "aws.bedrock", "price_context": (("region", "eu-west-1"),)},
    ),
    Case(
        "OpenLLMetry on Bedrock: the vendor is not the provider",
        "opentelemetry.instrumentation.bedrock",
        "bedrock.converse",
        {
            "gen_ai.system": "amazon",
            "gen_ai.request.model": "nova-pro-v1:0",
            "llm.request.type": "chat",
            "gen_ai.usage.prompt_tokens": 32,
            "gen_ai.usage.completion_tokens": 92,
        },
        {"input": 32, "output": 92},
        {"provider": "aws.bedrock", "request_model": "amazon.nova-pro-v1:0"},
    ),
    Case(
        "OpenLLMetry, the names before there were conventions",
        "opentelemetry.instrumentation.openai",
        "openai.chat",
        {
            "llm.vendor": "OpenAI",
            "llm.request.type": "chat",
            "llm.request.model": "gpt-4",
            "llm.response.model": "gpt-4-0613",
            "llm.usage.prompt_tokens": 15,
            "llm.usage.completion_tokens": 9,
            "llm.usage.total_tokens": 24,
        },
        {"input": 15, "output": 9},
        {"provider": "openai", "request_model": "gpt-4", "response_model": "gpt-4-0613"},
        "0.9.0",
    ),
    Case(
        "OpenLLMetry, old names",
        "opentelemetry.instrumentation.openai.v1",
        "openai.chat",
        {
            "gen_ai.system": "OpenAI",
            "llm.request.type": "chat",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.response.model": "gpt-4o-2024-08-06",
            "gen_ai.usage.prompt_tokens": 1500,
            "gen_ai.usage.completion_tokens": 90,
            "gen_ai.usage.cache_read_input_tokens": 1024,
            "llm.usage.total_tokens": 1590,
            "llm.is_streaming": False,
        },
        {"input": 1500, "output": 90, "cache_read": 1024},
        {"provider": "openai", "response_model": "gpt-4o-2024-08-06", "model_key": "gpt-4o", "is_streaming": False},
        "0.40.14",
    ),
    Case(
        "OpenLLMetry counts Anthropic streams too high",
        "opentelemetry.instrumentation.anthropic",
        "anthropic.chat",
        {**SEMCONV, "gen_ai.usage.input_tokens": 1023, "gen_ai.usage.output_tokens": 84},
        {"input": 1023, "output": 84},
        {"rank": 2, "level": 0},
    ),
    Case(
        "OpenLLMetry on Gemini: thoughts are what the total has more",
        "opentelemetry.instrumentation.google_generativeai",
        "generate_content gemini-2.5-pro",
        {
            **GEMINI,
            "gen_ai.provider.name": "gcp.gen_ai",
            "gen_ai.response.model": "gemini-2.5-pro",
            "gen_ai.usage.input_tokens": 3000,
            "gen_ai.usage.output_tokens": 120,
            "gen_ai.usage.total_tokens": 3453,
            "gen_ai.usage.cache_read.input_tokens": 2048,
        },
        {"input": 3000, "output": 453, "reasoning": 333, "cache_read": 2048},
        {"provider": "gcp.gen_ai", "response_model": ""},
        "0.21.5",
    ),
    Case(
        "google-genai: thoughts are inside output",
        "opentelemetry.instrumentation.google_genai",
        "generate_content gemini-2.5-pro",
        {
            **GEMINI,
            "gen_ai.usage.input_tokens": 3000,
            "gen_ai.usage.output_tokens": 453,
            "gen_ai.usage.reasoning.output_tokens": 333,
            "gen_ai.usage.audio.input_tokens": 320,
        },
        {"input": 3000, "output": 453, "reasoning": 333, "audio_input": 320},
        {"provider": "gcp.gemini"},
    ),
    Case(
        "OpenLIT on Gemini: thoughts are outside output",
        "openlit.instrumentation.google_ai_studio",
        "chat gemini-2.5-pro",
        {
            **GEMINI,
            "gen_ai.operation.name": "chat",
            "gen_ai.usage.input_tokens": 3000,
            "gen_ai.usage.output_tokens": 120,
            "gen_ai.usage.reasoning_tokens": 333,
        },
        {"input": 3000, "output": 453, "reasoning": 333},
    ),
    Case(
        "OpenLIT on Anthropic: cache is outside input",
        "openlit.instrumentation.anthropic",
        "chat claude-sonnet-4-5",
        {
            **SEMCONV,
            "gen_ai.usage.input_tokens": 22,
            "gen_ai.usage.output_tokens": 82,
            "gen_ai.usage.cache_read.input_tokens": 50,
            "gen_ai.usage.cache_creation.input_tokens": 1000,
            "gen_ai.usage.cost": 0,
        },
        {"input": 1072, "output": 82, "cache_read": 50, "cache_write_5m": 1000, "convention": "exclusive"},
    ),
    Case(
        "OpenLIT on Cohere: doubles",
        "openlit.instrumentation.cohere",
        "chat command-a-03-2025",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "cohere",
            "gen_ai.request.model": "command-a-03-2025",
            "gen_ai.usage.input_tokens": 107.0,
            "gen_ai.usage.output_tokens": 23.0,
        },
        {"input": 107, "output": 23},
        {"provider": "cohere"},
    ),
    Case(
        "OpenLIT invents the usage of a stream that sent none",
        "openlit.instrumentation.openai",
        "chat gpt-4o",
        {**OPENAI, "gen_ai.request.stream": True, "gen_ai.usage.input_tokens": 40, "gen_ai.usage.output_tokens": 16},
        {"input": 40, "output": 16, "quality": "suspect"},
    ),
    Case(
        "OpenLIT on a stream that did send its usage",
        "openlit.instrumentation.openai",
        "chat gpt-4o",
        {
            **OPENAI,
            "gen_ai.request.stream": True,
            "gen_ai.usage.input_tokens": 401,
            "gen_ai.usage.output_tokens": 41,
            "gen_ai.usage.cache_read.input_tokens": 0,
        },
        {"input": 401, "output": 41, "quality": "ok"},
    ),
    Case(
        "OpenInference on Anthropic",
        "openinference.instrumentation.anthropic",
        "messages.create",
        {
            **OI,
            "llm.provider": "anthropic",
            "llm.system": "anthropic",
            "llm.request.model_name": "claude-sonnet-4-5",
            "llm.response.model_name": "claude-sonnet-4-5-20250929",
            "llm.model_name": "claude-sonnet-4-5-20250929",
            "llm.token_count.prompt": 1072,
            "llm.token_count.completion": 82,
            "llm.token_count.prompt_details.cache_read": 50,
            "llm.token_count.prompt_details.cache_write": 1000,
        },
        {"input": 1072, "output": 82, "cache_read": 50, "cache_write_5m": 1000},
        {"request_model": "claude-sonnet-4-5", "response_model": "claude-sonnet-4-5-20250929", "provider": "anthropic"},
    ),
    Case(
        "OpenInference on agno: cache is outside input for Claude",
        "openinference.instrumentation.agno",
        "Claude.invoke",
        {
            **OI,
            "llm.provider": "Anthropic",
            "llm.model_name": "claude-sonnet-4-5",
            "llm.token_count.prompt": 20,
            "llm.token_count.completion": 5,
            "llm.token_count.prompt_details.cache_read": 100,
        },
        {"input": 120, "output": 5, "cache_read": 100, "convention": "exclusive"},
    ),
    Case(
        "OpenInference on Mistral: cached tokens only in the response JSON, the id too",
        "openinference.instrumentation.mistralai",
        "MistralClient.chat",
        {
            **OI,
            "llm.provider": "mistralai",
            "llm.model_name": "mistral-small-2506",
            "llm.token_count.prompt": 800,
            "llm.token_count.completion": 40,
            "llm.invocation_parameters": '{"model": "mistral-small-latest", "stream": false}',
            "output.value": json.dumps(
                {
                    "id": "chatcmpl-7b0bc5ebc4a6",
                    "usage": {"prompt_tokens": 800, "completion_tokens": 40, "num_cached_tokens": 512},
                    "choices": [{"message": {"content": "Paris"}}],
                }
            ),
        },
        {"input": 800, "output": 40, "cache_read": 512},
        {"provider": "mistral_ai", "request_model": "mistral-small-latest", "is_streaming": False},
        response_id="chatcmpl-7b0bc5ebc4a6",
    ),
    Case(
        "smolagents: usage inside the repr of a response inside JSON",
        "openinference.instrumentation.smolagents",
        "OpenAIModel.generate",
        {
            **OI,
            "llm.provider": "openai",
            "llm.model_name": "gpt-4o",
            "llm.token_count.prompt": 1101,
            "llm.token_count.completion": 27,
            "output.value": json.dumps(
                {
                    "role": "assistant",
                    "raw": "ChatCompletion(id='chatcmpl-qaiw0001', choices=[Choice(message=Message(content='x'))], "
                    "usage=CompletionUsage(completion_tokens=27, prompt_tokens=1101, total_tokens=1128, "
                    "completion_tokens_details=CompletionTokensDetails(audio_tokens=0, reasoning_tokens=4), "
                    "prompt_tokens_details=PromptTokensDetails(cache_write_tokens=None, cached_tokens=101)))",
                }
            ),
        },
        {"input": 1101, "output": 27, "cache_read": 101, "reasoning": 4},
        response_id="chatcmpl-qaiw0001",
    ),
    Case(
        "Logfire: details only in the raw usage, which counts as Anthropic does",
        "logfire.anthropic",
        "Message with {request_data[model]!r}",
        {
            **SEMCONV,
            "gen_ai.usage.input_tokens": 1072,
            "gen_ai.usage.output_tokens": 82,
            "gen_ai.usage.raw": json.dumps(
                {
                    "cache_creation": {"ephemeral_1h_input_tokens": 300, "ephemeral_5m_input_tokens": 700},
                    "cache_creation_input_tokens": 1000,
                    "cache_read_input_tokens": 50,
                    "input_tokens": 22,
                    "output_tokens": 82,
                }
            ),
        },
        {"input": 1072, "output": 82, "cache_read": 50, "cache_write_5m": 700, "cache_write_1h": 300},
    ),
    Case(
        "Logfire 3, second half of a stream: no usage attributes at all",
        "logfire.openai",
        "streaming response from {request_data[model]!r} took {duration:.2f}s",
        {
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.response.model": "gpt-4o-mini",
            "request_data": '{"messages": [], "model": "gpt-4o-mini", "stream": true}',
            "response_data": json.dumps(
                {
                    "message": {"content": "Paris"},
                    "usage": {
                        "completion_tokens": 41,
                        "prompt_tokens": 401,
                        "prompt_tokens_details": {"cached_tokens": 128},
                    },
                }
            ),
        },
        {"input": 401, "output": 41, "cache_read": 128},
        {"reporter": "logfire.openai#2", "is_streaming": True, "provider": "openai", "response_model": ""},
        "3.25.0",
    ),
    Case(
        "pydantic-ai: the five-minute writes are what is left",
        "pydantic-ai",
        "chat claude-sonnet-4-5",
        {
            **SEMCONV,
            "gen_ai.usage.input_tokens": 1140,
            "gen_ai.usage.output_tokens": 38,
            "gen_ai.usage.cache_read.input_tokens": 1000,
            "gen_ai.usage.cache_creation.input_tokens": 120,
            "gen_ai.usage.details.ephemeral_1h_input_tokens": 20,
            "operation.cost": 0.005736,
        },
        {"input": 1140, "output": 38, "cache_read": 1000, "cache_write_5m": 100, "cache_write_1h": 20},
    ),
    Case(
        "pydantic-ai before 1.0 on Gemini: thoughts are outside output, tool-use prompts outside input",
        "pydantic-ai",
        "chat gemini-2.5-pro",
        {
            **GEMINI,
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "google-gla",
            "gen_ai.usage.input_tokens": 3000,
            "gen_ai.usage.output_tokens": 120,
            "gen_ai.usage.details.cached_content_tokens": 2048,
            "gen_ai.usage.details.thoughts_tokens": 333,
            "gen_ai.usage.details.tool_use_prompt_tokens": 70,
        },
        {"input": 3070, "output": 453, "cache_read": 2048, "reasoning": 333},
        {"provider": "gcp.gemini"},
        "0.5.1",
    ),
    Case(
        "pydantic-ai 1.0 on Gemini: tool-use prompts are outside input",
        "pydantic-ai",
        "chat gemini-2.5-pro",
        {
            **GEMINI,
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "google-gla",
            "gen_ai.usage.input_tokens": 3000,
            "gen_ai.usage.output_tokens": 453,
            "gen_ai.usage.details.cached_content_tokens": 2048,
            "gen_ai.usage.details.thoughts_tokens": 333,
            "gen_ai.usage.details.tool_use_prompt_tokens": 70,
        },
        {"input": 3070, "output": 453, "cache_read": 2048, "reasoning": 333},
        {"provider": "gcp.gemini"},
        "1.0.10",
    ),
    Case(
        "pydantic-ai 2 on Gemini: totals hold everything",
        "pydantic-ai",
        "chat gemini-2.5-pro",
        {
            **GEMINI,
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "google-gla",
            "gen_ai.usage.input_tokens": 3000,
            "gen_ai.usage.output_tokens": 453,
            "gen_ai.usage.details.cached_content_tokens": 2048,
            "gen_ai.usage.details.thoughts_tokens": 333,
            "gen_ai.usage.details.tool_use_prompt_tokens": 70,
        },
        {"input": 3000, "output": 453, "cache_read": 2048, "reasoning": 333},
        {"provider": "gcp.gemini"},
        "2.68.0",
    ),
    Case(
        "Langfuse: the provider's usage object as JSON",
        "langfuse-sdk",
        "OpenAI-generation",
        {
            "langfuse.observation.type": "generation",
            "langfuse.observation.model.name": "gpt-4o-2024-08-06",
            "langfuse.observation.usage_details": json.dumps(
                {
                    "completion_tokens": 23,
                    "prompt_tokens": 512,
                    "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 0},
                }
            ),
            "langfuse.observation.model.parameters": '{"temperature": 1, "service_tier": "flex"}',
        },
        {"input": 512, "output": 23, "cache_read": 64},
        {"provider": "openai", "service_tier": "flex", "response_model": "gpt-4o-2024-08-06"},
    ),
    Case(
        "Langfuse: its own keys are disjoint",
        "langfuse-sdk",
        "my call",
        {
            "langfuse.observation.type": "generation",
            "langfuse.observation.model.name": "claude-sonnet-4-5",
            "langfuse.observation.usage_details": json.dumps(
                {"input": 20, "output": 26, "cache_read_input_tokens": 1000, "cache_creation_input_tokens": 50}
            ),
        },
        {"input": 1070, "output": 26, "cache_read": 1000, "cache_write_5m": 50},
        {"provider": "anthropic"},
    ),
    Case(
        "Langfuse on LangChain: every part is taken out of its total",
        "langfuse-sdk",
        "ChatAnthropic",
        {
            "langfuse.observation.type": "generation",
            "langfuse.observation.model.name": "claude-sonnet-4-5",
            "langfuse.observation.usage_details": json.dumps(
                {
                    "input": 20,
                    "output": 40,
                    "total": 1160,
                    "input_cache_read": 960,
                    "input_cache_creation": 0,
                    "input_ephemeral_5m_input_tokens": 100,
                    "input_ephemeral_1h_input_tokens": 20,
                    "output_reasoning": 20,
                }
            ),
        },
        {
            "input": 1100,
            "output": 60,
            "cache_read": 960,
            "cache_write_5m": 100,
            "cache_write_1h": 20,
            "reasoning": 20,
            "convention": "exclusive",
        },
    ),
    Case(
        "Langfuse writes names JSON-encoded",
        "langfuse-sdk",
        "ChatOpenAI",
        {
            "langfuse.observation.type": "generation",
            "langfuse.observation.model.name": "my-deployment",
            "langfuse.observation.metadata.lc_agent_name": '"weather_bot"',
            "langfuse.observation.metadata.ls_provider": '"azure"',
            "langfuse.observation.usage_details": '{"input": 103, "output": 25, "total": 140, "input_cache_read": 10, '
            '"input_audio": 0, "output_reasoning": 2}',
        },
        {"input": 113, "output": 27, "cache_read": 10, "reasoning": 2},
        {"agent_name": "weather_bot", "provider": "azure.ai.openai"},
    ),
    Case(
        "Langfuse's own keys: audio and thoughts beside input and output",
        "langfuse-sdk",
        "my call",
        {
            "langfuse.observation.type": "generation",
            "langfuse.observation.model.name": "gpt-4o-audio-preview",
            "langfuse.observation.usage_details": json.dumps(
                {"input": 20, "output": 30, "input_audio": 300, "output_audio": 200, "output_reasoning": 5}
            ),
        },
        {"input": 320, "output": 235, "audio_input": 300, "audio_output": 200, "reasoning": 5},
    ),
    Case(
        "LangSmith: LangChain's usage metadata; the provider it knows better than the semconv one",
        "langsmith",
        "AzureChatOpenAI",
        {
            "langsmith.span.kind": "llm",
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "langchain",
            "langsmith.metadata.ls_provider": "azure",
            "gen_ai.request.model": "my-deployment",
            "gen_ai.usage.input_tokens": 1101,
            "gen_ai.usage.output_tokens": 27,
            "langsmith.metadata.usage_metadata": json.dumps(
                {
                    "input_tokens": 1101,
                    "output_tokens": 27,
                    "input_token_details": {"cache_read": 101, "audio": 0},
                    "output_token_details": {"reasoning": 4},
                }
            ),
            "langsmith.metadata.lc_agent_name": "boss",
        },
        {"input": 1101, "output": 27, "cache_read": 101, "reasoning": 4},
        {"provider": "azure.ai.openai", "agent_name": "boss"},
    ),
    Case(
        "LangSmith: details as Python reprs of one key",
        "langsmith",
        "ChatAnthropic",
        {
            "langsmith.span.kind": "llm",
            "gen_ai.system": "anthropic",
            "gen_ai.request.model": "claude-sonnet-4-5",
            "gen_ai.usage.input_tokens": 1072,
            "gen_ai.usage.output_tokens": 82,
            "gen_ai.usage.input_token_details": "{'cache_read': 50, 'ephemeral_5m_input_tokens': 700, "
            "'ephemeral_1h_input_tokens': 300}",
        },
        {"input": 1072, "output": 82, "cache_read": 50, "cache_write_5m": 700, "cache_write_1h": 300},
    ),
    Case(
        "LiteLLM: a Python repr, a routed model name, streaming as text",
        "litellm",
        "litellm_request",
        {
            "gen_ai.operation.name": "acompletion",
            "llm.request.type": "acompletion",
            "gen_ai.system": "openai",
            "gen_ai.request.model": "openai/gpt-4o",
            "gen_ai.response.model": "smart",
            "litellm.model_group": "smart",
            "llm.is_streaming": "True",
            "gen_ai.usage.input_tokens": 130,
            "gen_ai.usage.output_tokens": 40,
            "metadata.usage_object": "{'completion_tokens': 40, 'prompt_tokens': 130, 'completion_tokens_details': "
            "{'audio_tokens': 5, 'reasoning_tokens': 0}, 'prompt_tokens_details': {'audio_tokens': 20, "
            "'cache_write_tokens': 30, 'cached_tokens': 0, 'cache_creation_tokens': 30}}",
        },
        {"input": 130, "output": 40, "audio_input": 20, "audio_output": 5, "cache_write_5m": 30},
        {"request_model": "gpt-4o", "response_model": "", "is_streaming": True, "operation": "chat"},
    ),
    Case(
        "LiteLLM's copy of the raw request is a helper that lends",
        "litellm",
        "raw_gen_ai_request",
        {
            "llm.anthropic.model": "claude-sonnet-4-5-20250929",
            "llm.anthropic.usage": "{'input_tokens': 20, 'cache_creation_input_tokens': 120, "
            "'cache_read_input_tokens': 1000, 'cache_creation': {'ephemeral_5m_input_tokens': 100, "
            "'ephemeral_1h_input_tokens': 20}, 'output_tokens': 38, 'service_tier': 'standard'}",
        },
        {"input": 1140, "output": 38, "cache_read": 1000, "cache_write_5m": 100, "cache_write_1h": 20},
        {"helper": True, "response_model": "claude-sonnet-4-5-20250929"},
    ),
    Case(
        "Vercel AI 4: details in the provider's metadata",
        "ai",
        "ai.generateText.doGenerate",
        {
            "ai.operationId": "ai.generateText.doGenerate",
            "ai.model.provider": "openai.chat",
            "gen_ai.system": "openai.chat",
            "ai.model.id": "gpt-4o",
            "ai.response.model": "gpt-4o-2024-08-06",
            "ai.response.id": "chatcmpl-qajp0001",
            "ai.usage.promptTokens": 1101,
            "ai.usage.completionTokens": 27,
            "ai.telemetry.functionId": "weather_bot",
            "ai.response.providerMetadata": '{"openai":{"reasoningTokens":4,"cachedPromptTokens":101}}',
        },
        {"input": 1101, "output": 27, "cache_read": 101, "reasoning": 4},
        {"provider": "openai", "agent_name": "weather_bot", "response_model": "gpt-4o-2024-08-06"},
        response_id="chatcmpl-qajp0001",
    ),
    Case(
        "Vercel AI 5 on Anthropic: cache is outside, what was written only in the metadata",
        "ai",
        "ai.streamText.doStream",
        {
            "ai.operationId": "ai.streamText.doStream",
            "ai.model.provider": "anthropic.messages",
            "ai.model.id": "claude-sonnet-4-5",
            "ai.usage.inputTokens": 20,
            "ai.usage.outputTokens": 38,
            "ai.usage.cachedInputTokens": 1000,
            "ai.response.providerMetadata": json.dumps(
                {
                    "anthropic": {
                        "usage": {
                            "input_tokens": 20,
                            "output_tokens": 38,
                            "cache_read_input_tokens": 1000,
                            "cache_creation_input_tokens": 120,
                        },
                        "cacheCreationInputTokens": 120,
                    }
                }
            ),
        },
        {"input": 1140, "output": 38, "cache_read": 1000, "cache_write_5m": 120},
        {"provider": "anthropic", "is_streaming": True},
    ),
    Case(
        "Vercel AI 4 on Anthropic: cache is outside, all of it only in the metadata, without totals",
        "ai",
        "ai.generateText.doGenerate",
        {
            "ai.operationId": "ai.generateText.doGenerate",
            "ai.model.provider": "anthropic.messages",
            "ai.model.id": "claude-sonnet-4-5",
            "ai.usage.promptTokens": 20,
            "ai.usage.completionTokens": 38,
            "ai.response.providerMetadata": json.dumps(
                {"anthropic": {"cacheCreationInputTokens": 120, "cacheReadInputTokens": 1000}}
            ),
        },
        {"input": 1140, "output": 38, "cache_read": 1000, "cache_write_5m": 120, "convention": "exclusive"},
        {"provider": "anthropic"},
    ),
    Case(
        "Vercel AI 5 on Bedrock: what was written, and for how long, only in the metadata",
        "ai",
        "ai.generateText.doGenerate",
        {
            "ai.operationId": "ai.generateText.doGenerate",
            "ai.model.provider": "amazon-bedrock",
            "ai.model.id": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "ai.usage.inputTokens": 20,
            "ai.usage.outputTokens": 38,
            "ai.usage.cachedInputTokens": 1000,
            "ai.response.providerMetadata": json.dumps(
                {
                    "bedrock": {
                        "usage": {
                            "cacheWriteInputTokens": 120,
                            "cacheDetails": [{"inputTokens": 100, "ttl": "5m"}, {"inputTokens": 20, "ttl": "1h"}],
                        }
                    }
                }
            ),
        },
        {"input": 1140, "output": 38, "cache_read": 1000, "cache_write_5m": 100, "cache_write_1h": 20},
        {"provider": "aws.bedrock"},
    ),
    Case(
        "Vercel AI 6: the uncached part proves that input holds the cache",
        "ai",
        "ai.generateText.doGenerate",
        {
            "ai.operationId": "ai.generateText.doGenerate",
            "ai.model.provider": "anthropic.messages",
            "ai.model.id": "claude-sonnet-4-5",
            "ai.usage.inputTokens": 1120,
            "ai.usage.outputTokens": 38,
            "ai.usage.inputTokenDetails.noCacheTokens": 20,
            "ai.usage.inputTokenDetails.cacheReadTokens": 1000,
            "ai.usage.inputTokenDetails.cacheWriteTokens": 100,
        },
        {"input": 1120, "output": 38, "cache_read": 1000, "cache_write_5m": 100, "convention": "inclusive"},
    ),
    Case(
        "Strands: the framework is no provider",
        "strands.telemetry.tracer",
        "chat",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "strands-agents",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.usage.prompt_tokens": 1101,
            "gen_ai.usage.input_tokens": 1101,
            "gen_ai.usage.completion_tokens": 27,
            "gen_ai.usage.output_tokens": 27,
            "gen_ai.usage.cache_write_input_tokens": 0,
        },
        {"input": 1101, "output": 27},
        {"provider": "openai", "level": 1},
    ),
    Case(
        "Strands of old on Bedrock: the total proves cache outside input",
        "strands.telemetry.tracer",
        "chat",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "strands-agents",
            "gen_ai.request.model": "us.anthropic.claude-sonnet-4-20250514-v1:0",
            "gen_ai.usage.input_tokens": 2000,
            "gen_ai.usage.output_tokens": 90,
            "gen_ai.usage.total_tokens": 3890,
            "gen_ai.usage.cache_read_input_tokens": 1500,
            "gen_ai.usage.cache_write_input_tokens": 300,
        },
        {"input": 3800, "output": 90, "cache_read": 1500, "cache_write_5m": 300, "convention": "exclusive"},
        {"provider": "aws.bedrock"},
    ),
    Case(
        "Strands of today on Bedrock: the total has nothing more",
        "strands.telemetry.tracer",
        "chat",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "strands-agents",
            "gen_ai.request.model": "us.anthropic.claude-sonnet-4-20250514-v1:0",
            "gen_ai.usage.input_tokens": 3800,
            "gen_ai.usage.output_tokens": 90,
            "gen_ai.usage.total_tokens": 3890,
            "gen_ai.usage.cache_read.input_tokens": 1500,
            "gen_ai.usage.cache_creation.input_tokens": 300,
        },
        {"input": 3800, "output": 90, "cache_read": 1500, "cache_write_5m": 300, "convention": "assumed"},
    ),
    Case(
        "ADK 1.x: thoughts only in the response JSON, outside output",
        "gcp.vertex.agent",
        "call_llm",
        {
            "gen_ai.system": "gcp.vertex.agent",
            "gen_ai.request.model": "gemini-2.5-flash",
            "gen_ai.usage.input_tokens": 1101,
            "gen_ai.usage.output_tokens": 27,
            "gcp.vertex.agent.llm_response": json.dumps(
                {
                    "model_version": "gemini-2.5-flash",
                    "usage_metadata": {
                        "cached_content_token_count": 101,
                        "candidates_token_count": 27,
                        "prompt_token_count": 1101,
                        "thoughts_token_count": 4,
                    },
                }
            ),
        },
        {"input": 1101, "output": 31, "cache_read": 101, "reasoning": 4},
        {"provider": "gcp.gemini", "response_model": "gemini-2.5-flash"},
        "1.18.0",
    ),
    Case(
        "ADK through LiteLLM: thoughts are added to an output that held them already",
        "gcp.vertex.agent",
        "generate_content openai/gpt-5-mini",
        {
            "gen_ai.operation.name": "generate_content",
            "gen_ai.system": "openai",
            "gen_ai.request.model": "openai/gpt-5-mini",
            "gen_ai.usage.input_tokens": 113,
            "gen_ai.usage.output_tokens": 1300,
            "gen_ai.usage.cache_read.input_tokens": 10,
            "gen_ai.usage.reasoning.output_tokens": 600,
        },
        {"input": 113, "output": 700, "cache_read": 10, "reasoning": 600},
        {"provider": "openai", "model_key": "gpt-5-mini"},
        "2.13.0",
    ),
    Case(
        "Claude Code: bare names, cache outside input",
        "com.anthropic.claude_code.tracing",
        "claude_code.llm_request",
        {
            "span.type": "llm_request",
            "model": "claude-sonnet-4-5",
            "input_tokens": 900,
            "output_tokens": 27,
            "cache_read_tokens": 201,
            "cache_creation_tokens": 51,
            "speed": "fast",
            "ttft_ms": 163,
            "agent_id": "a9644b6697413735a",
        },
        {"input": 1152, "output": 27, "cache_read": 201, "cache_write_5m": 51},
        {"provider": "anthropic", "agent_name": None, "price_context": (("speed", "fast"),)},
        "1.0.0",
    ),
    Case(
        "Mistral's SDK: old and new names in one span",
        "mistralai_sdk_tracer",
        "chat_completion",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "mistral_ai",
            "gen_ai.request.model": "mistral-large-latest",
            "gen_ai.usage.prompt_tokens": 107,
            "gen_ai.usage.output_tokens": 23,
            "mistral_ai.request.total_tokens": 130,
        },
        {"input": 107, "output": 23},
        {"provider": "mistral_ai"},
    ),
    Case(
        "Semantic Kernel and Agent Framework follow the conventions",
        "semantic_kernel.utils.telemetry.model_diagnostics.decorators",
        "chat gpt-4o",
        {**OPENAI, "gen_ai.usage.input_tokens": 1101, "gen_ai.usage.output_tokens": 27},
        {"input": 1101, "output": 27},
        {"dialect": "semantic-kernel"},
    ),
    Case(
        "Mastra names the agent on the call itself",
        "@mastra/otel-exporter",
        "chat gpt-4o",
        {
            **OPENAI,
            "gen_ai.agent.name": "weather_bot",
            "gen_ai.usage.input_tokens": 1101,
            "gen_ai.usage.output_tokens": 27,
            "gen_ai.usage.reasoning_tokens": 4,
        },
        {"input": 1101, "output": 27, "reasoning": 4},
        {"agent_name": "weather_bot"},
    ),
    Case(
        "AG2 on Anthropic: cache is outside input, thoughts have a name of their own",
        "opentelemetry.instrumentation.ag2",
        "chat claude-sonnet-4-5",
        {
            **SEMCONV,
            "gen_ai.usage.input_tokens": 113,
            "gen_ai.usage.output_tokens": 27,
            "gen_ai.usage.cache_read_input_tokens": 10,
            "gen_ai.usage.cache_creation_input_tokens": 5,
            "gen_ai.usage.thinking_tokens": 2,
        },
        {"input": 128, "output": 27, "cache_read": 10, "cache_write_5m": 5, "reasoning": 2, "convention": "exclusive"},
        {"dialect": "ag2", "helper": False},
    ),
    Case(
        "AG2 on Gemini: thoughts are outside output",
        "opentelemetry.instrumentation.ag2",
        "chat gemini-2.5-pro",
        {
            **GEMINI,
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "google",
            "gen_ai.usage.input_tokens": 3000,
            "gen_ai.usage.output_tokens": 120,
            "gen_ai.usage.thinking_tokens": 333,
        },
        {"input": 3000, "output": 453, "reasoning": 333},
        {"provider": "gcp.gemini"},
    ),
    Case(
        "AG2: what compaction spends is reported nowhere else",
        "opentelemetry.instrumentation.ag2",
        "record_usage compaction",
        {
            "ag2.span.type": "usage",
            "ag2.usage.kind": "compaction",
            "gen_ai.response.model": "gpt-4o-2024-08-06",
            "gen_ai.provider.name": "openai",
            "gen_ai.usage.input_tokens": 900,
            "gen_ai.usage.output_tokens": 80,
        },
        {"input": 900, "output": 80},
        {"helper": False, "response_model": "gpt-4o-2024-08-06"},
    ),
    Case(
        "Agent Framework hands Anthropic's figures on: cache is outside input",
        "agent_framework",
        "chat claude-sonnet-4-5",
        {
            **SEMCONV,
            "gen_ai.usage.input_tokens": 113,
            "gen_ai.usage.output_tokens": 27,
            "gen_ai.usage.cache_read.input_tokens": 10,
            "gen_ai.usage.cache_creation.input_tokens": 5,
        },
        {"input": 128, "output": 27, "cache_read": 10, "cache_write_5m": 5, "convention": "exclusive"},
    ),
    Case(
        "Agent Framework on Gemini: thoughts are outside output",
        "agent_framework",
        "chat gemini-2.5-pro",
        {
            **GEMINI,
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "gcp.gemini",
            "gen_ai.usage.input_tokens": 3000,
            "gen_ai.usage.output_tokens": 120,
            "gen_ai.usage.reasoning.output_tokens": 333,
        },
        {"input": 3000, "output": 453, "reasoning": 333},
    ),
    Case(
        "OpenInference on Haystack: an embedder's usage is in what it answers",
        "openinference.instrumentation.haystack",
        "CreateEmbeddings",
        {
            "openinference.span.kind": "EMBEDDING",
            "embedding.model_name": "text-embedding-3-small",
            "output.value": '{"embedding": "<8-dimensional vector>", "meta": {"model": "text-embedding-3-small", '
            '"usage": {"prompt_tokens": 113, "total_tokens": 113}}}',
        },
        {"input": 113},
        {"provider": "openai"},
    ),
    Case(
        "OpenInference on Haystack: details of a chat in the repr of its message",
        "openinference.instrumentation.haystack",
        "OpenAIChatGenerator.run",
        {
            **OI,
            "llm.provider": "openai",
            "llm.model_name": "gpt-4o-2024-08-06",
            "llm.token_count.prompt": 126,
            "llm.token_count.completion": 34,
            "llm.token_count.total": 160,
            "output.value": json.dumps(
                {
                    "replies": [
                        "ChatMessage(_role=<ChatRole.ASSISTANT: 'assistant'>, _content=[TextContent(text=\"'usage': {"
                        "'prompt_tokens': 9}\")], _meta={'model': 'gpt-4o-2024-08-06', 'usage': {'completion_tokens': "
                        "34, 'prompt_tokens': 126, 'completion_tokens_details': {'audio_tokens': None, "
                        "'reasoning_tokens': 4}, 'prompt_tokens_details': {'cached_tokens': 20}}})"
                    ]
                }
            ),
        },
        {"input": 126, "output": 34, "cache_read": 20, "reasoning": 4},
    ),
    Case(
        "OpenInference on Haystack: what a model wrote is not its usage",
        "openinference.instrumentation.haystack",
        "OpenAIGenerator.run",
        {
            **OI,
            "llm.provider": "openai",
            "llm.model_name": "gpt-4o-2024-08-06",
            "llm.token_count.prompt": 126,
            "llm.token_count.completion": 34,
            "output.value": json.dumps(
                {
                    "replies": ["'usage': {'prompt_tokens': 126, 'prompt_tokens_details': {'cached_tokens': 126}}"],
                    "meta": [{"model": "gpt-4o-2024-08-06", "usage": {"prompt_tokens": 126, "completion_tokens": 34}}],
                }
            ),
        },
        {"input": 126, "output": 34},
    ),
    Case(
        "OpenLLMetry for JavaScript on Anthropic: cache is inside input",
        "@traceloop/instrumentation-anthropic",
        "chat claude-sonnet-4-5",
        {
            **SEMCONV,
            "gen_ai.usage.input_tokens": 1072,
            "gen_ai.usage.output_tokens": 82,
            "gen_ai.usage.cache_read.input_tokens": 50,
            "gen_ai.usage.cache_creation.input_tokens": 1000,
            "gen_ai.usage.total_tokens": 1154,
        },
        {"input": 1072, "output": 82, "cache_read": 50, "cache_write_5m": 1000, "convention": "inclusive"},
        {"level": 0, "dialect": "openllmetry-js-anthropic"},
    ),
    Case(
        "OpenInference for JavaScript on Anthropic: cache only in the answer",
        "@arizeai/openinference-instrumentation-anthropic",
        "Anthropic Messages",
        {
            **OI,
            "llm.provider": "anthropic",
            "llm.model_name": "claude-sonnet-4-5-20250929",
            "llm.token_count.prompt": 22,
            "llm.token_count.completion": 82,
            "llm.token_count.total": 104,
            "output.value": json.dumps(
                {
                    "id": "msg_01284e442aa3074c",
                    "usage": {
                        "input_tokens": 22,
                        "output_tokens": 82,
                        "cache_read_input_tokens": 50,
                        "cache_creation_input_tokens": 1000,
                        "cache_creation": {"ephemeral_5m_input_tokens": 700, "ephemeral_1h_input_tokens": 300},
                    },
                }
            ),
        },
        {"input": 1072, "output": 82, "cache_read": 50, "cache_write_5m": 700, "cache_write_1h": 300},
        {"level": 0},
        response_id="msg_01284e442aa3074c",
    ),
    Case(
        "OpenInference for JavaScript on Anthropic, newer: cache is inside input",
        "@arizeai/openinference-instrumentation-anthropic",
        "Anthropic Messages",
        {
            **OI,
            "llm.provider": "anthropic",
            "llm.request.model_name": "claude-sonnet-4-5",
            "llm.token_count.prompt": 240,
            "llm.token_count.completion": 55,
            "llm.token_count.total": 295,
            "llm.token_count.prompt_details.cache_read": 50,
            "llm.token_count.prompt_details.cache_write": 25,
        },
        {"input": 240, "output": 55, "cache_read": 50, "cache_write_5m": 25, "convention": "inclusive"},
    ),
    Case(
        "OpenInference for JavaScript on Bedrock: the provider's own figures",
        "@arizeai/openinference-instrumentation-bedrock",
        "bedrock.invoke_model",
        {
            **OI,
            "llm.provider": "aws",
            "llm.model_name": "anthropic.claude-3-haiku",
            "llm.token_count.prompt": 34,
            "llm.token_count.completion": 94,
            "llm.token_count.prompt_details.cache_read": 20,
            "llm.token_count.prompt_details.cache_write": 10,
        },
        {"input": 64, "output": 94, "cache_read": 20, "cache_write_5m": 10, "convention": "exclusive"},
        {"provider": "aws.bedrock"},
    ),
    Case(
        "OpenLIT on LangChain: the framework's input holds the cache",
        "openlit.instrumentation.langchain",
        "chat claude-sonnet-4-5",
        {
            **SEMCONV,
            "gen_ai.usage.input_tokens": 1072,
            "gen_ai.usage.output_tokens": 82,
            "gen_ai.usage.cache_read.input_tokens": 50,
            "gen_ai.usage.cache_creation.input_tokens": 1000,
        },
        {"input": 1072, "output": 82, "cache_read": 50, "cache_write_5m": 1000, "convention": "inclusive"},
        {"level": 1},
    ),
    Case(
        "OpenLIT for JavaScript on Anthropic: cache is outside input",
        "@openlit/instrumentation-anthropic",
        "chat claude-sonnet-4-5",
        {
            **SEMCONV,
            "gen_ai.usage.input_tokens": 72,
            "gen_ai.usage.output_tokens": 82,
            "gen_ai.usage.cache_read.input_tokens": 50,
        },
        {"input": 122, "output": 82, "cache_read": 50, "convention": "exclusive"},
    ),
    Case(
        "Spring AI: figures as text, none where there is none",
        "org.springframework.boot",
        "chat claude-sonnet-4-5",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "anthropic",
            "gen_ai.request.model": "claude-sonnet-4-5",
            "gen_ai.response.model": "claude-sonnet-4-5-20250929",
            "gen_ai.response.id": "msg_01284e442aa3074c",
            "gen_ai.response.finish_reasons": '["end_turn"]',
            "gen_ai.request.stop_sequences": "none",
            "gen_ai.usage.input_tokens": "72",
            "gen_ai.usage.output_tokens": "82",
            "gen_ai.usage.total_tokens": "154",
            "gen_ai.usage.cache_read.input_tokens": "50",
            "gen_ai.usage.cache_creation.input_tokens": "none",
        },
        {"input": 122, "output": 82, "cache_read": 50, "convention": "exclusive"},
        {"finish_reason": "end_turn"},
        response_id="msg_01284e442aa3074c",
    ),
    Case(
        "Microsoft.Extensions.AI: the conventions",
        "Experimental.Microsoft.Extensions.AI",
        "chat gpt-4o",
        {
            **OPENAI,
            "gen_ai.usage.input_tokens": 1500,
            "gen_ai.usage.output_tokens": 90,
            "gen_ai.usage.cache_read.input_tokens": 1024,
            "gen_ai.usage.reasoning.output_tokens": 60,
        },
        {"input": 1500, "output": 90, "cache_read": 1024, "reasoning": 60, "convention": "inclusive"},
    ),
    Case(
        "OpenLLMetry on Vertex: thoughts are what the total has more",
        "opentelemetry.instrumentation.vertexai",
        "vertexai.generate_content",
        {
            "gen_ai.system": "Google",
            "llm.request.type": "completion",
            "gen_ai.request.model": "gemini-2.5-pro",
            "gen_ai.usage.prompt_tokens": 642,
            "gen_ai.usage.completion_tokens": 66,
            "llm.usage.total_tokens": 758,
        },
        {"input": 642, "output": 116, "reasoning": 50},
    ),
    Case(
        "Mastra splits cache writes and audio under names of its own",
        "@mastra/otel-exporter",
        "chat claude-sonnet-4-5",
        {
            **SEMCONV,
            "gen_ai.usage.input_tokens": 1140,
            "gen_ai.usage.output_tokens": 38,
            "gen_ai.usage.cache_read.input_tokens": 1000,
            "gen_ai.usage.cache_creation.input_tokens": 120,
            "gen_ai.usage.cache_creation.5m_input_tokens": 100,
            "gen_ai.usage.cache_creation.1h_input_tokens": 20,
            "gen_ai.usage.audio_input_tokens": 7,
            "gen_ai.usage.audio_output_tokens": 8,
        },
        {
            "input": 1140,
            "output": 38,
            "cache_read": 1000,
            "cache_write_5m": 100,
            "cache_write_1h": 20,
            "audio_input": 7,
            "audio_output": 8,
        },
    ),
    Case(
        "an application's own instrumentation, by the conventions; more cache than input proves it outside",
        "my.app",
        "ask the model",
        {
            **SEMCONV,
            "gen_ai.usage.input_tokens": "20",
            "gen_ai.usage.output_tokens": "26",
            "gen_ai.usage.cache_read.input_tokens": "1000",
        },
        {"input": 1020, "output": 26, "cache_read": 1000, "convention": "exclusive"},
        {"dialect": "semconv"},
    ),
    Case(
        "an application's own instrumentation: inside unless proved otherwise",
        "my.app",
        "ask the model",
        {
            **SEMCONV,
            "gen_ai.usage.input_tokens": 1020,
            "gen_ai.usage.output_tokens": 26,
            "gen_ai.usage.cache_read.input_tokens": 1000,
        },
        {"input": 1020, "output": 26, "cache_read": 1000, "convention": "assumed"},
    ),
    Case(
        "usage as a structured value instead of a JSON string",
        "langfuse-sdk",
        "my call",
        {
            "langfuse.observation.type": "generation",
            "langfuse.observation.model.name": "gpt-4o",
            "langfuse.observation.usage_details": {"input": 20, "output": 26, "input_cached_tokens": 5},
        },
        {"input": 25, "output": 26, "cache_read": 5},
    ),
    Case(
        "Perplexity: thoughts and citations in no total",
        "langfuse-sdk",
        "my call",
        {
            "langfuse.observation.type": "generation",
            "langfuse.observation.model.name": "sonar-deep-research",
            "langfuse.observation.usage_details": json.dumps(
                {
                    "prompt_tokens": 33,
                    "completion_tokens": 7163,
                    "citation_tokens": 19028,
                    "num_search_queries": 21,
                    "reasoning_tokens": 193000,
                }
            ),
        },
        {
            "input": 33,
            "output": 200163,
            "reasoning": 193000,
            "units": (("citation", 19028), ("web_searches", 21)),
        },
        {"provider": "perplexity"},
    ),
    Case(
        "AgentOps, and Microsoft.Extensions.AI alike: images that were made, their size and quality",
        "agentops.instrumentation.openai",
        "openai.images.generate",
        {
            "gen_ai.operation.name": "image_generation",
            "gen_ai.system": "OpenAI",
            "gen_ai.request.model": "dall-e-3",
            "gen_ai.request.image_size": "1024x1792",
            "gen_ai.request.image_quality": "hd",
            "gen_ai.request.image_count": 1,
            "gen_ai.response.image_count": 1,
        },
        {"units": (("images", 1),)},
        {"provider": "openai", "price_context": (("image_quality", "hd"), ("image_size", "1024x1792"))},
    ),
    Case(
        "OpenRouter through the OpenAI client: the model id only a router knows",
        "opentelemetry.instrumentation.genai.openai",
        "chat anthropic/claude-sonnet-4.5",
        {
            **OPENAI,
            "gen_ai.request.model": "anthropic/claude-sonnet-4.5",
            "gen_ai.usage.input_tokens": 611,
            "gen_ai.usage.output_tokens": 61,
        },
        {"input": 611, "output": 61},
        {"provider": "openrouter", "model_key": "claude-sonnet-4.5"},
    ),
    Case(
        "Azure by the host of the request",
        "opentelemetry.instrumentation.genai.openai",
        "chat my-deployment",
        {
            **OPENAI,
            "gen_ai.request.model": "my-deployment",
            "server.address": "acme.openai.azure.com",
            "gen_ai.usage.input_tokens": 1,
            "gen_ai.usage.output_tokens": 1,
            "openai.request.service_tier": "auto",
        },
        {"input": 1, "output": 1},
        {"provider": "azure.ai.openai", "service_tier": ""},
    ),
    Case(
        "thoughts beside the output, as only the total tells",
        "opentelemetry.instrumentation.openai.v1",
        "openai.chat",
        {
            **OPENAI,
            "gen_ai.request.model": "grok-4",
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.output_tokens": 50,
            "gen_ai.usage.reasoning_tokens": 20,
            "llm.usage.total_tokens": 170,
        },
        {"input": 100, "output": 70, "reasoning": 20},
    ),
    *(
        Case(
            f"{scope}: Claude on {provider} counts as its maker does",
            scope,
            "chat claude-sonnet-4-5",
            {
                **SEMCONV,
                "gen_ai.provider.name": provider,
                "gen_ai.usage.input_tokens": 2000,
                "gen_ai.usage.output_tokens": 10,
                "gen_ai.usage.cache_read.input_tokens": 500,
            },
            {"input": 2500, "output": 10, "cache_read": 500, "convention": "exclusive"},
        )
        for scope in ("agent_framework", "opentelemetry.instrumentation.ag2")
        for provider in ("google.vertex.ai", "azure.ai.foundry", "anthropic")
    ),
    Case(
        "another framework through LiteLLM: the same",
        "agent_framework",
        "chat anthropic/claude-sonnet-4-5",
        {
            **SEMCONV,
            "gen_ai.provider.name": "litellm",
            "gen_ai.request.model": "anthropic/claude-sonnet-4-5",
            "gen_ai.usage.input_tokens": 2000,
            "gen_ai.usage.output_tokens": 10,
            "gen_ai.usage.cache_read.input_tokens": 500,
        },
        {"input": 2000, "output": 10, "cache_read": 500},
        {"provider": "anthropic"},
    ),
    Case(
        "agno through LiteLLM: whose input holds the cache",
        "openinference.instrumentation.agno",
        "LiteLLM.invoke",
        {
            **OI,
            "llm.provider": "LiteLLM",
            "llm.model_name": "anthropic/claude-sonnet-4-5",
            "llm.token_count.prompt": 2000,
            "llm.token_count.completion": 10,
            "llm.token_count.prompt_details.cache_read": 500,
        },
        {"input": 2000, "output": 10, "cache_read": 500},
        {"provider": "anthropic"},
    ),
    Case(
        "a host that names its region",
        "opentelemetry.instrumentation.genai.anthropic",
        "chat claude-sonnet-4-5",
        {**SEMCONV, "server.address": "us-east5-aiplatform.googleapis.com", "gen_ai.usage.input_tokens": 1},
        {"input": 1},
        {"provider": "gcp.vertex_ai", "price_context": (("region", "us-east5"),)},
    ),
    Case(
        "a finish reason that is a sentence",
        "opentelemetry.instrumentation.genai.anthropic",
        "chat claude-sonnet-4-5",
        {**SEMCONV, "gen_ai.response.finish_reasons": ["stop because he said so"], "gen_ai.usage.input_tokens": 1},
        {"input": 1},
        {"finish_reason": ""},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case.what for case in CASES])
def test_dialect_is_read(case: Case, reader: Any) -> None:
    fact = reader.fact(case.name, case.attributes, scope=case.scope, version=case.version)
    assert fact.about.span_class == SpanClass.LLM
    assert fact.usage is not None
    defaults = Usage(convention=fact.usage.convention)
    assert fact.usage == defaults._replace(**case.usage)
    assert {field: getattr(fact.about, field) for field in case.about} == case.about
    assert fact.response_id == case.response_id
    assert fact.about.scope_name == case.scope
    assert fact.about.scope_version == case.version
