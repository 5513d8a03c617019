"""The API and the log in a process, and a running sandbox: commands, clock, waits, open pages."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from functools import partial
from http.client import HTTPConnection
from statistics import median
from typing import Any

from benchmarks.part import Part, Process, time_call, tree_cpu
from benchmarks.served import at_rate
from benchmarks.table import Row, in_turn, row
from tests import examples, orders
from tests.processes import ROOT, Sandbox, free_port, pause

_SAMPLE = {"queue": "fulfillment", "type": "purchase", "product": orders.PLAIN}
# Open pages; webhooks that an order is delivered to; orders per second, for 500 deliveries: a few
# more than needed, since the last ones take a moment.
_PAGES, _MANY_PAGES, _WEBHOOKS, _ORDERS = 20, 100, 100, 5.3
# Groups of checks that aren't among "all checks".
_BESIDE = "turn,deploy"


def _post(sandbox: Sandbox, path: str, body: Any = None) -> Any:
    response = sandbox.call("POST", f"/sandbox/{path}", body or {}, timeout=60)
    response.raise_for_status()
    return response.json() if response.content else None


def _time_post(sandbox: Sandbox, path: str, body: Any = None) -> float:
    return time_call(lambda: _post(sandbox, path, body))[0]


def _list_requests(client: Process, sandbox: Sandbox, count: int) -> dict[str, float]:
    sent = {"path": "/public/v1/requests?limit=10", "key": sandbox.vendor_key, "count": count}
    return dict(client.ask("get", url=sandbox.url, clients=1, **sent))


def lists(part: Part, requests: int, deep: int, rounds: int, count: int) -> Iterator[Row]:
    process = part.process("calls", **part.data())
    process.ask("fill", count=requests)
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


def api_calls(part: Part, requests: int, rounds: int) -> Iterator[Row]:
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


def log(part: Part, own: int, foreign: int, count: int) -> Iterator[Row]:
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


def web(part: Part, count: int, rounds: int) -> Iterator[Row]:
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


def cli(part: Part, rounds: int) -> Iterator[Row]:
    env = part.sandbox().process.env

    def start(*arguments: str) -> float:
        run = partial(subprocess.run, env=env, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
        return time_call(partial(run, [sys.executable, *arguments]))[0] * 1e3

    for command in (["clock", "show"], ["hold", "list"], ["--help"]):
        bare, ours = in_turn(
            rounds,
            partial(start, "-c", "pass"),
            partial(start, "-P", "-m", "connect_sim", *command),
        )
        # The fastest start: other work on the machine only adds to it. Both are warm.
        figure = f"connect-sim {' '.join(command)}, ms"
        yield Row(figure, [min(ours)], [min(bare)], "python -c pass", 300, absolute=True)


def clock(part: Part, rounds: int, moves: int) -> Iterator[Row]:
    sandbox = part.sandbox()

    def fail() -> float:
        with orders.subscribed(sandbox, f"{part.handler_url}/fail/") as hook:
            _post(sandbox, "queue/samples", _SAMPLE)
            seconds = _time_post(sandbox, "clock/run-until-idle")
            failures = orders.stats(sandbox, hook)["failure_triggers"]
        assert failures == 10, f"{failures} failures instead of 10"
        return seconds

    _post(sandbox, "clock/run-until-idle")
    yield Row("10 failures to out of order, s", *in_turn(rounds, fail), floor=2)
    idle = in_turn(moves, partial(_time_post, sandbox, "clock/advance", {"by": "1s"}))
    yield row("a move on whose way nothing is due, ms", *idle, scale=1e3)


def waiting(part: Part, rounds: int, count: int) -> Iterator[Row]:
    sandbox, client = part.sandbox(), part.process("clients", "")

    def retry() -> float:
        with orders.subscribed(sandbox, f"{part.handler_url}/fail/") as hook:
            _post(sandbox, "queue/samples", _SAMPLE)
            # The first attempt and three retries.
            body = {"until": {"called": {"webhook": hook, "times": 4}}, "skip": True}
            seconds, answer = time_call(lambda: _post(sandbox, "wait", body))
        assert len(answer["evidence"]) == 4, f"{answer['evidence']} instead of 4 calls"
        return seconds

    def beside_waits() -> dict[str, float]:
        with orders.subscribed(sandbox, part.handler_url) as hook, ExitStack() as stack:
            # That do not come true.
            body = {"until": {"called": {"webhook": hook}}, "timeout": 600}
            for key in [sandbox.vendor_key] * 200 + [sandbox.provider_key] * 50:
                line = stack.enter_context(
                    closing(HTTPConnection(sandbox.url.removeprefix("http://")))
                )
                headers = {"Authorization": f"ApiKey {key}", "Content-Type": "application/json"}
                line.request("POST", "/sandbox/wait", json.dumps(body), headers)
            return without_waits()

    without_waits = partial(_list_requests, client, sandbox, count)
    _post(sandbox, "clock/run-until-idle")
    yield Row("wait with skip to the third retry, s", *in_turn(rounds, retry), floor=0.3)
    without_waits()
    without, beside = in_turn(rounds, without_waits, beside_waits)
    for key, floor in (("p50", 2), ("p99", None)):
        yield row(
            f"{key} of a list beside 250 waits, ms",
            beside,
            without,
            "without them",
            floor,
            key=key,
            scale=1e3,
        )


def live(part: Part, seconds: int, rounds: int) -> Iterator[Row]:
    """Measure five deliveries per second, without and with open pages in turn; then pages beside
    500 per second. Each page is another user's."""
    sandbox, client = part.sandbox(), part.process("clients", "")
    users = part.process("workload", SIM_DATA_DIR=str(sandbox.data_dir))
    cookies = users.ask("sign_in", count=_MANY_PAGES)

    def open_pages(many: int) -> Process:
        pages = part.process("clients", "")
        opened = pages.ask("open_pages", url=sandbox.url, cookies=cookies[:many])
        assert opened == many, f"{opened} of {many} pages have a stream"
        return pages

    def spend() -> dict[str, float]:
        began, before, times = time.monotonic(), tree_cpu(sandbox.process.popen.pid), []
        for _ in at_rate(5, 5 * seconds):
            sandbox.as_vendor("POST", f"/notifications/webhooks/{hook}/trigger")
            times.append(_list_requests(client, sandbox, 10)["p50"])
        cores = (tree_cpu(sandbox.process.popen.pid) - before) / (time.monotonic() - began)
        return {"cores": cores, "p50": median(times)}

    def spend_beside_pages() -> dict[str, float]:
        with part.round():
            pages = open_pages(_PAGES)
            took, spent = time_call(spend)
            return {**spent, **{kind: n / took for kind, n in pages.ask("counts").items()}}

    with orders.subscribed(sandbox, part.handler_url) as hook:
        spend()
        without, beside = in_turn(rounds, spend, spend_beside_pages)
    costs = [more["cores"] - less["cores"] for more, less in zip(beside, without, strict=True)]
    yield Row(f"CPU of {_PAGES} open pages, cores", costs, floor=0.5)
    yield row(f"events per second of {_PAGES} pages", beside, key="events")
    yield row("requests of parts of pages per second", beside, key="requests")
    figure = f"p50 of a list beside {_PAGES} pages, ms"
    yield row(figure, beside, without, "without them", 2, key="p50", scale=1e3)
    for many in (_PAGES, _MANY_PAGES):
        with part.round():
            rate, errors, updates = _load(part, sandbox, open_pages(many), seconds)
        # Beside more pages there must be no error, but the rate has no floor.
        floor = 500 if many == _PAGES else None
        yield Row(f"deliveries per second beside {many} pages", [rate], floor=floor, at_least=True)
        yield Row(f"beside {many} pages: errors of pages and deliveries", [errors], floor=0)
        yield Row(f"beside {many} pages: requests of parts of pages", [updates])


def _load(part: Part, sandbox: Sandbox, pages: Process, seconds: float) -> tuple[float, int, int]:
    """Make 500 deliveries per second beside open pages; return the rate that is reached, all
    errors, and the requests of the pages. A refused order ends the benchmark."""
    expected = int(_ORDERS * seconds) * _WEBHOOKS
    with ExitStack() as stack:
        hooks = [
            stack.enter_context(orders.subscribed(sandbox, f"{part.handler_url}/load/{n}"))
            for n in range(_WEBHOOKS)
        ]
        part.handler.ask("reset")
        began = time.monotonic()
        for _ in at_rate(_ORDERS, int(_ORDERS * seconds)):
            _post(sandbox, "queue/samples", _SAMPLE)
        part.wait_for_arrivals(expected, pages, timeout=60)
        rate, counts = expected / (part.handler.ask("span")["last"] - began), pages.ask("counts")

        def total(name: str) -> int:
            return sum(orders.stats(sandbox, hook)[name] for hook in hooks)

        pages.wait_until(lambda: total("triggers") >= expected, "they are recorded", 60)
        failed, repeated = total("failure_triggers"), part.handler.ask("count") - expected
    return rate, counts["errors"] + failed + repeated, counts["requests"]


def resets(part: Part, deliveries: int, rounds: int) -> Iterator[Row]:
    sandbox = part.sandbox()
    hook = orders.webhook(sandbox, f"{part.handler_url}/")["id"]
    for _ in range(deliveries):
        sandbox.as_vendor("POST", f"/notifications/webhooks/{hook}/trigger")
    orders.until_stats(sandbox, hook, timeout=120, success_triggers=deliveries)
    saved = [_time_post(sandbox, "snapshots", {"name": "full"})]
    restores, seconds = in_turn(
        rounds,
        lambda: _time_post(sandbox, "snapshots/full/restore"),
        lambda: _time_post(sandbox, "reset"),
    )
    for name, values, floor in (
        ("reset", seconds, 300),
        ("restore of a snapshot", restores, None),
        ("save of a snapshot", saved, None),
    ):
        yield row(f"{name} with {deliveries} deliveries, ms", values, (), "", floor, scale=1e3)


def catalog(part: Part, rounds: int, selected: str) -> Iterator[Row]:
    """Measure runs of the selected checks of three handlers, and of `auth` of the first one."""
    report, example = part.folder / "report.json", "examples/python_handler/handler.py"
    # As on a user's machine, modules are compiled already.
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(part.folder)}

    def run(command: str, selection: str) -> tuple[float, int]:
        arguments = ["--run", f"{sys.executable} {command}", "--cwd", str(ROOT)]
        words = ["-m", "connect_sim", "check", *arguments, "--select", selection]
        # These have a row of their own.
        words += ["--ignore", _BESIDE] if selection == "*" else []
        words = [sys.executable, *words, "--json", str(report)]
        report.unlink(missing_ok=True)
        check = partial(subprocess.run, words, cwd=ROOT, env=env, capture_output=True)
        seconds = time_call(check)[0]
        counts = json.loads(report.read_text())["counts"]
        return seconds, counts["fail"] + counts["warning"] + counts["inconclusive"]

    run(example, "auth.get")
    for figure, command, selection, times, floor in (
        ("example", example, selected, 1, 60),
        ("202, then a queue", "tests/checks/handlers accepts_and_works_later", selected, 1, 90),
        ("polls each second", "tests/checks/polling.py 1", selected, 1, 120),
        ("example, --select auth", example, "auth", rounds, 6),
        (f"example, {_BESIDE}", example, _BESIDE if selected == "*" else selected, 1, 60),
    ):
        runs = in_turn(times, partial(run, command, selection))[0]
        yield Row(f"{figure}, s", [seconds for seconds, _ in runs], floor=floor)
        yield Row(f"{figure}, checks not passed", [max(left for _, left in runs)], floor=0)


def approvals(part: Part, rounds: int, times: int) -> Iterator[Row]:
    sandbox = part.sandbox()
    for request in sandbox.as_vendor("GET", "/requests?in(status,(pending,inquiring))"):
        sandbox.as_vendor("POST", f"/requests/{request['id']}/fail", {"reason": "Cleared."})

    def approve() -> None:
        path = f"/requests/{orders.purchase(sandbox)['id']}"
        asset = {"params": [{"id": "activation_id", "value": path}]}
        sandbox.as_vendor("PUT", path, {"asset": asset})
        sandbox.as_vendor("POST", f"{path}/approve", {"template_id": "TL-213-870-001"})

    def wait_for_approval() -> None:
        start, path = time.monotonic(), f"/requests/{orders.purchase(sandbox)['id']}"
        while sandbox.as_vendor("GET", path)["status"] != "approved":
            assert time.monotonic() - start < 60, f"{path} was not approved within 60 s"
            pause(0.005)

    def time_approvals() -> float:
        return median(time_call(approve)[0] for _ in range(times))

    def time_example(language: str) -> float:
        folder = part.folder / f"{free_port()}"
        folder.mkdir()
        with (
            examples.example(sandbox, language, folder) as handler,
            orders.subscribed(sandbox, handler.url),
        ):
            return median(time_call(wait_for_approval)[0] for _ in range(times))

    for name, language in (("Python", "python"), ("Node.js", "node")):
        plain, approved = in_turn(rounds, time_approvals, partial(time_example, language))
        yield row(f"{name}: order to approval, ms", approved, plain, "three calls", scale=1e3)
        yield Row(f"{name}: order to approval, s, at most", [max(approved)], floor=1)
