"""Concurrent writes to listing requests and usage files: only one succeeds."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.db import connection

from requests_queue import clock, ids
from requests_queue.catalog.models import Listing
from requests_queue.errors import Refused
from requests_queue.queues import transitions
from requests_queue.queues.listing import creation
from requests_queue.queues.listing.models import ListingRequest
from requests_queue.queues.usage_file import creation as usage_creation
from requests_queue.queues.usage_file import leases, matching, records
from requests_queue.queues.usage_file.effects import Content
from requests_queue.queues.usage_file.models import UsageFile, UsageRecord
from tests import background, make
from tests.queue.queues.test_usage_file import usage_file

pytestmark = pytest.mark.django_db(transaction=True)


def concurrently(count: int, act: Callable[[int], Any]) -> list[Any]:
    """Call from several threads at the same time; return each result or refusal."""
    return background.concurrently(*[partial(act, n) for n in range(count)])


def won(results: list[Any]) -> int:
    return sum(not isinstance(one, Refused) for one in results)


def test_concurrent_files_with_the_same_drawn_id_get_different_ids(
    catalog: make.Catalog,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    body = {
        "name": "November",
        "product": {"id": catalog.product.pk},
        "contract": {"id": Listing.objects.get().contract_id},
    }
    drawn, draw, both = threading.local(), ids.draw, threading.Barrier(4)

    def same(kind: str) -> str:
        if not getattr(drawn, "yes", False):
            drawn.yes = True
            if connection.vendor == "postgresql":
                # SQLite serializes writing transactions from their start.
                both.wait(10)
            return "UF-2026-11-0000-0001"
        return draw(kind)

    monkeypatch.setattr(ids, "draw", same)
    created = concurrently(4, lambda _: usage_creation.create(body, catalog.as_vendor).pk)
    assert "UF-2026-11-0000-0001" in created
    assert {pk[:11] for pk in created} <= {"UF-2026-11-", f"UF-{clock.now():%Y-%m}-"}
    assert len(set(created)) == UsageFile.objects.count() == 4
    assert sorted(created) == sorted(UsageFile.objects.values_list("pk", flat=True))


def test_concurrent_requests_create_one_listing_and_one_open_request(catalog: make.Catalog) -> None:
    contract = Listing.objects.get().contract_id
    Listing.objects.all().delete()
    body = {"type": "new", "product_id": catalog.product.pk, "contract_id": contract}
    created = concurrently(6, lambda _: creation.create(body, catalog.as_vendor).pk)
    assert won(created) == len(set(created)) == 6
    assert Listing.objects.count() == 1
    submitted = concurrently(
        6, lambda n: transitions.move(ListingRequest, created[n], "submit", catalog.as_vendor)
    )
    assert won(submitted) == 1
    assert ListingRequest.objects.filter(status="reviewing").count() == 1


def test_concurrent_request_keeps_the_listing(catalog: make.Catalog) -> None:
    contract = Listing.objects.get().contract_id
    Listing.objects.all().delete()
    body = {"type": "new", "product_id": catalog.product.pk, "contract_id": contract}
    for _ in range(5):
        draft = creation.create(body, catalog.as_vendor).pk

        def act(n: int, draft: str = draft) -> Any:
            if n:
                return creation.create(body, catalog.as_vendor).pk
            return creation.delete_draft(draft, catalog.as_vendor)

        assert won(concurrently(3, act)) == 3
        assert ListingRequest.objects.count() == 2
        for pk in ListingRequest.objects.values_list("pk", flat=True):
            creation.delete_draft(pk, catalog.as_vendor)
        assert not Listing.objects.exists()


def test_concurrent_files_define_the_same_items_once() -> None:
    catalog = make.catalog("1", {"ppu": {"dynamic": True}})
    file = usage_file(catalog, "processing")
    results = concurrently(
        4, lambda n: matching.Items(file).define(f"m-{n // 2}", f"Item {n // 2}", "unit", "").pk
    )
    assert sorted(results) == [f"{catalog.product.pk}-{n:04d}" for n in (2, 2, 3, 3)]


def test_one_of_two_uploads_succeeds_and_one_worker_claims(catalog: make.Catalog) -> None:
    file = usage_file(catalog, "draft")
    body = {"usage_file": Content("u.csv", b"a,b")}
    moved = concurrently(
        4, lambda _: transitions.move(UsageFile, file.pk, "upload", catalog.as_vendor, body)
    )
    assert won(moved) == 1
    taken = concurrently(4, lambda _: leases.claim(file.pk))
    assert sum(token is not None for token in taken) == 1


def test_closing_all_records_at_once_closes_the_file_once(catalog: make.Catalog) -> None:
    file = usage_file(catalog, "accepted")
    UsageFile.objects.update(accepted=2)
    pks = list(file.records.values_list("pk", flat=True)) * 3
    assert won(concurrently(6, lambda n: records.close(pks[n], {}, catalog.as_distributor))) == 2
    file.refresh_from_db()
    assert (file.status, file.accepted, file.closed) == ("closed", 0, 2)
    assert set(UsageRecord.objects.values_list("status", flat=True)) == {"closed"}
