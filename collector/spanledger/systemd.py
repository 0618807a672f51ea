"""Telling systemd how the collector is: `Type=notify`, without a library."""

from __future__ import annotations

import socket
from collections.abc import Mapping


def notify(state: str, environ: Mapping[str, str]) -> bool:
    """Send `READY=1`, `STOPPING=1`, `RELOADING=1`, `WATCHDOG=1` or `STATUS=...`; False where nobody listens.

    The protocol is one datagram to the socket in NOTIFY_SOCKET, see sd_notify(3).
    """
    target = environ.get("NOTIFY_SOCKET", "")
    if not target:
        return False
    if target.startswith("@"):
        target = "\0" + target[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.sendto(state.encode(), target)
    except OSError:
        # A supervisor that went away must not take the collector with it.
        return False
    return True
