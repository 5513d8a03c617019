"""Pages of the deliveries log: 20,000 deliveries of an account beside 100,000 of another.

Also the measured process.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from statistics import median

from benchmarks import calls
from benchmarks.part import Part
from benchmarks.table import Bound, Row

_OWN, _FOREIGN, _FEW = "VA-610-138", "PA-318-442", "VA-111-111"
_PAGES = {
    "the log": "",
    "page 200": "?older=*",
    "search by status": "?q=status:>=500",
    "search by object": "?q=object:PR-0000-0042",
    "search by state, range of time": "?q=state:failed+after:1d",
    "search of text": '?q=body:"code+17"',
}


def measure(part: Part) -> Iterator[Row]:
    """Measure pages beside the first page of an account with 100 deliveries."""
    own, foreign, count = part.size((1_000, 2_000, 5), (20_000, 100_000, 21))
    process = part.process("log_pages", **part.data())
    process.ask("prepare", own=own, foreign=foreign)
    few, few_statements = process.ask("spend", account=_FEW, query="", count=count)
    for name, query in _PAGES.items():
        spent, statements = process.ask("spend", account=_OWN, query=query, count=count)
        yield Row(f"{name}, CPU, ms", spent, few, "100 deliveries", Bound(4))
        yield Row(f"{name}, CPU, ms, at most", spent, bound=Bound(100))
        yield Row(f"{name}, SQL statements", statements, few_statements, bound=Bound(1))


def prepare(own: int, foreign: int) -> None:
    """Fill the database; the deliveries of both accounts alternate."""
    from requests_queue import seed
    from requests_queue.catalog.models import Account, User
    from tests import make
    from webhooks.models import Attempt, Delivery, Event

    calls.migrate()
    seed.run(lambda line: None)
    made = make.catalog("1")
    hooks = {}
    for n, pk in enumerate((_OWN, _FOREIGN, _FEW)):
        account = Account.objects.get(pk=pk)
        User.objects.create(uid=f"UR-900-{pk[3:]}", username=pk, account=account, email=pk)
        hooks[pk] = [make.webhook(made, n=10 * n + i, account=account) for i in range(4)]
    every = foreign // own + 1
    owners = [_FOREIGN if n % every else _OWN for n in range(own + foreign)] + [_FEW] * 100
    rows = Delivery.objects.bulk_create(
        [
            Delivery(
                webhook=hooks[owner][n % 4],
                state="failed" if n % 11 == 0 else "waiting" if n % 17 == 0 else "delivered",
                created_at=make.AT + timedelta(seconds=2 * n),
                attempts=1,
            )
            for n, owner in enumerate(owners)
        ],
        batch_size=500,
    )
    Event.objects.bulk_create(
        [
            Event(
                webhook_id=row.webhook_id,
                delivery=row,
                status_to="pending",
                at=row.created_at,
                object_id=f"PR-{row.pk // 10000:04d}-{row.pk % 10000:04d}-0000-001",
            )
            for row in rows
        ],
        batch_size=500,
    )
    Attempt.objects.bulk_create(
        [
            Attempt(
                webhook_id=row.webhook_id,
                delivery=row,
                number=1,
                method="POST",
                outcome="success" if row.state == "delivered" else "failure",
                started_at=row.created_at,
                finished_at=row.created_at,
                duration=12,
                url="http://127.0.0.1:9/",
                status_code=200 if row.state == "delivered" else 503,
                request_body='{"data": {}}' * 40,
                response_body=b'{"result": "code %d"}' % (row.pk % 100),
            )
            for row in rows
        ],
        batch_size=500,
    )
    calls.analyze()


def spend(account: str, query: str, count: int) -> list[float]:
    """Return milliseconds of CPU of a page, including the database server's, and the number of its
    statements."""
    from django.test import Client

    from requests_queue.catalog.models import User
    from webhooks.models import Delivery

    client = Client(headers={"Host": "127.0.0.1"})
    client.force_login(User.objects.get(email=account))
    rows = Delivery.objects.filter(webhook__account=account).order_by("-pk")
    last = list(rows.values_list("pk", flat=True))[-100]
    get = partial(client.get, f"/deliveries/{query.replace('*', str(last))}")
    assert get().status_code == 200, f"/deliveries/{query} is no page"
    spent = [calls.spend(get)[1] for _ in range(count)]
    return [median(spent) * 1e3, len(calls.statements(get))]
