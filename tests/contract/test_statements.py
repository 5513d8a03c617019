"""SQL statements: no more for a longer page of any list than for a short one; few for an order."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from requests_queue.catalog.models import Connection
from requests_queue.queues.fulfillment import first_order
from requests_queue.seed.accounts import HUB, PROVIDER, VENDOR
from requests_queue.seed.products import SUITE
from tests import make
from tests.api import Caller
from tests.contract import calls, routes
from tests.marks import nightly

# Values and lists of values, which are removed for the comparison.
_VALUE = re.compile(r"'(?:[^']|'')*'|\b\d+(?:\.\d+)?\b")
_LIST = re.compile(r"\(\?(?:, \?)+\)")
CASE = "/helpdesk/cases/CA-731-204-552"
# Number of rows of the short page.
ALONE = 12
# Companies and their places, of which there are one or two here; and two columns of one table.
_SHORT = {
    "/assets/{}/usage/aggregates", "/products/{}/versions/{}/actions",
    "/accounts", "/accounts/{}/users", "/agreements", "/agreements/{}/agreements",
    "/agreements/{}/contracts", "/users",
    "/agreements/{}/products/{}/marketplaces",
    "/contracts", "/contracts/{}/versions", "/hubs", "/hubs/{}/marketplaces", "/marketplaces",
    "/products/{}/media", "/usage/aggregates", "/usage/chunks", "/usage/files/{}/errors",
    "/usage/reconciliations", "/devops/services/{}/environments",
    "/devops/services/{}/installations",
}  # fmt: skip


@pytest.fixture
def callers(vendor: Caller, distributor: Caller) -> dict[str, Caller]:
    """Both parties, with three rows in lists that are shorter in the demo data."""
    customer = distributor.get("/tier/accounts?type=customer&limit=1").json[0]["id"]
    talk = vendor.get("/conversations?status=open&limit=1").json[0]["id"]
    for n in range(3):
        for party in (vendor, distributor):
            response = party.post(f"/conversations/{talk}/messages", {"text": f"Is it {n}?"})
            assert response.status == 201
            created = party.post("/notifications/webhooks", {**calls.WEBHOOK, "label": f"Hook {n}"})
            assert created.status == 201
            content, headers = calls.form("file")
            attached = party.call("POST", f"{CASE}/attachments", content, headers)
            assert attached.status == 201
        button = {"action": f"open_{n}", "name": "Open", "type": "button", "scope": "asset"}
        assert vendor.post(f"/products/{SUITE}/actions", button).status == 201
        Connection.objects.create(
            id=f"CT-0000-0001-000{n}",
            product_id=SUITE,
            hub_id=HUB,
            provider_id=PROVIDER,
            vendor_id=VENDOR,
            created=make.AT,
        )
        assert distributor.put(f"/tier/accounts/{customer}", {"tax_id": f"93-{n}"}).status == 200
        for side in (calls.VENDOR, calls.DISTRIBUTOR):
            calls.extension_with_tasks({"vendor": vendor, "distributor": distributor}, side, 3)
    return {"vendor": vendor, "distributor": distributor}


def longest(caller: Caller) -> Iterator[tuple[str, str, int]]:
    """Yield every list: its pattern, and its path with the most rows."""
    for path in sorted(path for method, path in routes.operations() if method == "GET"):
        rows: dict[str, int] = {}
        for full in calls.filled(path, caller, 30):
            response = caller.get(full)
            if "Content-Range" not in response.headers:
                # No list: nor are the others at this path.
                break
            rows[full] = len(response.json)
        if rows:
            full = max(rows, key=lambda k: rows[k])
            yield path, full, rows[full]


def statements(caller: Caller, path: str) -> Counter[str]:
    """Return the statements of a page, without their values."""
    with CaptureQueriesContext(connection) as queries:
        assert caller.get(path).status == 200
    return Counter(_LIST.sub("(?)", _VALUE.sub("?", query["sql"])) for query in queries)


@pytest.mark.parametrize("side", ["vendor", nightly("distributor", reason="the same lists")])
def test_more_rows_need_no_more_statements(callers: dict[str, Caller], side: str) -> None:
    caller = callers[side]
    lists = list(longest(caller))
    assert len(lists) > 20
    assert {path for path, _, rows in lists if rows < 3} <= _SHORT
    for _, full, rows in (each for each in lists if each[2]):
        many = statements(caller, f"{full}?limit=1000")
        # Rows differ in what they show: compare with the maximum over several pages of one row.
        one: Counter[str] = Counter()
        for offset in range(min(rows, ALONE)):
            one |= statements(caller, f"{full}?limit=1&offset={offset}")
            if many.total() <= one.total():
                break
        assert many.total() <= one.total(), (full, rows, many - one)


def test_order_needs_few_statements(distributor: Caller) -> None:
    """Without those of PostgreSQL's driver, and without savepoints."""
    body = first_order.body()
    assert distributor.post("/requests", body).status == 201
    with CaptureQueriesContext(connection) as queries:
        assert distributor.post("/requests", body).status == 201
    sent = [each["sql"] for each in queries if "SAVEPOINT" not in each["sql"]]
    assert len(sent) <= 27, sent
