"""Waits where web server and worker are processes of their own, on PostgreSQL and Redis."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests import orders
from tests.handlers import handler
from tests.processes import redis_server
from tests.runtime.distributed import Server, seeded_database, server
from tests.runtime.serving import connect, read

pytestmark = [pytest.mark.postgres, pytest.mark.redis]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with (
        redis_server(tmp_path_factory.mktemp("redis")) as redis,
        seeded_database() as database,
        server(
            tmp_path_factory.mktemp("server"),
            database,
            redis.url,
            workers=1,
            beat=False,
            SIM_PROFILE="sandbox",
        ) as running,
    ):
        yield running


def wait(running: Server, until: Any, **values: Any) -> Any:
    response = running.call("POST", "/sandbox/wait", {"until": until, "timeout": 20, **values})
    assert response.status_code == 200, response.text
    return response.json()


def test_commits_of_the_worker_wake_waits_of_the_web_server(running: Server) -> None:
    with handler(None) as served:
        hook = orders.webhook(running, served.url)["id"]
        body = json.dumps({"until": {"delivered": {"webhook": hook}}, "timeout": 600}).encode()
        head = (
            f"POST /sandbox/wait HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: ApiKey {running.vendor_key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        with connect(running.url, 20) as line:
            line.sendall(head.encode() + body)
            orders.purchase(running)
            served.next()
            served.release.set()
            status, _, content = read(line, "POST")
        assert status == 200
        assert json.loads(content)["evidence"][0]["webhook"] == hook
        running.as_vendor("DELETE", f"/notifications/webhooks/{hook}")


def test_commits_of_the_worker_wake_reads_of_the_timeline(running: Server) -> None:
    with handler(None) as served:
        hook = orders.webhook(running, served.url)["id"]
        cursor = running.call("GET", "/sandbox/cursor").json()["cursor"]
        query = f"since={cursor}&webhook={hook}&kind=attempt_finished"
        head = (
            f"GET /sandbox/timeline?{query}&wait=600 HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: ApiKey {running.vendor_key}\r\n\r\n"
        )
        with connect(running.url, 20) as line:
            line.sendall(head.encode())
            orders.purchase(running)
            served.next()
            served.release.set()
            status, _, content = read(line)
        assert status == 200
        [entry] = json.loads(content)["entries"]
        assert (entry["kind"], entry["webhook"]) == ("attempt_finished", hook)
        running.as_vendor("DELETE", f"/notifications/webhooks/{hook}")


def test_restore_ends_a_request_in_flight_in_the_worker(running: Server) -> None:
    with handler(None) as served:
        hook = orders.webhook(running, served.url)["id"]
        orders.purchase(running)
        served.next()
        body = {"name": "in-flight", "patience": 0}
        assert running.call("POST", "/sandbox/snapshots", body).status_code == 201
        path = "/sandbox/snapshots/in-flight"
        assert running.call("POST", f"{path}/restore", {"patience": 0}).status_code == 200
        # The worker doesn't wait for the response: the restored delivery is sent again.
        served.next()
        served.release.set()
        wait(running, {"delivered": {"webhook": hook}})
        [delivery] = running.call("GET", f"/sandbox/deliveries?webhook={hook}").json()["deliveries"]
        assert [each["outcome"] for each in delivery["attempts"]] == ["unknown", "success"]
        running.as_vendor("DELETE", f"/notifications/webhooks/{hook}")
        running.call("DELETE", path)


def test_skip_moves_the_clock_for_the_worker(running: Server) -> None:
    with handler(500) as served:
        hook = orders.webhook(running, served.url)["id"]
        orders.purchase(running)
        answer = wait(running, {"called": {"webhook": hook, "times": 3}}, skip=True)
        assert len(answer["evidence"]) == 3
        assert len(served.received) == 3
        # The clock runs again.
        assert running.advance("0s")["stops"] == 0
        running.as_vendor("DELETE", f"/notifications/webhooks/{hook}")
