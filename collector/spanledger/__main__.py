"""The console script: `spanledger`, or `python -m spanledger`."""

from __future__ import annotations

import sys

_SERVER_MODULES = {"typer", "rich", "pydantic", "pydantic_settings", "structlog", "yaml", "httpx"}


def main() -> None:
    """Run the command line; with the base install alone, say which extra it needs."""
    try:
        from spanledger.cli.app import app  # noqa: PLC0415 - missing without the extra
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _SERVER_MODULES:
            raise
        print(
            "spanledger: this is the base install, for applications that stamp their spans.\n"
            "The collector and its commands need an extra:\n"
            "  pip install 'spanledger[embedded]'   with its own store, nothing else to install\n"
            "  pip install 'spanledger[server]'     with a ClickHouse server",
            file=sys.stderr,
        )
        sys.exit(1)
    app(prog_name="spanledger")


if __name__ == "__main__":
    main()
