"""Opening a store from a command."""

from __future__ import annotations

from importlib.util import find_spec

from spanledger.config.model import Config
from spanledger_core.clock import SystemClock
from spanledger_core.errors import ConfigError
from spanledger_exporter.address import StoreAddress
from spanledger_exporter.settings import StoreSettings
from spanledger_exporter.store import Store, open_store


def open_configured(config: Config) -> Store:
    """The store of the configuration. Raises `StoreUnavailable`; `ConfigError` where an extra is missing."""
    address = StoreAddress.parse(config.store_url, config.data_dir)
    return _open(address, StoreSettings(partitioning=config.partitioning, retention_days=config.retention_days))


def open_embedded(address: StoreAddress) -> Store:
    """An embedded store, to read it."""
    return _open(address, StoreSettings())


def _open(address: StoreAddress, settings: StoreSettings) -> Store:
    if address.kind == "embedded" and find_spec("chdb") is None:
        raise ConfigError(
            ["the embedded store needs an extra: pip install 'spanledger[embedded]'; or name a server with --store"]
        )
    return open_store(address, settings, SystemClock())
