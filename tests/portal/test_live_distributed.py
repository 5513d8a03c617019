"""Live pages where web server and worker are processes of their own, on PostgreSQL and Redis."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import requests

from tests import orders, processes
from tests.handlers import handler
from tests.portal.event_streams import open_stream
from tests.processes import manage, redis_server
from tests.runtime.distributed import Server, seeded_database, server

pytestmark = [pytest.mark.postgres, pytest.mark.redis]


@dataclass
class Running:
    """A server and the cookies of a user of the vendor."""

    server: Server
    cookies: str


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with (
        redis_server(tmp_path_factory.mktemp("redis")) as redis,
        seeded_database() as database,
        server(
            tmp_path_factory.mktemp("server"), database, redis.url, workers=1, beat=False
        ) as running,
    ):
        yield Running(running, _sign_in(running))


def _sign_in(running: Server) -> str:
    printed = processes.run(manage("signin", "vendor"), running.process.env)
    printed.check_returncode()
    link = re.search(r"/sign-in/\S+", printed.stdout)
    assert link
    session = requests.Session()
    assert session.get(running.url + link[0], timeout=10).status_code == 200
    return "; ".join(f"{name}={value}" for name, value in session.cookies.items())


def test_commits_of_the_worker_are_events_of_pages(running: Running) -> None:
    url = running.server.url
    with handler(None) as served, open_stream(url, running.cookies, "deliveries") as page:
        assert page.next() == {"deliveries"}
        hook = orders.webhook(running.server, served.url)["id"]
        page.until("deliveries")
        orders.purchase(running.server)
        served.next()
        with open_stream(url, running.cookies, f"webhooks:{hook}") as other:
            assert other.next() == {f"webhooks:{hook}"}
            began = time.monotonic()
            # The worker records the end of the request.
            served.release.set()
            other.until(f"webhooks:{hook}")
            assert time.monotonic() - began < 1
        running.server.as_vendor("DELETE", f"/notifications/webhooks/{hook}")
