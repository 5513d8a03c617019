"""Fixtures of the tests of MCP: the sandbox's web server in this process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.wsgi import get_wsgi_application
from django.db import connections

from tests.api import Caller
from tests.runtime.serving import serving
from tests.sandbox.mcp.agents import Agent


@pytest.fixture
def url(client: Caller, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of the server, whose only thread must not be held by a wait."""
    # PostgreSQL's database of the tests cannot be dropped while a thread is connected.
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)
    with serving(get_wsgi_application(), settings, threads=1) as url:
        yield url


@pytest.fixture
def agent(url: str, client: Caller) -> Agent:
    """An agent with the vendor's key."""
    return Agent(url, str(client.key))
