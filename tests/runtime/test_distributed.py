"""PostgreSQL, Redis and two workers: each delivery runs once, and does not depend on Redis."""

from __future__ import annotations

import re
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
import requests

from tests import orders, processes
from tests.e2e import validating
from tests.e2e.test_validators_load import (
    event,
    hook,
    pool,
    test_more_validations_than_threads_block_no_other_request,
    validator,
)
from tests.e2e.validating import Json, Validator
from tests.engines import until
from tests.handlers import Handler, handler
from tests.marks import nightly
from tests.processes import Redis, manage, redis_server
from tests.runtime.distributed import COMPOSE, Server, command, seeded_database, server

# The health checks of services, without the program's name, and how they begin without heartbeats.
COMPOSE_CHECKS = [
    pytest.param(COMPOSE["services"][name]["healthcheck"]["test"][2:], missing, id=name)
    for name, missing in (("worker", "No worker"), ("beat", "No task of the scheduler"))
]
# The test also runs on one process.
__all__ = [
    "event",
    "hook",
    "pool",
    "test_more_validations_than_threads_block_no_other_request",
    "validator",
]


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with redis_server(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture(scope="module")
def running(redis: Redis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with (
        seeded_database() as database,
        server(tmp_path_factory.mktemp("server"), database, redis.url) as running,
    ):
        yield running


@pytest.fixture
def served() -> Iterator[Handler]:
    with handler() as served:
        yield served


def test_each_delivery_is_sent_once(running: Server, served: Handler) -> None:
    with orders.subscribed(running, served.url) as hook:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: orders.purchase(running), range(40)))
        orders.until_stats(running, hook, events=40, triggers=40, success_triggers=40)
    # No worker has repeated a delivery of the other.
    assert Counter(request.json["webhook_id"] for request in served.received) == {hook: 40}


@pytest.mark.nightly(reason="four workers: two run each time")
def test_four_workers_start_together_and_send_each_delivery_once(
    redis: Redis, served: Handler, tmp_path: Path
) -> None:
    """As `docker compose up --scale worker=4`: the database is migrated once, before all start."""
    with seeded_database() as database, server(tmp_path, database, redis.url, workers=4) as running:
        processes.output(command("migrate"), running.process.env)
        hook = orders.webhook(running, served.url)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: orders.purchase(running), range(100)))
        orders.until_stats(running, hook["id"], events=100, triggers=100, success_triggers=100)
        assert len(served.received) == 100
        assert all(worker.popen.poll() is None for worker in running.workers)


@pytest.mark.parametrize(("arguments", "missing"), COMPOSE_CHECKS)
def test_health_check_reads_the_heartbeat(
    running: Server, arguments: list[str], missing: str
) -> None:
    def check(**variables: str) -> tuple[int, str]:
        env = {**running.process.env, **variables}
        done = processes.run([sys.executable, *arguments], env)
        return done.returncode, done.stdout.strip()

    until(lambda: check() == (0, "ok"), "it has reported", timeout=60)
    [unreachable, printed] = check(DATABASE_URL="postgres://u:secret-word@127.0.0.1:1/n")
    assert unreachable == 1 and "secret-word" not in printed
    with seeded_database() as other:
        code, printed = check(DATABASE_URL=other)
        assert code == 1 and printed.startswith(missing)


def test_deliveries_continue_without_redis(running: Server, redis: Redis, served: Handler) -> None:
    with orders.subscribed(running, served.url) as hook:
        redis.stop()
        try:
            durations = []
            for _ in range(3):
                started = time.monotonic()
                orders.purchase(running)
                durations.append(time.monotonic() - started)
                served.next(timeout=2)
        finally:
            redis.start()
        # Three API requests each: two lookups and the purchase. The machine may be busy for once.
        assert statistics.median(durations) < 1
        orders.until_stats(running, hook, events=3, triggers=3, success_triggers=3)
        orders.purchase(running)
        served.next(timeout=5)


def session_headers(running: Server) -> dict[str, str]:
    """Sign in the administrator and return the headers of the session."""
    link = processes.output(manage("signin"), running.process.env).strip()
    response = requests.get(link, allow_redirects=False, timeout=10)
    # The cookie is restricted to TLS, so it is set here.
    [cookie] = [each for each in response.cookies if each.name.startswith("sessionid-")]
    return {"Cookie": f"{cookie.name}={cookie.value}"}


def test_home_shows_the_state_of_other_processes(running: Server, redis: Redis) -> None:
    headers = session_headers(running)

    def shows(workers: int, **expected: str) -> bool:
        page = requests.get(f"{running.url}/home/live/", headers=headers, timeout=10).text
        states = dict(re.findall(r'data-component="(\w+)"\s+data-state="(\w+)"', page))
        is_counted = ("2 processes." in page) == (workers == 2)
        expected = {"Worker": "good", "Database": "good"} | expected
        return is_counted and states.items() >= expected.items()

    until(lambda: shows(2, Scheduler="good", Broker="good"), "all components work", timeout=30)
    redis.stop()
    try:
        until(lambda: shows(2, Broker="bad"), "the broker is unreachable")
    finally:
        redis.start()
    [stopped, other] = running.workers
    stopped.stop()
    try:
        until(lambda: shows(1), "one worker less, as soon as it has stopped")
    finally:
        stopped.start()
    assert other.popen.poll() is None


def test_deliveries_continue_without_beat(running: Server, served: Handler) -> None:
    assert running.beat is not None
    running.beat.stop()
    try:
        with orders.subscribed(running, served.url):
            orders.purchase(running)
            served.next(timeout=2)
    finally:
        running.beat.start()


def test_stop_of_web_server_ends_validation_in_flight(
    running: Server, validator: Validator, hook: Json, pool: ThreadPoolExecutor
) -> None:
    flow = validating.draft(running)
    before = flow.read()
    validator.rules(validator={"hold": True})
    waiting = pool.submit(flow.validate)
    validator.until_received(1, flow.pk)
    assert running.process.stop() == 0
    response = waiting.result()
    running.process.start()
    running.wait_for_web()
    assert (response.status_code, response.json()) == (
        400,
        {
            "error_code": "VAL_100",
            "errors": [
                "Validation service is not available.",
                "Sandbox stopped during the request: the outcome is unknown.",
            ],
        },
    )
    assert flow.read() == before
    stats = orders.stats(running, hook["id"])
    assert (stats["triggers"], stats["success_triggers"], stats["failure_triggers"]) == (1, 0, 0)


def expire_leases(running: Server) -> None:
    """Let the leases of killed workers end now instead of 30 s after the claim."""
    with psycopg.connect(running.process.env["DATABASE_URL"]) as database:
        database.execute("UPDATE webhooks_delivery SET lease = 0 WHERE state = 'calling'")


@pytest.mark.parametrize("end", [expire_leases, nightly(lambda running: None, reason="waits 30 s")])
def test_delivery_of_killed_worker_is_repeated(
    running: Server, end: Callable[[Server], None]
) -> None:
    with handler(None) as hanging, orders.subscribed(running, hanging.url) as hook:
        orders.purchase(running)
        hanging.next()
        for worker in running.workers:
            worker.kill()
        end(running)
        hanging.respond = lambda request: 200
        hanging.release.set()
        for worker in running.workers:
            worker.start()
        hanging.next(timeout=60)
        orders.until_stats(running, hook, events=1, triggers=2, success_triggers=1)
