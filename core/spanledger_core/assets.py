"""The one reader of data files that ship beside the code (SQL, price overlays, dashboards)."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[2]


def folder(package: str, name: str) -> Traversable:
    """The data folder `name`: inside `package` in a wheel, at the top of the repository in a checkout."""
    packaged = files(package) / name
    return packaged if packaged.is_dir() else _CHECKOUT / name
