"""Rows that are read by compiled SQL are those that the ORM reads, with what it prefetches."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection

from connect_sim.urls import urlpatterns
from requests_queue import rows_by_key
from requests_queue.catalog.models import Account, Product, TierAccount
from requests_queue.queues import api
from requests_queue.queues.fulfillment.models import Request
from requests_queue.rows_by_key import RowsByKey

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("vendor")]


def views(base: Any = api.QueueCollection) -> list[Any]:
    """Return the collections of queues."""
    assert urlpatterns
    below = [view for each in base.__subclasses__() for view in views(each)]
    return [view for view in (*base.__subclasses__(), *below) if "queue" in view.__dict__]


def test_every_queue_has_the_same_rows_as_by_the_orm() -> None:
    shown = []
    for view in views():
        collection = view()
        rows = collection.complete(view.queue.model.objects.all()).order_by()
        rows = rows.only(*view.columns) if view.columns else rows
        read = {row.pk: row for row in RowsByKey(rows).read(rows.values_list("pk", flat=True))}
        expected = [view.represent(row) for row in rows]
        assert [view.represent(read[each["id"]]) for each in expected] == expected
        shown += expected
    assert len(shown) > 20


def test_prefetched_objects_are_shared_and_null_where_there_are_none() -> None:
    rows = TierAccount.objects.prefetch_related("owner", "parent", "parent__owner")
    read = RowsByKey(rows).read(rows.values_list("pk", flat=True))
    assert len({id(row.owner) for row in read}) == len({row.owner_id for row in read})
    parents = [row.parent for row in read]
    assert None in parents and any(parents)
    assert [parent.owner.pk for parent in parents if parent] == [
        parent.owner_id for parent in parents if parent
    ]


def test_no_keys_need_no_statement(django_assert_num_queries: Any) -> None:
    reader = RowsByKey(Product.objects.prefetch_related("owner"))
    with django_assert_num_queries(0):
        assert reader.read([]) == []
    assert reader.read(["PRD-000-000-000"]) == []


def test_columns_that_are_not_read_are_fetched_on_access(django_assert_num_queries: Any) -> None:
    [row] = RowsByKey(Request.objects.only("status")).read([Request.objects.first().pk])  # type: ignore[union-attr]
    with django_assert_num_queries(1):
        assert row.type


def test_other_prefetches_are_refused() -> None:
    for lookup in ("products", "marketplaces__hubs"):
        with pytest.raises(TypeError):
            RowsByKey(Account.objects.prefetch_related(lookup))


@pytest.mark.django_db(transaction=True)
def test_each_thread_compiles_for_its_own_connection() -> None:
    made: list[RowsByKey] = []

    def read() -> None:
        made.append(rows_by_key.compiled("test of threads", Account.objects.all))
        connection.close()

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
        thread.join()
    assert made[0] is not made[1]
    first, second = (rows_by_key.compiled("test again", Account.objects.all) for _ in range(2))
    assert first is second
