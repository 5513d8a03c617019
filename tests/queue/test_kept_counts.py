"""Counts are kept as long as nothing in the database has changed, by this connection or another."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from requests_queue import kept_counts
from requests_queue.catalog.models import Account
from tests import make
from tests.background import Background

pytestmark = pytest.mark.django_db(transaction=True)
COUNT = "SELECT COUNT(*) FROM catalog_account WHERE type = %s"
_numbers = itertools.count(1)


def count(of: str = "vendor") -> int:
    return kept_counts.count(COUNT, (of,))


def add(of: str = "vendor") -> None:
    number = next(_numbers)
    Account.objects.create(id=f"VA-900-{number:03d}", name="New", type=of, created=make.AT)


def elsewhere(change: Callable[[], object]) -> None:
    """Change something on a connection of its own."""
    Background(change).result()


def rolled_back() -> None:
    transaction.set_autocommit(False)
    add()
    # Inside of it the new row counts, and nothing is kept.
    assert count() == Account.objects.filter(type="vendor").count()
    transaction.rollback()
    transaction.set_autocommit(True)


def rolled_back_block() -> None:
    with transaction.atomic():
        add()
        assert count() == Account.objects.filter(type="vendor").count()
        transaction.set_rollback(True)


CHANGES: dict[str, Callable[[], object]] = {
    "nothing": lambda: None,
    "here": add,
    "another type": lambda: add("provider"),
    "elsewhere": lambda: elsewhere(add),
    "all deleted": lambda: Account.objects.all()._raw_delete("default"),
    "rolled back": rolled_back,
    "block rolled back": rolled_back_block,
    "new connection": connection.close,
}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(sorted(CHANGES)), max_size=8))
def test_count_is_that_of_the_database_after_any_changes(names: list[str]) -> None:
    for name in names:
        CHANGES[name]()
        for of in ("vendor", "provider", "vendor"):
            assert count(of) == Account.objects.filter(type=of).count(), name


def test_sqlite_counts_once_until_something_has_changed() -> None:
    def counted() -> int:
        with CaptureQueriesContext(connection) as queries:
            count()
        return sum("COUNT" in each["sql"] for each in queries)

    again = int(connection.vendor == "postgresql")
    assert [counted() for _ in range(3)] == [1, again, again]
    elsewhere(add)
    assert [counted() for _ in range(2)] == [1, again]
    with transaction.atomic():
        assert [counted() for _ in range(2)] == [1, 1]


def test_number_of_kept_counts_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_counts, "MAX_COUNTS", 3)
    for number in range(8):
        assert count(f"type {number}") == 0
        assert len(kept_counts._kept()._counts) <= 3
