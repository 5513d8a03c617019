"""An engine leaves signs of life while it runs, and takes its own back when it stops."""

from __future__ import annotations

import pytest

from requests_queue import pulses
from requests_queue.pulses import WORKER
from tests.engines import running, until

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_engine_is_heard_of_until_it_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulses, "_next", {})
    assert pulses.heard() == {}
    with running():
        until(lambda: WORKER in pulses.heard() and pulses.heard()[WORKER].alive, "a sign of life")
    assert pulses.heard() == {}
