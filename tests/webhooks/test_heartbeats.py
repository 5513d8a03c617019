"""An engine records heartbeats while it runs, and deletes its own when it stops."""

from __future__ import annotations

import pytest

from requests_queue import heartbeats
from requests_queue.heartbeats import WORKER
from tests.engines import running, until

pytestmark = pytest.mark.django_db(transaction=True)


def test_engine_has_heartbeat_until_it_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeats, "_next", {})
    assert heartbeats.by_kind() == {}
    with running():
        until(
            lambda: WORKER in heartbeats.by_kind() and heartbeats.by_kind()[WORKER].alive,
            "a sign of life",
        )
    assert heartbeats.by_kind() == {}
