"""Live pages where web server and worker are processes of their own, on PostgreSQL and Redis."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import requests

from tests import orders, processes
from tests.handlers import handler
from tests.portal.event_streams import open_stream
from tests.processes import manage, redis_server
from tests.runtime.distributed import Server, seeded_database, server

pytestmark = [pytest.mark.postgres, pytest.mark.redis]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with (
        redis_server(tmp_path_factory.mktemp("redis")) as redis,
        seeded_database() as database,
        server(
            tmp_path_factory.mktemp("server"), database, redis.url, workers=1, beat=False
        ) as running,
    ):
        yield running


@pytest.fixture(scope="module")
def cookies(running: Server) -> str:
    """The cookies of a user of the vendor."""
    printed = processes.run(manage("signin", "vendor"), running.process.env)
    path = printed.stdout[printed.stdout.index("/sign-in/") :].strip()
    session = requests.Session()
    assert session.get(running.url + path, timeout=10).ok
    return "; ".join(f"{name}={value}" for name, value in session.cookies.items())


def test_commits_of_the_worker_are_events_of_pages(running: Server, cookies: str) -> None:
    with handler(None) as served, open_stream(running.url, cookies, "deliveries") as page:
        assert page.next() == {"deliveries"}
        hook = orders.webhook(running, served.url)["id"]
        page.until("deliveries")
        orders.purchase(running)
        served.next()
        with open_stream(running.url, cookies, f"webhooks:{hook}") as other:
            assert other.next() == {f"webhooks:{hook}"}
            began = time.monotonic()
            # The worker records the end of the request.
            served.release.set()
            other.until(f"webhooks:{hook}")
            assert time.monotonic() - began < 1
        running.as_vendor("DELETE", f"/notifications/webhooks/{hook}")
