"""Redis is frozen and killed with a backlog of messages: workers and deliveries continue."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery

from tests import orders
from tests.engines import until
from tests.handlers import handler
from tests.processes import Redis, pause, redis_server
from tests.runtime.distributed import Server, seeded_database, server

BACKLOG = 300


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    (tmp_path / "redis").mkdir()
    with redis_server(tmp_path / "redis") as running:
        yield running


@pytest.fixture
def running(redis: Redis, tmp_path: Path) -> Iterator[Server]:
    with (
        seeded_database() as database,
        server(tmp_path, database, redis.url, workers=2, beat=False) as running,
    ):
        yield running


def queue_messages(redis: Redis) -> None:
    """Fill the broker's queue, so that messages are acknowledged when Redis fails."""
    with Celery(broker=redis.url) as app, app.producer_or_acquire() as producer:
        for _ in range(BACKLOG):
            app.send_task("webhooks.tasks.pump", producer=producer, retry=False)


def is_consuming(redis: Redis) -> bool:
    """Return whether a worker has consumed messages of the backlog."""
    with Celery(broker=redis.url) as app, app.connection_for_read() as connection:
        return connection.default_channel.client.llen("celery") < BACKLOG


def interrupt(redis: Redis) -> None:
    """Freeze Redis while workers acknowledge, kill it, and start an empty one."""
    redis.process.popen.send_signal(signal.SIGSTOP)
    for _ in range(3):
        pause()
    redis.process.kill()
    redis.start()


def run_outages(running: Server, redis: Redis, count: int) -> None:
    """Interrupt Redis `count` times, each time with one newly started worker."""
    for number in range(count):
        worker = running.workers[number % len(running.workers)]
        worker.kill()
        queue_messages(redis)
        worker.start()
        until(lambda: is_consuming(redis), "messages are consumed", timeout=30)
        queue_messages(redis)
        interrupt(redis)
        until(lambda: is_idle(redis), "the consumers continue", timeout=30)
        ended = [each for each in running.workers if each.popen.poll() is not None]
        assert not ended, ended[0].printed[-5000:]


def is_idle(redis: Redis) -> bool:
    """Return whether a newly queued message is consumed."""
    with Celery(broker=redis.url) as app, app.connection_for_read() as connection:
        client = connection.default_channel.client
        if client.llen("celery") == 0:
            app.send_task("webhooks.tasks.pump", retry=False)
        pause()
        return bool(client.llen("celery") == 0)


def test_no_worker_ends_when_redis_is_killed(running: Server, redis: Redis) -> None:
    with handler() as served:
        hook = orders.webhook(running, served.url)
        run_outages(running, redis, 1)
        orders.purchase(running)
        orders.until_stats(running, hook["id"], events=1, triggers=1, success_triggers=1)


@pytest.mark.nightly(reason="forty outages: one runs each time")
def test_no_worker_ends_in_forty_outages(running: Server, redis: Redis) -> None:
    run_outages(running, redis, 40)
