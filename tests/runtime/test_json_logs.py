"""SIM_LOG_FORMAT=json: each line that a process prints is a JSON object, without a secret."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import requests

from tests import orders
from tests.engines import until
from tests.handlers import handler
from tests.otlp import collector
from tests.processes import Process, Redis, Sandbox, redis_server, sandbox
from tests.runtime.distributed import seeded_database, server

JSON = {"SIM_LOG_FORMAT": "json", "SIM_LOG_LEVEL": "DEBUG"}
HEADER = "canary-of-a-configured-header"
CONTROL = "\x1b]0;title\x07\x1b[2J\x00\x7f\u2028\r\n"


def lines(process: Process) -> list[dict[str, Any]]:
    """Return what a process has printed; each line must be a JSON object in printable ASCII."""
    printed = process.log.read_bytes().decode("ascii")
    result = []
    for text in printed.removesuffix("\n").split("\n"):
        assert text.isprintable(), text
        line = json.loads(text)
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
        assert line["level"] and line["logger"] and isinstance(line["message"], str)
        result.append(line)
    return result


def attempts(printed: list[dict[str, Any]], webhook: str) -> list[dict[str, Any]]:
    return [line for line in printed if line.get("webhook") == webhook and "outcome" in line]


def deliver(running: Sandbox, url: str) -> str:
    """Send a delivery and make an API call with control characters; return the webhook."""
    hook = orders.webhook(running, url, jwt_secret=orders.SECRET, http={"headers": {"X-A": HEADER}})
    order = orders.purchase(running)
    orders.until_stats(running, hook["id"], triggers=1)
    response = requests.get(
        f"{running.url}//public/v1/requests/{order['id']}%0a%1b[2J{{}}?key={HEADER}",
        headers={"Authorization": f"ApiKey {running.vendor_key}", "X-Request-ID": "from-a-proxy.1"},
        timeout=10,
    )
    assert (response.status_code, response.headers["X-Request-ID"]) == (404, "from-a-proxy.1")
    return str(hook["id"])


def secrets(running: Sandbox, tokens: list[str]) -> list[str]:
    return [
        orders.SECRET,
        HEADER,
        running.vendor_key.partition(":")[2],
        running.provider_key.partition(":")[2],
        *tokens,
    ]


def test_every_line_of_a_sandbox_is_json(tmp_path: Path) -> None:
    body = CONTROL.encode() + b'{"level": "CRITICAL"}'
    with handler((500, body)) as failing, sandbox(tmp_path, **JSON) as running:
        webhook = deliver(running, failing.url)
        tokens = [request.token for request in failing.received]
        assert "traceparent" not in failing.received[0].headers
        assert running.process.stop() == 0
    printed = lines(running.process)
    [line] = attempts(printed, webhook)
    assert line["level"] == "INFO" and line["account"] == "VA-610-138"
    assert (line["delivery"], line["attempt"], line["outcome"], line["status"]) == (
        line["delivery"],
        1,
        "failure",
        500,
    )
    [request] = [
        line
        for line in printed
        if line.get("request_id") == "from-a-proxy.1" and line["logger"] == "connect_sim.requests"
    ]
    assert (request["method"], request["status"]) == ("GET", 404)
    assert request["account"] == "VA-610-138" and "?" not in request["path"]
    text = running.process.printed
    assert tokens and not [secret for secret in secrets(running, tokens) if secret in text]


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with redis_server(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.mark.postgres
@pytest.mark.redis
def test_every_line_of_web_worker_and_beat_is_json(redis: Redis, tmp_path: Path) -> None:
    with (
        collector() as receiving,
        handler(204) as served,
        seeded_database() as database,
        server(
            tmp_path, database, redis.url, workers=1, SIM_OTLP_ENDPOINT=receiving.url, **JSON
        ) as running,
    ):
        webhook = deliver(running, served.url)
        tokens = [request.token for request in served.received]
        [worker], beat = running.workers, running.beat
        assert beat is not None
        until(lambda: "celery.beat" in beat.printed, "beat logs")
        processes = [running.process, worker, beat]
        assert [process.stop() for process in processes] == [0, 0, 0]
    web, work, schedule = map(lines, processes)
    assert any(line["logger"] == "connect_sim.requests" for line in web)
    [line] = attempts(work, webhook)
    assert (line["attempt"], line["outcome"], line["status"]) == (1, "success", 204)
    # Celery's own option, WARNING, hides none of them.
    assert {line["level"] for line in work} >= {"DEBUG", "INFO"}
    assert any(line["logger"].startswith("celery") for line in work)
    assert any(line["logger"] == "celery.beat" for line in schedule)
    text = "".join(process.printed for process in processes)
    assert tokens and not [secret for secret in secrets(running, tokens) if secret in text]
    # One trace leads through both processes, and their log lines name it.
    [attempt] = receiving.find(connect_sim_webhook=webhook)
    [request] = receiving.find(id=attempt.parent)
    assert request.name == "POST /public/v1/requests" and request.trace == attempt.trace
    assert request.resource["service.instance.id"] != attempt.resource["service.instance.id"]
    assert line["trace_id"] == attempt.trace
    assert line["trace_id"] in {each.get("trace_id") for each in web}
    assert not [
        secret
        for secret in secrets(running, tokens)
        if secret.encode() in b"".join(receiving.bodies)
    ]
