"""A running sandbox: its commands, clock, waits and resets, and the examples of handlers."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import datetime
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from benchmarks.part import Part, post, time_call
from benchmarks.processes import Process
from benchmarks.table import Bound, Row, in_rounds, in_turn
from tests import examples, orders
from tests.examples import subscribed
from tests.processes import ROOT, Sandbox, pause

SAMPLE = {"queue": "fulfillment", "type": "purchase", "product": orders.PLAIN}


def cli(part: Part) -> Iterator[Row]:
    """Start commands of `connect-sim` in turn with a bare Python."""
    env = part.sandbox().process.env

    def start(*arguments: str) -> float:
        options = {"env": env, "cwd": ROOT, "stdout": subprocess.DEVNULL, "check": True}
        return time_call(partial(subprocess.run, [sys.executable, *arguments], **options))[0] * 1e3

    for command in (["clock", "show"], ["hold", "list"], ["--help"]):
        bare, ours = in_turn(
            part.size(5, 31),
            lambda: start("-c", "pass"),
            lambda command=command: start("-P", "-m", "connect_sim", *command),
        )
        # The fastest start: other work on the machine only adds to it. Both are warm.
        yield Row(
            f"connect-sim {' '.join(command)}, ms",
            min(ours),
            min(bare),
            "python -c pass",
            Bound(300),
            absolute=True,
        )


def clock(part: Part) -> Iterator[Row]:
    """Let a dead handler fail until it is out of order, and move the clock over nothing."""
    rounds, moves = part.size((1, 3), (5, 50))
    sandbox = part.sandbox()

    def fail() -> tuple[float, float]:
        with subscribed(sandbox, f"{part.handler_url}/fail/") as hook:
            post(sandbox, "queue/samples", SAMPLE)
            seconds, moved = time_call(lambda: post(sandbox, "clock/run-until-idle"))
            failures = orders.stats(sandbox, hook)["failure_triggers"]
        assert failures == 10, f"{failures} failures instead of 10"
        start, end = (datetime.fromisoformat(moved[name]).timestamp() for name in ("from", "now"))
        return seconds, (end - start) / 3600

    post(sandbox, "clock/run-until-idle")
    seconds, simulated = zip(*(fail() for _ in range(rounds)), strict=True)
    yield in_rounds(
        f"10 failures to out of order ({median(simulated):.0f} h), s", seconds, bound=Bound(2)
    )
    idle = [
        time_call(lambda: post(sandbox, "clock/advance", {"by": "1s"}))[0] for _ in range(moves)
    ]
    yield in_rounds("a move on whose way nothing is due, ms", idle, scale=1e3)


def waiting(part: Part) -> Iterator[Row]:
    """Wait with `skip` to the third retry, and call the API beside many waits."""
    rounds, count = part.size((1, 200), (5, 2_000))
    sandbox, client = part.sandbox(), part.process("http_client", "")

    def retry() -> float:
        with subscribed(sandbox, f"{part.handler_url}/fail/") as hook:
            post(sandbox, "queue/samples", SAMPLE)
            # The first attempt and three retries.
            until = {"called": {"webhook": hook, "times": 4}}
            body = {"until": until, "skip": True, "timeout": 30}
            seconds, answer = time_call(lambda: post(sandbox, "wait", body))
        assert len(answer["evidence"]) == 4, f"{answer['evidence']} instead of 4 calls"
        return seconds

    def beside_waits() -> dict[str, float]:
        with ExitStack() as stack:
            for key in [sandbox.vendor_key] * 200 + [sandbox.provider_key] * 50:
                stack.enter_context(_wait(sandbox, key))
            return list_requests(client, sandbox, count)

    post(sandbox, "clock/run-until-idle")
    yield in_rounds(
        "wait with skip to the third retry, s", *in_turn(rounds, retry), bound=Bound(0.3)
    )
    list_requests(client, sandbox, count)
    beside, without = in_turn(rounds, beside_waits, lambda: list_requests(client, sandbox, count))
    for key, bound in (("p50", Bound(2)), ("p99", None)):
        yield in_rounds(
            f"{key} of a list beside 250 waits, ms",
            beside,
            without,
            "without them",
            bound,
            key=key,
            scale=1e3,
        )


def list_requests(client: Process, sandbox: Sandbox, count: int) -> dict[str, float]:
    """Request a list so many times by one client, and return its p50 and p99 in seconds."""
    return dict(
        client.ask(
            "requests",
            url=sandbox.url,
            path="/public/v1/requests?limit=10",
            key=sandbox.vendor_key,
            clients=1,
            count=count,
        )
    )


def _wait(sandbox: Sandbox, key: str) -> closing[HTTPConnection]:
    """Send a wait that does not come true, and return its connection."""
    line = HTTPConnection(urlsplit(sandbox.url).netloc, timeout=30)
    body = {"until": {"called": {"webhook": "WH-000-000-000"}}, "timeout": 600}
    headers = {"Authorization": f"ApiKey {key}", "Content-Type": "application/json"}
    line.request("POST", "/sandbox/wait", json.dumps(body), headers)
    return closing(line)


def resets(part: Part) -> Iterator[Row]:
    """Reset and restore a sandbox whose database has many deliveries."""
    deliveries, rounds = part.size((100, 2), (1_000, 9))
    sandbox = part.sandbox()
    hook = orders.webhook(sandbox, f"{part.handler_url}/")["id"]
    for _ in range(deliveries):
        sandbox.as_vendor("POST", f"/notifications/webhooks/{hook}/trigger")
    orders.until_stats(sandbox, hook, timeout=120, success_triggers=deliveries)
    saved = [time_call(lambda: post(sandbox, "snapshots", {"name": "full"}))[0]]
    restores, seconds = in_turn(
        rounds,
        lambda: time_call(lambda: post(sandbox, "snapshots/full/restore"))[0],
        lambda: time_call(lambda: post(sandbox, "reset"))[0],
    )
    for name, values, bound in (
        ("reset", seconds, Bound(300)),
        ("restore of a snapshot", restores, None),
        ("save of a snapshot", saved, None),
    ):
        yield in_rounds(f"{name} with {deliveries} deliveries, ms", values, bound=bound, scale=1e3)


def approvals(part: Part) -> Iterator[Row]:
    """Order in turn with an example that approves, and with a client that does."""
    rounds, times = part.size((1, 3), (3, 10))
    sandbox = part.sandbox()
    for request in sandbox.as_vendor("GET", "/requests?in(status,(pending,inquiring))"):
        sandbox.as_vendor("POST", f"/requests/{request['id']}/fail", {"reason": "Cleared."})

    def wait_for_example(command: examples.Command) -> float:
        folder = Path(tempfile.mkdtemp(dir=part.folder))
        with (
            examples.example(sandbox, command, folder) as handler,
            subscribed(sandbox, handler.url),
        ):
            return median(time_call(lambda: _wait_for_approval(sandbox))[0] for _ in range(times))

    commands = {"Python": examples.python}
    if shutil.which("npm"):
        commands["Node.js"] = examples.node
    for name, command in commands.items():
        plain, approved = in_turn(
            rounds,
            lambda: median(time_call(lambda: _approve(sandbox))[0] for _ in range(times)),
            lambda command=command: wait_for_example(command),
        )
        yield in_rounds(f"{name}: order to approval, ms", approved, plain, "three calls", scale=1e3)
        yield Row(f"{name}: order to approval, s, at most", max(approved), bound=Bound(1))


def _approve(sandbox: Sandbox) -> None:
    path = f"/requests/{orders.purchase(sandbox)['id']}"
    params = [{"id": "activation_id", "value": path}]
    sandbox.as_vendor("PUT", path, {"asset": {"params": params}})
    sandbox.as_vendor("POST", f"{path}/approve", {"template_id": "TL-213-870-001"})


def _wait_for_approval(sandbox: Sandbox) -> None:
    start, path = time.monotonic(), f"/requests/{orders.purchase(sandbox)['id']}"
    while sandbox.as_vendor("GET", path)["status"] != "approved":
        assert time.monotonic() - start < 60, f"{path} was not approved within 60 s"
        pause(0.005)
