"""The task worker of a sandbox with Redis as its broker."""

from __future__ import annotations

from pathlib import Path

from celery import Celery

from tests.engines import until
from tests.processes import redis_server, sandbox


def test_ended_task_worker_is_restarted(tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    with (
        redis_server(tmp_path / "redis") as redis,
        sandbox(tmp_path / "sandbox", CELERY_BROKER_URL=redis.url) as running,
        Celery(broker=redis.url) as outside,
    ):
        until(lambda: outside.control.ping(timeout=0.5), "the worker answers", timeout=30)
        outside.control.shutdown()
        until(lambda: not outside.control.ping(timeout=0.5), "the worker has ended")
        until(lambda: outside.control.ping(timeout=0.5), "the worker answers again", timeout=30)
        assert running.process.stop() == 0
    assert "task worker has ended" in running.process.printed
