"""Fixtures of the tests that run servers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from webhooks.delivery import validator_client


@pytest.fixture(autouse=True)
def restart_validator_client() -> Iterator[None]:
    """Restart the validator client, which a web server stops at its end."""
    yield
    validator_client.start()
