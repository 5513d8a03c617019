"""Fixtures of tests of extensions: an extension of the vendor, and a web server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from django.core.wsgi import get_wsgi_application
from django.db import connection, connections

from extensions import actions
from extensions.models import Environment
from tests import make
from tests.api import Caller, caller
from tests.extensions.runner import PURCHASE, Runner, runner
from tests.runtime.serving import serving

# Transactions at the same time (`--no-skips`).
collect_ignore = [] if connection.vendor == "postgresql" else ["test_claim_locks.py"]

Connect = Callable[..., AbstractContextManager[Runner]]


@pytest.fixture
def environment(catalog: make.Catalog) -> Environment:
    """The environment of an extension that subscribes to pending purchases of the product."""
    environment = actions.create(catalog.vendor, "Test", [catalog.product])
    environment.subscriptions = {PURCHASE: ["pending"]}
    environment.save()
    return environment


@pytest.fixture
def who(catalog: make.Catalog) -> Caller:
    """The vendor's client."""
    return caller(catalog.vendor)


@pytest.fixture
def server(
    transactional_db: None, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The URL of a web server with its gateway."""
    settings.SIM_DATA_DIR, settings.SIM_TLS_PORT = tmp_path, 0
    # A connection of the server's threads that stays open would hold the test's database.
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)
    with serving(get_wsgi_application(), settings, threads=4) as url:
        yield url


@pytest.fixture
def connect(server: str, environment: Environment, who: Caller) -> Connect:
    """Connect a runner of the extension."""

    def connect(**options: Any) -> AbstractContextManager[Runner]:
        return runner(server, who.key, environment.pk, **options)

    return connect
