"""Who answers, from the ways in which spans say it."""

from __future__ import annotations

import pytest

from spanledger_processor.normalise.providers import provider_of
from spanledger_processor.normalise.tables import tables


@pytest.mark.parametrize(
    ("said", "provider"),
    [
        ("openai.responses", "openai"),
        ("azure.responses", "azure.ai.openai"),
        ("google.generative-ai", "gcp.gemini"),
        ("google.vertex.embedding", "gcp.vertex_ai"),
        ("mistral.embedding", "mistral_ai"),
        ("cohere.textEmbedding", "cohere"),
        ("xai.responses", "x_ai"),
        ("deepinfra.chat", "deepinfra"),
        ("bedrock.anthropic.messages", "aws.bedrock"),
        # spellings that differ in what stands between the words
        ("AWS Bedrock", "aws.bedrock"),
        ("AwsBedrock", "aws.bedrock"),
        ("azure-ai-inference", "azure.ai.inference"),
        ("azure.ai.foundry", "azure.ai.inference"),
        ("googleai", "gcp.gemini"),
        ("google-cloud", "gcp.vertex_ai"),
        # no interface: the name itself
        ("aws.sagemaker", "aws.sagemaker"),
        ("ibm.watsonx.ai", "ibm.watsonx.ai"),
        # no provider
        ("gateway", ""),
        ("spring_ai", ""),
        ("gateway.realtime", ""),
    ],
)
def test_a_provider_is_known_with_the_interface_behind_its_name(said: str, provider: str) -> None:
    assert provider_of(tables().providers, said, "", ("some-model",), "") == provider
