"""The web server, beside direct calls of Django's WSGI application, in one thread.

Also the measured process of the direct calls.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from benchmarks import calls
from benchmarks.part import Part
from benchmarks.processes import tree_cpu
from benchmarks.table import Bound, Row, in_rounds, in_turn


def measure(part: Part) -> Iterator[Row]:
    """Measure the CPU time of a request: called directly, by one client, by eight."""
    count, rounds = part.size((400, 1), (4_000, 5))
    sandbox, client = part.sandbox(), part.process("http_client", "")
    common = {"path": "/sandbox/holds", "key": sandbox.vendor_key, "count": count}
    direct = part.process("web", SIM_DATA_DIR=str(sandbox.data_dir))

    def spend(clients: int) -> float:
        before = tree_cpu(sandbox.process.popen.pid)
        sent = client.ask("requests", url=sandbox.url, clients=clients, **common)["count"]
        return (tree_cpu(sandbox.process.popen.pid) - before) / sent

    spend(8)
    plain, one, eight = in_turn(
        rounds,
        lambda: direct.ask("spend_directly", **common),
        lambda: spend(1),
        lambda: spend(8),
    )
    yield in_rounds(
        "CPU of a small request, ms", one, plain, "called directly", Bound(2.2), scale=1e3
    )
    yield in_rounds(
        "the same with eight clients, ms", eight, one, "one client", Bound(1.3), scale=1e3
    )


def spend_directly(path: str, key: str, count: int) -> float:
    """Return the CPU seconds of one call."""
    from connect_sim.wsgi import application

    run = partial(calls.call, application, "GET", path, key)
    calls.spend(run, count // 10)
    return calls.spend(run, count)[0]
