"""Providers and models: from the spellings of spans to one."""

from __future__ import annotations

from spanledger_processor.normalise.schema import Providers, squeezed


def provider_of(table: Providers, said: str, host: str, models: tuple[str, ...], default: str) -> str:
    """The semantic-convention value, or empty where nothing says it for certain.

    `said` is the span's own word, `host` an address or URL, `default` what its scope always talks to. A host, and a
    model id that only a router knows, outweigh the name of a client library that many hosts understand.
    """
    named = _by_name(table, said.lower())
    if named in table.clients:
        routed = _by_host(table, host) or _by_model(table, models, route_only=True)
        if routed:
            return routed
    return named or default or _by_model(table, models, route_only=False)


def restored(table: Providers, provider: str, model: str) -> str:
    """The model id with the vendor that the provider's ids always have and some libraries take off."""
    for rule in table.restore.get(provider, ()):
        if rule.match.search(model):
            return rule.prefix + model
    return model


def _by_name(table: Providers, said: str) -> str:
    """By what the span calls it, with or without the interface behind the name."""
    front, _, interface = said.rpartition(".")
    if said not in table.names and interface in table.interfaces:
        said = front
    if said in table.names or said in table.unknown:
        return table.names.get(said, "")
    return table.squeezed.get(squeezed(said), said)


def region_of(table: Providers, address: str) -> str:
    """The region that the host of a request names; empty where it names none."""
    host = _host(address)
    found = (match.group(1) for pattern in table.regions if (match := pattern.search(host)))
    return next(found, "")


def _by_host(table: Providers, address: str) -> str:
    host = _host(address)
    return next((rule.provider for rule in table.hosts if rule.match.search(host)), "") if host else ""


def _host(address: str) -> str:
    host = address.partition("://")[2] or address
    return host.partition("/")[0].partition(":")[0].lower()


def _by_model(table: Providers, models: tuple[str, ...], route_only: bool) -> str:
    for rule in table.models:
        if (rule.route or not route_only) and any(rule.match.search(model.lower()) for model in models if model):
            return rule.provider
    return ""


def strip_prefix(table: Providers, model: str) -> tuple[str, str]:
    """A router's `provider/model` as (provider, model); the provider is empty where there is no such prefix."""
    prefix, slash, rest = model.partition("/")
    return (prefix, rest) if slash and rest and prefix.lower() in table.model_prefixes else ("", model)


def model_key(table: Providers, model: str) -> str:
    """What two reports of one model have in common: without vendor, route, version and date."""
    key = model.rpartition("/")[2].lower()
    for pattern in table.model_key.prefixes:
        key = pattern.sub("", key)
    for pattern in table.model_key.suffixes:
        key = pattern.sub("", key)
    return key
