"""The numbers of requests that SQLite keeps are those of its table, after any changes."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, models, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from requests_queue import list_queries
from requests_queue.queues.fulfillment.models import Request
from sandbox import snapshots
from tests import make
from tests.api import Caller

pytestmark = pytest.mark.django_db
COLUMNS = ("vendor_id", "provider_id", "product_id", "status")
CLOSED = ("approved", "failed", "revoked")
_numbers = itertools.count(1)

Numbers = dict[tuple[str, ...], int]


def kept() -> Numbers:
    """Return the numbers that the database keeps, by party, product and status."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(COLUMNS)}, number FROM fulfillment_request_numbers")
        return {row[:-1]: row[-1] for row in cursor.fetchall()}


def counted() -> Numbers:
    """Return the numbers of the requests that there are."""
    rows = Request.objects.order_by().values_list(*COLUMNS).annotate(models.Count("pk"))
    return {row[:-1]: row[-1] for row in rows}


def request_of(catalog: make.Catalog, status: str) -> Request:
    number = next(_numbers)
    asset = make.asset(catalog, n=number)
    return Request(
        id=f"PR-{number:04d}", type="purchase", status=status, asset=asset, product=asset.product,
        vendor=catalog.vendor, provider=catalog.provider, marketplace=asset.marketplace,
        contract=asset.contract, created=make.AT, updated=make.AT,
    )  # fmt: skip


class _RolledBack(Exception):
    pass


def rolled_back(change: Callable[[], object]) -> None:
    try:
        with transaction.atomic():
            change()
            raise _RolledBack
    except _RolledBack:
        pass


def changes(one: make.Catalog, two: make.Catalog) -> dict[str, Callable[[], object]]:
    """Return what may happen to the table of requests."""
    rows = Request.objects

    def add() -> None:
        request_of(one, "pending").save()

    def add_many() -> None:
        many = [request_of(catalog, status) for catalog in (one, two) for status in CLOSED]
        rows.bulk_create(many)

    def save_one() -> None:
        if row := rows.order_by("pk").last():
            row.status, row.note = "revoked", "saved"
            row.save()

    def sell_elsewhere() -> None:
        there = {"vendor": two.vendor, "provider": two.provider, "product": two.product}
        rows.filter(status="approved").update(**there)

    def replace_one() -> None:
        if row := rows.order_by("pk").first():
            row.delete()
            row.save(force_insert=True)

    return {
        "nothing": lambda: rows.update(note="same", status=models.F("status")),
        "add": add,
        "add many": add_many,
        "add again": lambda: rows.bulk_create(list(rows.all()[:2]), ignore_conflicts=True),
        "approve": lambda: rows.filter(status="pending").update(status="approved"),
        "save": save_one,
        "sell elsewhere": sell_elsewhere,
        "replace": replace_one,
        "delete failed": lambda: rows.filter(status="failed").delete(),
        "delete all": lambda: rows.all()._raw_delete("default"),
        "rolled back": lambda: rolled_back(add_many),
        "delete rolled back": lambda: rolled_back(rows.all().delete),
    }


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_numbers_are_those_of_the_requests_after_any_changes(data: st.DataObject) -> None:
    with transaction.atomic():
        possible = changes(make.catalog("1"), make.catalog("2"))
        for name in data.draw(st.lists(st.sampled_from(sorted(possible)), max_size=8)):
            possible[name]()
            assert kept() == counted(), name
        transaction.set_rollback(True)


@pytest.mark.parametrize(
    ("query", "is_kept"),
    [
        ("", True),
        ("status=pending", True),
        ("ne(status,pending)", True),
        ("in(status,(pending,approved))&asset.product.id=PRD-814-505-018", True),
        ("(eq(status,failed)|eq(asset.product.id,PRD-814-505-018))", True),
        ("like(status,*pp*)", True),
        ("type=purchase", False),
        ("status=pending&type=purchase", False),
        ("ge(created,2020-01-01)", False),
        ("(eq(status,approved)|eq(asset.connection.type,production))", False),
    ],
)
def test_total_of_a_list_is_that_of_a_count(vendor: Caller, query: str, is_kept: bool) -> None:
    every = vendor.get(f"/requests?{query}&limit=1000").json
    list_queries._kept.clear()
    # The first one counts as the ORM does.
    for is_read in (False, is_kept):
        with CaptureQueriesContext(connection) as statements:
            response = vendor.get(f"/requests?{query}&limit=1")
        assert response.headers["Content-Range"] == f"items 0-0/{len(every)}"
        reads = [each for each in statements if "fulfillment_request_numbers" in each["sql"]]
        assert len(reads) == is_read


def test_numbers_of_another_account_are_not_counted(vendor: Caller, other: make.Catalog) -> None:
    before = [vendor.get("/requests?limit=1").headers["Content-Range"] for _ in range(2)]
    request_of(other, "pending").save()
    assert vendor.get("/requests?limit=1").headers["Content-Range"] == before[0] == before[1]


@pytest.mark.django_db(transaction=True)
def test_restore_keeps_the_numbers_true(seeded: Any) -> None:
    snapshots.save("before", patience=0)
    before = counted()
    Request.objects.filter(status="pending").update(status="approved")
    snapshots.restore("before", patience=0)
    assert kept() == counted() == before
