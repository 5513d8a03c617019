"""Fixtures of all tests that run servers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from webhooks.delivery import validator_client


@pytest.fixture(autouse=True)
def validators_can_be_called() -> Iterator[None]:
    """Let later tests of this process call validators: a web server that stops forbids it."""
    yield
    validator_client.start()
