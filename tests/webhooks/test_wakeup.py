"""Wake-up messages: one at a time, and a lost one is replaced."""

from __future__ import annotations

from typing import Any

import pytest
from kombu.exceptions import OperationalError

from webhooks.delivery import wakeup


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Clock:
    settings.CELERY_BROKER_URL = "memory://localhost/"
    clock = Clock()
    monkeypatch.setattr(wakeup, "time", clock)
    monkeypatch.setattr(wakeup, "_pending_until", 0.0)
    monkeypatch.setattr(wakeup, "_paused_until", 0.0)
    return clock


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    sent: list[int] = []
    monkeypatch.setattr(wakeup, "_publish", lambda: sent.append(1))
    return sent


def test_one_message_is_on_its_way_at_a_time(clock: Clock, sent: list[int]) -> None:
    wakeup.send()
    wakeup.send()
    assert len(sent) == 1
    wakeup.clear()
    wakeup.send()
    assert len(sent) == 2


def test_lost_message_in_memory_is_sent_again_after_a_second(clock: Clock, sent: list[int]) -> None:
    wakeup.send()
    clock.now += 0.9
    wakeup.send()
    assert len(sent) == 1
    clock.now += 0.2
    wakeup.send()
    assert len(sent) == 2


def test_nothing_is_published_for_five_seconds_after_broker_failed(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def publish() -> None:
        tried.append(1)
        raise OperationalError("away")

    monkeypatch.setattr(wakeup, "_publish", publish)
    for _ in range(3):
        wakeup.send()
        clock.now += 2
    assert len(tried) == 1
    wakeup.send()
    assert len(tried) == 2
