"""An engine leaves signs of life while it runs, and takes its own back when it stops."""

from __future__ import annotations

import pytest

from requests_queue import heartbeats
from requests_queue.heartbeats import WORKER
from tests.engines import running, until

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_engine_is_heard_of_until_it_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeats, "_next", {})
    assert heartbeats.by_kind() == {}
    with running():
        until(
            lambda: WORKER in heartbeats.by_kind() and heartbeats.by_kind()[WORKER].alive,
            "a sign of life",
        )
    assert heartbeats.by_kind() == {}
