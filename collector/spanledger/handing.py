"""Handing a job to the collector that has the store open, whichever folder it keeps its data in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from spanledger import control
from spanledger.config.model import Config
from spanledger_core.errors import StoreUnavailable
from spanledger_exporter.address import StoreAddress


def identity(address: StoreAddress) -> str:
    """What is equal for two addresses of one store, whoever asks for it."""
    if address.kind == "embedded":
        return f"chdb {address.path.resolve() if address.path else 'in memory'} {address.database}"
    return f"{address.host}:{address.port}/{address.database}"


def collector_folder(config: Config) -> Path | None:
    """The data directory of the collector on this machine that has the configured store open; None if there is none."""
    address = StoreAddress.parse(config.store_url, config.data_dir)
    folders = [config.data_dir, *([address.path.parent] if address.path else [])]
    for folder in dict.fromkeys(folder.absolute() for folder in folders):
        try:
            (told,) = control.ask(folder, "store")
        except OSError:
            continue  # nobody listens there
        if told["result"]["store"] == identity(address):
            return folder
    return None


def hand_over(folder: Path, job: str, tell: Callable[[Mapping[str, Any]], None], **arguments: Any) -> Mapping[str, Any]:
    """The result of a job of the collector in `folder`. Raises `ConfigError` with its reason, `StoreUnavailable`."""
    try:
        for told in control.ask(folder, job, **arguments):
            if "result" in told:
                result: Mapping[str, Any] = told["result"]
                return result
            tell(told)
    except OSError as error:
        raise StoreUnavailable(f"the collector in {folder} did not finish the job: {error}") from error
    raise StoreUnavailable(f"the collector in {folder} ended before the job did; run it again")


class StoreJob:
    """Says which store this collector has open."""

    def __init__(self, address: StoreAddress) -> None:
        self._identity = identity(address)

    def __call__(self, asked: Mapping[str, Any], tell: Callable[[Mapping[str, Any]], None]) -> Mapping[str, Any]:
        """No arguments."""
        return {"store": self._identity}
