"""What all tests share."""

import logging
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

# property tests are about what comes out, not about how long a busy machine takes
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def _kept_log() -> Iterator[None]:
    """Commands route the log of their process; run inside a test, their stream is closed when it ends."""
    root = logging.getLogger()
    handlers, level, configured = list(root.handlers), root.level, structlog.get_config()
    yield
    root.handlers[:], root.level = handlers, level
    structlog.configure(**configured)


own_log = pytest.fixture(autouse=True)(_kept_log)
module_log = pytest.fixture(autouse=True, scope="module")(_kept_log)
