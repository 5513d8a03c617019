"""An engine is woken through Redis by other processes, also after Redis was away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from django.db import transaction

from tests import make
from tests.engines import running, settled, until
from tests.handlers import handler
from tests.processes import Redis, redis_server
from webhooks.delivery import engine, fan_out, wakeup
from webhooks.models import Attempt, Webhook

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def redis(tmp_path: Any, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Redis]:
    monkeypatch.setattr(wakeup, "PAUSES", (0.01, 0.05))
    monkeypatch.setattr(wakeup, "_paused_until", 0.0)
    with redis_server(tmp_path) as server:
        settings.CELERY_BROKER_URL = server.url
        wakeup._redis.cache_clear()
        yield server
        wakeup._redis.cache_clear()


@pytest.fixture
def rare_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines read the database only when they are woken."""
    monkeypatch.setattr(engine, "TICK", 300.0)


def listening(count: int = 1) -> Any:
    """Whether as many engines wait for a wake-up."""
    commands = [c["cmd"] for c in wakeup._redis().client_list() if "b" in c["flags"]]
    return commands.count("bzpopmin") == count


def is_left() -> bool:
    """Whether there is a wake-up that no engine has taken."""
    return bool(wakeup._redis().zcard(wakeup.KEY))


def trigger(hook: Webhook) -> None:
    with transaction.atomic():
        fan_out.trigger(hook)


def note_wakeup(woken: list[int], number: int, wake: Callable[[], None]) -> None:
    woken.append(number)
    wake()


def attempts() -> int:
    return Attempt.objects.count()


def test_engine_is_woken_by_another_process(redis: Redis, rare_polls: None) -> None:
    with handler() as served, running():
        hook = make.webhook(make.catalog(), served.url)
        until(listening, "the engine listens")
        for count in (1, 2):
            trigger(hook)
            until(lambda: attempts() == count and settled(), "it was sent")  # noqa: B023


def test_engine_is_woken_again_after_redis_was_killed(
    redis: Redis, rare_polls: None, caplog: pytest.LogCaptureFixture
) -> None:
    with handler() as served, running():
        hook = make.webhook(make.catalog(), served.url)
        until(listening, "the engine listens")
        redis.process.kill()
        until(lambda: "broker is unavailable" in caplog.text, "the engine has noticed")
        redis.start()
        until(listening, "the engine listens again")
        trigger(hook)
        until(lambda: attempts() == 1, "it was sent")
    assert caplog.text.count("broker is unavailable") == 1
    assert "broker is available again" in caplog.text


def test_polls_deliver_while_redis_is_away(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "TICK", 0.05)
    redis.process.kill()
    with handler() as served, running():
        trigger(make.webhook(make.catalog(), served.url))
        until(lambda: attempts() == 1, "it was sent")


def test_one_of_two_engines_is_woken(redis: Redis, rare_polls: None) -> None:
    with running(2) as engines:
        until(lambda: listening(2), "both listen")
        woken: list[int] = []
        for number, engine in enumerate(engines):
            listener = engine._listener
            assert listener is not None
            listener._wake = partial(note_wakeup, woken, number, listener._wake)
        for count in (1, 2):
            wakeup.send()
            until(lambda: len(woken) == count and listening(2), "one was woken")  # noqa: B023
        # The one that has waited longest.
        assert sorted(woken) == [0, 1]


def test_engine_without_free_slots_leaves_wake_ups_to_others(
    redis: Redis, rare_polls: None
) -> None:
    with handler(None) as served, running(slots=1):
        hook = make.webhook(make.catalog(), served.url)
        until(listening, "the engine listens")
        trigger(hook)
        served.next()
        # It passes wake-ups on, because it may not have claimed everything. The first one may have
        # come during a poll that had begun before the commit.
        wakeup.send()
        until(lambda: listening(0) and is_left(), "its only slot is in use")
        served.release.set()
        until(lambda: listening(1) and not is_left(), "the slot is free")
