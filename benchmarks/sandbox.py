"""The API and the log in a process, and a running sandbox: commands, clock, waits, open pages."""

import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import datetime
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from benchmarks.part import Part, Process, time_call, tree_cpu, wait_for_arrivals
from benchmarks.table import Row, in_turn, row
from tests import examples, orders
from tests.examples import subscribed
from tests.processes import ROOT, Sandbox, pause

_SAMPLE = {"queue": "fulfillment", "type": "purchase", "product": orders.PLAIN}
# Open pages; webhooks that an order is delivered to; orders per second, for 500 deliveries: a few
# more than needed, since the last ones take a moment.
_PAGES, _MANY_PAGES, _WEBHOOKS, _ORDERS = 20, 100, 100, 5.3


def _post(sandbox: Sandbox, path: str, body: Any = None) -> Any:
    response = sandbox.call("POST", f"/sandbox/{path}", body or {}, timeout=60)
    response.raise_for_status()
    return response.json() if response.content else None


def _time_post(sandbox: Sandbox, path: str, body: Any = None) -> float:
    return time_call(lambda: _post(sandbox, path, body))[0]


def _list_requests(client: Process, sandbox: Sandbox, count: int) -> dict[str, float]:
    """Request a list so many times by one client, and return its p50 and p99 in seconds."""
    sent = {"path": "/public/v1/requests?limit=10", "key": sandbox.vendor_key, "count": count}
    return dict(client.ask("get", url=sandbox.url, clients=1, **sent))


def lists(part: Part) -> Iterator[Row]:
    requests, deep, rounds, count = part.size((2_000, 20, 3, 5), (100_000, 1_000, 9, 10))
    process = part.process("calls", **part.data())
    process.ask("prepare_lists", count=requests)
    for side in ("vendor", "provider"):
        spent = process.ask("spend_lists", side=side, deep=deep, rounds=rounds, count=count)
        # SQLite has no server.
        for n, what in enumerate(("CPU, ms", "CPU with the server's, ms")[: 1 + part.uses_servers]):
            times = {name: [each[n] for each in spent[name]] for name in spent}
            for page, measured, base, beside, floor in (
                (1, "first", "plain", "plain view", 3),
                (1, "first", "drf", "Django REST framework", 0.6),
                (deep, "deep", "first", "page 1", 3),
            ):
                figure = f"{side}, page {page:,}, {what}"
                yield row(figure, times[measured], times[base], beside, floor, scale=1e3)
        ten, *more = process.ask("count_statements", side=side)
        for rows, sent in zip(("50", "1,000"), more, strict=True):
            yield Row(f"{side}, SQL statements for {rows}", [sent], [ten], "for 10", 1)
        scanning = process.ask("lists_without_index", side=side)
        print(*(f"Scans a whole table: {path}\n" for path in scanning), sep="", end="")
        yield Row(f"{side}, lists that scan a whole table", [len(scanning)], floor=0)


def api_calls(part: Part) -> Iterator[Row]:
    requests, rounds = part.size((2_000, 120), (4_000, 600))
    broker = {"CELERY_BROKER_URL": part.redis.url} if part.uses_servers else {}
    process = part.process("calls", **part.data(), **broker)
    process.ask("prepare_recorded", count=requests)
    for kind, name in (("list", "list of 50 requests"), ("approve", "approve")):
        result = process.ask("compare_recorded", kind=kind, rounds=rounds)
        ways = ("CPU", "CPU with the server's")[: 1 + part.uses_servers]  # SQLite has none
        for way, compared, store in zip(ways, result["calls"], result["stores"], strict=False):
            times = [compared["other"] + store], [compared["base"]]
            yield row(f"{name}, {way}, ms", *times, "unrecorded", 1.15, scale=1e3)
            yield Row(f"{name}, {way}, noise, %", [abs(compared["noise"]) * 100], floor=1)


def log(part: Part) -> Iterator[Row]:
    """Measure pages of the deliveries log beside the first page of an account with few.

    20,000 deliveries of an account alternate with 100,000 of another one.
    """
    own, foreign, count = part.size((1_000, 2_000, 5), (20_000, 100_000, 21))
    counts = {"VA-610-138": own, "PA-318-442": foreign, "VA-111-111": 100}
    process = part.process("workload", **part.data())
    process.ask("prepare_log", counts=counts)
    few, few_statements = process.ask("spend_log", account="VA-111-111", query="", count=count)
    for name, query in (
        ("the log", ""),
        ("page 200", "?older=*"),
        ("search by status", "?q=status:>=500"),
        ("search by object", "?q=object:PR-0000-0042"),
        ("search by state, range of time", "?q=state:failed+after:1d"),
        ("search of text", '?q=body:"code+17"'),
    ):
        spent, sent = process.ask("spend_log", account="VA-610-138", query=query, count=count)
        yield Row(f"{name}, CPU, ms", [spent], [few], "100 deliveries", 4)
        yield Row(f"{name}, CPU, ms, at most", [spent], floor=100)
        yield Row(f"{name}, SQL statements", [sent], [few_statements], floor=1)


def web(part: Part) -> Iterator[Row]:
    count, rounds = part.size((400, 1), (4_000, 5))
    sandbox, client = part.sandbox(), part.process("clients", "")
    common = {"path": "/sandbox/holds", "key": sandbox.vendor_key, "count": count}
    direct = part.process("calls", SIM_DATA_DIR=str(sandbox.data_dir))

    def spend(clients: int) -> float:
        before = tree_cpu(sandbox.process.popen.pid)
        sent = client.ask("get", url=sandbox.url, clients=clients, **common)["count"]
        return (tree_cpu(sandbox.process.popen.pid) - before) / sent

    spend(8)
    directly = partial(direct.ask, "spend_directly", **common)
    plain, one, eight = in_turn(rounds, directly, partial(spend, 1), partial(spend, 8))
    yield row("CPU of a small request, ms", one, plain, "called directly", 2.2, scale=1e3)
    yield row("the same with eight clients, ms", eight, one, "one client", 1.3, scale=1e3)


def cli(part: Part) -> Iterator[Row]:
    env = part.sandbox().process.env

    def start(*arguments: str) -> float:
        options = {"env": env, "cwd": ROOT, "stdout": subprocess.DEVNULL, "check": True}
        return time_call(partial(subprocess.run, [sys.executable, *arguments], **options))[0] * 1e3

    for command in (["clock", "show"], ["hold", "list"], ["--help"]):
        bare, ours = in_turn(
            part.size(5, 31),
            partial(start, "-c", "pass"),
            partial(start, "-P", "-m", "connect_sim", *command),
        )
        # The fastest start: other work on the machine only adds to it. Both are warm.
        figure = f"connect-sim {' '.join(command)}, ms"
        yield Row(figure, [min(ours)], [min(bare)], "python -c pass", 300, absolute=True)


def clock(part: Part) -> Iterator[Row]:
    """Let a dead handler fail until it is out of order, and move the clock over nothing."""
    rounds, moves = part.size((1, 3), (5, 50))
    sandbox = part.sandbox()

    def fail() -> tuple[float, float]:
        with subscribed(sandbox, f"{part.handler_url}/fail/") as hook:
            _post(sandbox, "queue/samples", _SAMPLE)
            seconds, moved = time_call(lambda: _post(sandbox, "clock/run-until-idle"))
            failures = orders.stats(sandbox, hook)["failure_triggers"]
        assert failures == 10, f"{failures} failures instead of 10"
        start, end = (datetime.fromisoformat(moved[name]).timestamp() for name in ("from", "now"))
        return seconds, (end - start) / 3600

    _post(sandbox, "clock/run-until-idle")
    seconds, simulated = zip(*(fail() for _ in range(rounds)), strict=True)
    yield Row(f"10 failures to out of order ({median(simulated):.0f} h), s", seconds, floor=2)
    idle = [_time_post(sandbox, "clock/advance", {"by": "1s"}) for _ in range(moves)]
    yield row("a move on whose way nothing is due, ms", idle, scale=1e3)


def waiting(part: Part) -> Iterator[Row]:
    """Wait with `skip` to the third retry, and call the API beside many waits."""
    rounds, count = part.size((1, 200), (5, 2_000))
    sandbox, client = part.sandbox(), part.process("clients", "")

    def retry() -> float:
        with subscribed(sandbox, f"{part.handler_url}/fail/") as hook:
            _post(sandbox, "queue/samples", _SAMPLE)
            # The first attempt and three retries.
            until = {"called": {"webhook": hook, "times": 4}}
            body = {"until": until, "skip": True, "timeout": 30}
            seconds, answer = time_call(lambda: _post(sandbox, "wait", body))
        assert len(answer["evidence"]) == 4, f"{answer['evidence']} instead of 4 calls"
        return seconds

    def beside_waits() -> dict[str, float]:
        with ExitStack() as stack:
            for key in [sandbox.vendor_key] * 200 + [sandbox.provider_key] * 50:
                stack.enter_context(_wait(sandbox, key))
            return without_waits()

    without_waits = partial(_list_requests, client, sandbox, count)
    _post(sandbox, "clock/run-until-idle")
    yield Row("wait with skip to the third retry, s", *in_turn(rounds, retry), floor=0.3)
    without_waits()
    without, beside = in_turn(rounds, without_waits, beside_waits)
    for key, floor in (("p50", 2), ("p99", None)):
        figure = f"{key} of a list beside 250 waits, ms"
        yield row(figure, beside, without, "without them", floor, key=key, scale=1e3)


def _wait(sandbox: Sandbox, key: str) -> closing[HTTPConnection]:
    """Send a wait that does not come true, and return its connection."""
    line = HTTPConnection(urlsplit(sandbox.url).netloc, timeout=30)
    body = {"until": {"called": {"webhook": "WH-000-000-000"}}, "timeout": 600}
    headers = {"Authorization": f"ApiKey {key}", "Content-Type": "application/json"}
    line.request("POST", "/sandbox/wait", json.dumps(body), headers)
    return closing(line)


def live(part: Part) -> Iterator[Row]:
    """Measure without and with open pages in turn, beside five deliveries per second; then pages
    beside 500. Each page is another user's."""
    seconds, rounds, count = part.size((5, 1, 200), (20, 3, 1_000))
    sandbox, ended = part.sandbox(), threading.Event()
    client = part.process("clients", "")
    users = part.process("workload", SIM_DATA_DIR=str(sandbox.data_dir))
    cookies = users.ask("sign_in", count=_MANY_PAGES)

    def trigger() -> None:
        while not ended.wait(1 / 5):
            sandbox.as_vendor("POST", f"/notifications/webhooks/{hook}/trigger")

    def spend() -> dict[str, float]:
        began, before = time.monotonic(), tree_cpu(sandbox.process.popen.pid)
        pause(seconds)
        cores = (tree_cpu(sandbox.process.popen.pid) - before) / (time.monotonic() - began)
        return {"cores": cores, **_list_requests(client, sandbox, count)}

    def spend_beside_pages() -> dict[str, float]:
        with part.round():
            pages = part.process("clients", "")
            opened = pages.ask("open_pages", url=sandbox.url, cookies=cookies[:_PAGES])
            assert opened == _PAGES, f"{opened} of {_PAGES} pages have a stream"
            took, spent = time_call(spend)
            return {**spent, **{kind: n / took for kind, n in pages.ask("counts").items()}}

    _list_requests(client, sandbox, count)
    with (
        subscribed(sandbox, part.handler_url) as hook,
        ThreadPoolExecutor(1) as thread,
        ExitStack() as ending,
    ):
        ending.callback(ended.set)
        triggering = thread.submit(trigger)
        without, beside = in_turn(rounds, spend, spend_beside_pages)
    # One that has failed ended the deliveries.
    triggering.result()
    costs = [more["cores"] - less["cores"] for more, less in zip(beside, without, strict=True)]
    yield Row(f"CPU of {_PAGES} open pages, cores", costs, floor=0.5)
    yield row(f"events per second of {_PAGES} pages", beside, key="events")
    yield row("requests of parts of pages per second", beside, key="requests")
    figure = f"p50 of a list beside {_PAGES} pages, ms"
    yield row(figure, beside, without, "without them", 2, key="p50", scale=1e3)
    for many in (_PAGES, _MANY_PAGES):
        with part.round():
            rate, errors, updates = _load(part, sandbox, cookies[:many], seconds)
        # Beside more pages there must be no error, but the rate has no floor.
        floor = 500 if many == _PAGES else None
        yield Row(f"deliveries per second beside {many} pages", [rate], floor=floor, at_least=True)
        yield Row(f"beside {many} pages: errors of pages and deliveries", [errors], floor=0)
        yield Row(f"beside {many} pages: requests of parts of pages", [updates])


def _load(
    part: Part, sandbox: Sandbox, cookies: list[str], seconds: float
) -> tuple[float, int, int]:
    """Open pages beside 500 deliveries per second; return the rate that is reached, all errors,
    and the requests of the pages. A refused order ends the benchmark."""
    handler, pages = part.handler, part.process("clients", "")
    expected = int(_ORDERS * seconds) * _WEBHOOKS
    with ExitStack() as stack:
        hooks = [
            stack.enter_context(subscribed(sandbox, f"{part.handler_url}/load/{n}"))
            for n in range(_WEBHOOKS)
        ]
        handler.ask("reset")
        opened = pages.ask("open_pages", url=sandbox.url, cookies=cookies)
        began = time.monotonic()
        for n in range(int(_ORDERS * seconds)):
            pause(max(0.0, began + n / _ORDERS - time.monotonic()))
            _post(sandbox, "queue/samples", _SAMPLE)
        wait_for_arrivals(handler, expected, pages, timeout=60)
        rate, counts = expected / (handler.ask("span")["last"] - began), pages.ask("counts")

        def recorded() -> list[dict[str, Any]]:
            stats = [orders.stats(sandbox, hook) for hook in hooks]
            return stats if sum(each["triggers"] for each in stats) >= expected else []

        stats = handler.wait_until(recorded, "they are recorded", 60)
    assert all(each["events"] >= each["success_triggers"] for each in stats), stats
    repeated = handler.ask("count") - expected
    errors = [counts["errors"], len(cookies) - opened, repeated]
    return rate, sum(errors) + sum(each["failure_triggers"] for each in stats), counts["requests"]


def resets(part: Part) -> Iterator[Row]:
    deliveries, rounds = part.size((100, 2), (1_000, 9))
    sandbox = part.sandbox()
    hook = orders.webhook(sandbox, f"{part.handler_url}/")["id"]
    for _ in range(deliveries):
        sandbox.as_vendor("POST", f"/notifications/webhooks/{hook}/trigger")
    orders.until_stats(sandbox, hook, timeout=120, success_triggers=deliveries)
    saved = [_time_post(sandbox, "snapshots", {"name": "full"})]
    paths = ("snapshots/full/restore", "reset")
    restores, seconds = in_turn(rounds, *(partial(_time_post, sandbox, path) for path in paths))
    for name, values, floor in (
        ("reset", seconds, 300),
        ("restore of a snapshot", restores, None),
        ("save of a snapshot", saved, None),
    ):
        yield row(f"{name} with {deliveries} deliveries, ms", values, (), "", floor, scale=1e3)


def approvals(part: Part) -> Iterator[Row]:
    """Order in turn with an example that approves, and with a client that does."""
    rounds, times = part.size((1, 3), (3, 10))
    sandbox = part.sandbox()
    for request in sandbox.as_vendor("GET", "/requests?in(status,(pending,inquiring))"):
        sandbox.as_vendor("POST", f"/requests/{request['id']}/fail", {"reason": "Cleared."})

    def approve() -> None:
        path = f"/requests/{orders.purchase(sandbox)['id']}"
        params = [{"id": "activation_id", "value": path}]
        sandbox.as_vendor("PUT", path, {"asset": {"params": params}})
        sandbox.as_vendor("POST", f"{path}/approve", {"template_id": "TL-213-870-001"})

    def wait_for_approval() -> None:
        start, path = time.monotonic(), f"/requests/{orders.purchase(sandbox)['id']}"
        while sandbox.as_vendor("GET", path)["status"] != "approved":
            assert time.monotonic() - start < 60, f"{path} was not approved within 60 s"
            pause(0.005)

    def time_approvals() -> float:
        return median(time_call(approve)[0] for _ in range(times))

    def time_example(command: examples.Command) -> float:
        folder = Path(tempfile.mkdtemp(dir=part.folder))
        with (
            examples.example(sandbox, command, folder) as handler,
            subscribed(sandbox, handler.url),
        ):
            return median(time_call(wait_for_approval)[0] for _ in range(times))

    commands = {"Python": examples.python}
    if shutil.which("npm"):
        commands["Node.js"] = examples.node
    for name, command in commands.items():
        plain, approved = in_turn(rounds, time_approvals, partial(time_example, command))
        yield row(f"{name}: order to approval, ms", approved, plain, "three calls", scale=1e3)
        yield Row(f"{name}: order to approval, s, at most", [max(approved)], floor=1)
