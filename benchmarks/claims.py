"""B7: a claim out of many deliveries, beside one out of few.

Also the measured process, of which `measure` asks two in turn.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from statistics import median
from typing import Any

from benchmarks import calls
from benchmarks.part import Part, time_call
from benchmarks.table import Bound, Row, in_rounds, in_turn

CLAIM = 200
_WEBHOOKS = 100
_INSERT = f"""
    INSERT INTO webhooks_delivery (webhook_id, state, forced, created_at, attempts)
    WITH RECURSIVE numbers(n) AS (
        SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < %s
    )
    SELECT 'WH-000-000-' || (100 + n %% {_WEBHOOKS}), %s, %s, %s, %s FROM numbers
"""


def measure(part: Part) -> Iterator[Row]:
    """Claim in turn out of a full table and out of an empty one."""
    due, finished, rounds, claims = part.size((5_000, 15_000, 1, 5), (100_000, 300_000, 3, 15))
    pair = [part.process("claims", **part.data()) for _ in range(2)]
    for process, sizes in zip(pair, ((due, finished), (1_000, 0)), strict=True):
        process.ask("prepare", due=sizes[0], finished=sizes[1])
        process.ask("claim")
    times = [
        map(median, in_turn(claims, *(partial(process.ask, "claim") for process in pair)))
        for _ in range(rounds)
    ]
    plans = pair[0].ask("plans")
    print("\n".join([f"{part.name}, a claim:", *plans]), flush=True)
    yield in_rounds(
        f"claim of {CLAIM} of {due:,} due, {finished:,} finished, ms",
        *zip(*times, strict=True),
        "of 1,000 due",
        Bound(1.5),
        Bound(1.2),
        scale=1e3,
    )
    yield Row("sequential scans of deliveries in a claim", sum(map(is_scan, plans)), bound=Bound(0))


def is_scan(line: str) -> bool:
    """Return whether a line of a plan reads all deliveries, or all that are due.

    Indexes of those in flight and of forced ones are partial: only these are read.
    """
    if "Seq Scan on webhooks_delivery" in line:
        return True
    scan = re.search(r"\bSCAN (webhooks_delivery|c|d)\b(.*)", line)
    return scan is not None and not re.search(r"INDEX delivery_(calling|forced)\b", scan[2])


def prepare(due: int, finished: int) -> None:
    """Fill the database: deliveries of 100 webhooks in turn, the finished ones first."""
    from django.db import connection

    from requests_queue import clock, sql
    from tests import make

    calls.migrate()
    catalog = make.catalog("1")
    for n in range(_WEBHOOKS):
        make.webhook(catalog, n=100 + n)
    now = sql.datetime_param(clock.now())
    with connection.cursor() as cursor:
        for count, state, attempts in ((finished, "delivered", 1), (due, "waiting", 0)):
            if count:
                cursor.execute(_INSERT, [count, state, False, now, attempts])
    calls.analyze()


def claim() -> float:
    """Return the seconds of a claim, as an engine with free slots makes it, and undo it."""
    seconds, claimed = time_call(_claim)
    assert claimed == CLAIM, f"claimed {claimed} deliveries, not {CLAIM}"
    _undo()
    return seconds


def plans() -> list[str]:
    """Return the plans of the statements of a claim."""
    lines = []
    for statement, params in calls.statements(_claim):
        if "webhooks_delivery" in statement:
            lines.append(f"  {statement.split(maxsplit=1)[0]}")
            lines += [f"    {step}" for step in calls.explain(statement, params)]
    _undo()
    # Some steps are repeated for each webhook.
    return list(dict.fromkeys(lines))


def _claim() -> Any:
    from django.conf import settings

    from webhooks.delivery import claims
    from webhooks.delivery.slots import Slots

    return len(claims.claim(CLAIM, Slots(settings.SIM_CALLS)))


def _undo() -> None:
    from webhooks.models import Delivery

    rows = Delivery.objects.filter(state=Delivery.CALLING)
    rows.update(state=Delivery.WAITING, claim=None, lease=None, started_at=None)
