"""Wake-ups: this process's engine directly, those of others by Redis or a task."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kombu.exceptions import OperationalError

from requests_queue import task_messages
from tests.processes import Redis, redis_server
from webhooks.delivery import wakeup


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(wakeup, "time", clock)
    monkeypatch.setattr(wakeup, "_paused_until", 0.0)
    return clock


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    published: list[int] = []
    monkeypatch.setattr(task_messages, "send", lambda task: published.append(1))
    return published


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with redis_server(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def redis(server: Redis, settings: Any) -> Iterator[Redis]:
    """A broker without a wake-up."""
    settings.CELERY_BROKER_URL = server.url
    wakeup._redis.cache_clear()
    wakeup._redis().delete(wakeup.KEY)
    yield server
    wakeup._redis.cache_clear()


def test_engine_of_this_process_is_woken_directly(
    monkeypatch: pytest.MonkeyPatch, published: list[int], settings: Any
) -> None:
    woken: list[int] = []
    monkeypatch.setattr(wakeup, "wake_engine", lambda: woken.append(1))
    for settings.CELERY_BROKER_URL in ("memory://localhost/", "redis://127.0.0.1:1/0"):
        wakeup.send()
    assert (len(woken), len(published)) == (2, 0)


def test_nothing_is_published_to_memory(published: list[int], settings: Any) -> None:
    settings.CELERY_BROKER_URL = "memory://localhost/"
    wakeup.send()
    assert not published


def test_any_number_of_deliveries_wakes_one_engine(redis: Redis, published: list[int]) -> None:
    for _ in range(3):
        wakeup.send()
    assert wakeup._redis().zcard(wakeup.KEY) == 1
    assert not published


@pytest.mark.parametrize("scheme", ["amqp", "sentinel", "redis+socket"])
def test_task_is_published_where_the_broker_is_not_a_redis_server(
    scheme: str, clock: Clock, published: list[int], settings: Any
) -> None:
    settings.CELERY_BROKER_URL = f"{scheme}://127.0.0.1:1/0"
    wakeup.send()
    assert len(published) == 1


def test_nothing_is_published_for_five_seconds_after_broker_failed(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.CELERY_BROKER_URL = "amqp://127.0.0.1:1//"
    tried: list[int] = []

    def publish(task: str) -> None:
        tried.append(1)
        raise OperationalError("away")

    monkeypatch.setattr(task_messages, "send", publish)
    for _ in range(3):
        wakeup.send()
        clock.now += 2
    assert len(tried) == 1
    wakeup.send()
    assert len(tried) == 2
