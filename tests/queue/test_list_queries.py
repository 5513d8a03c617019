"""Lists by kept SQL: other accounts and changed data have their own results, and pages a range."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from requests_queue import list_queries
from requests_queue.queues.fulfillment.models import Request
from tests import make
from tests.api import Caller, caller, ids

pytestmark = pytest.mark.django_db
ALL = "/requests?ordering(id)&limit=1000"


@pytest.fixture(autouse=True)
def _nothing_kept() -> None:
    list_queries._kept.clear()


def page(who: Caller, query: str) -> tuple[list[str], str]:
    """Return the ids of a page and its range."""
    response = who.get(f"/requests?ordering(id){query}")
    assert response.status == 200
    return [row["id"] for row in response.json], response.headers["Content-Range"]


def test_accounts_with_the_same_query_see_their_own_rows(
    vendor: Caller, distributor: Caller, other: make.Catalog
) -> None:
    callers = [vendor, distributor, caller(other.vendor), caller(other.provider)]
    first = [ids(each, ALL) for each in callers]
    assert first[0] and first[2:] == [[], []]
    assert [ids(each, ALL) for each in callers] == first


def test_a_repeated_query_finds_what_has_changed(vendor: Caller) -> None:
    query = "/requests?eq(status,pending)&ordering(id)"
    before = ids(vendor, query)
    Request.objects.filter(pk=before[0]).update(status="approved")
    assert ids(vendor, query) == before[1:]


def test_a_repeated_query_keeps_what_select_excludes(vendor: Caller) -> None:
    for _ in range(2):
        [row] = vendor.get("/requests?limit=1&select(-asset.items)").json
        assert "items" not in row["asset"] and "params" in row["asset"]


def test_a_repeated_query_is_not_compiled_again(vendor: Caller) -> None:
    def statements() -> list[str]:
        with CaptureQueriesContext(connection) as queries:
            assert vendor.get("/requests?eq(status,pending)&limit=2").status == 200
        return [each["sql"] for each in queries if "fulfillment_request" in each["sql"]]

    first, second = statements(), statements()
    assert len(list_queries._kept) == 1
    # Only the first one counts as the ORM does.
    assert (second[0], len(second)) == (first[0], len(first))
    assert statements() == second


def test_invalid_and_long_queries_are_not_kept(vendor: Caller) -> None:
    assert vendor.get("/requests?eq(nothing,1)").status == 400
    assert ids(vendor, f"/requests?in(id,({','.join(['PR-1'] * 500)}))") == []
    assert not list_queries._kept


def test_the_number_of_kept_queries_is_limited(
    vendor: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_queries, "MAX_QUERIES", 3)
    for number in range(8):
        assert vendor.get(f"/requests?limit={number}").status == 200
        assert len(list_queries._kept) <= 3


@pytest.mark.parametrize("repeated", [False, True])
def test_every_page_has_its_range(vendor: Caller, repeated: bool) -> None:
    every = ids(vendor, ALL)
    total = len(every)
    assert total > 5
    pages = {
        "&limit=2": (every[:2], f"items 0-1/{total}"),
        "&limit=2&offset=3": (every[3:5], f"items 3-4/{total}"),
        f"&limit={total}": (every, f"items 0-{total - 1}/{total}"),
        f"&limit={total + 1}": (every, f"items 0-{total - 1}/{total}"),
        f"&limit=5&offset={total - 2}": (every[-2:], f"items {total - 2}-{total - 1}/{total}"),
        f"&limit=5&offset={total}": ([], f"items 0-0/{total}"),
        f"&limit=5&offset={total + 7}": ([], f"items 0-0/{total}"),
        f"&limit=5&offset={2**63}": ([], f"items 0-0/{total}"),
        f"&limit=5&offset={10**40}": ([], f"items 0-0/{total}"),
        "&limit=0": ([], f"items 0-0/{total}"),
        "&limit=0&offset=3": ([], f"items 0-0/{total}"),
        "&status=none": ([], "items 0-0/0"),
        "&status=none&offset=4": ([], "items 0-0/0"),
    }
    for query in pages if repeated else ():
        page(vendor, query)
    assert {query: page(vendor, query) for query in pages} == pages


def test_a_page_that_is_the_last_is_not_counted(vendor: Caller) -> None:
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            ids(vendor, ALL)
        assert not [each["sql"] for each in queries if "COUNT(" in each["sql"]]
