"""Pages of lists: each account's own rows, as they are now, with their range."""

from __future__ import annotations

import gc

import pytest
from django.db import connection
from django.test import RequestFactory
from django.test.client import ClientHandler
from django.test.utils import CaptureQueriesContext
from rest_framework.response import Response

from requests_queue.queues.fulfillment.models import Request
from tests import make
from tests.api import Caller, caller, ids

pytestmark = pytest.mark.django_db
ALL = "/requests?ordering(id)&limit=1000"


def page(who: Caller, query: str) -> tuple[list[str], str]:
    """Return the ids of a page and its range."""
    response = who.get(f"/requests?ordering(id){query}")
    assert response.status == 200
    return [row["id"] for row in response.json], response.headers["Content-Range"]


def test_accounts_with_the_same_query_see_and_count_their_own_rows(
    vendor: Caller, distributor: Caller, other: make.Catalog
) -> None:
    callers = [vendor, distributor, caller(other.vendor), caller(other.provider)]
    first = [ids(each, ALL) for each in callers]
    assert first[0] and first[2:] == [[], []]
    asset = make.asset(other)
    Request.objects.create(
        id="PR-1",
        type="purchase",
        status="pending",
        asset=asset,
        product=asset.product,
        vendor=other.vendor,
        provider=other.provider,
        marketplace=asset.marketplace,
        contract=asset.contract,
        created=make.AT,
        updated=make.AT,
    )
    assert [len(ids(each, ALL)) for each in callers] == [len(first[0]), len(first[1]), 1, 1]
    assert page(vendor, "&limit=1")[1] == f"items 0-0/{len(first[0])}"


def test_list_and_its_total_have_what_has_changed(vendor: Caller) -> None:
    query = "&eq(status,pending)"
    before, _ = page(vendor, query)
    Request.objects.filter(pk=before[0]).update(status="approved")
    assert page(vendor, query)[0] == before[1:]
    assert page(vendor, f"{query}&limit=1") == (before[1:2], f"items 0-0/{len(before) - 1}")


def test_response_keeps_nothing_for_the_garbage_collector(vendor: Caller) -> None:
    headers = {"authorization": f"ApiKey {vendor.key}"}
    # Not the whole client, which keeps responses itself.
    environ = RequestFactory().get("/public/v1/requests", headers=headers).environ

    def count() -> int:
        return sum(isinstance(each, (Request, Response)) for each in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        before = count()
        response = ClientHandler()(environ)
        assert b"PR-" in response.content and count() > before
        del response
        assert count() == before
    finally:
        gc.enable()


def test_select_leaves_out_a_part_of_each_entry(vendor: Caller) -> None:
    [row] = vendor.get("/requests?limit=1&select(-asset.items)").json
    assert "items" not in row["asset"] and "params" in row["asset"]


def test_select_cuts_the_marketplace_of_a_request_by_itself(vendor: Caller) -> None:
    [row] = vendor.get("/requests?select(-marketplace.name)&limit=1").json
    assert "name" not in row["marketplace"]
    assert row["asset"]["marketplace"]["name"]


def test_select_adds_the_open_request_of_a_subscription(vendor: Caller) -> None:
    [request] = vendor.get("/requests?status=pending&type=change&limit=1").json
    path = f"/assets?id={request['asset']['id']}"
    assert "pending_request" not in vendor.get(path).json[0]
    assert "pending_request" not in vendor.get(f"/assets/{request['asset']['id']}").json
    shown = {name: request[name] for name in ("id", "type", "status")}
    template = {name: request["template"][name] for name in ("id", "name")}
    for query, expected in (
        ("pending_request", shown),
        ("+pending_request", shown),
        ("pending_request.template", {**shown, "template": template}),
        ("+pending_request,+pending_request.template,-items", {**shown, "template": template}),
    ):
        [row] = vendor.get(f"{path}&select({query})").json
        assert row["pending_request"] == expected, query
        assert ("items" in row) == ("-items" not in query)
    idle = vendor.get("/assets?status=active&select(pending_request)").json
    assert [row for row in idle if "pending_request" not in row]


@pytest.mark.parametrize(
    ("path", "part"), [("/requests", "asset"), ("/tier/config-requests", "configuration")]
)
def test_select_adds_the_capabilities_of_the_product(vendor: Caller, path: str, part: str) -> None:
    [row] = vendor.get(f"{path}?limit=1").json
    assert "capabilities" not in row[part]["product"]
    for sign in ("", "+"):
        [row] = vendor.get(f"{path}?select({sign}{part}.product.capabilities)&limit=1").json
        product = row[part]["product"]
        assert (
            product.pop("capabilities")
            == vendor.get(f"/products/{product['id']}").json["capabilities"]
        )


@pytest.mark.parametrize(
    "query",
    [
        "ne(status,pending)",
        "in(status,(pending,approved))&asset.product.id=PRD-814-505-018",
        "(eq(status,failed)|eq(asset.product.id,PRD-814-505-018))",
        "like(status,*pp*)",
        "status=pending&type=purchase",
        "ge(created,2020-01-01)",
        "(eq(status,approved)|eq(asset.connection.type,production))",
        "ne(template.id,TL-0)",
    ],
)
def test_total_is_the_number_of_rows_that_match(vendor: Caller, query: str) -> None:
    every = ids(vendor, f"/requests?{query}&limit=1000")
    assert every
    response = vendor.get(f"/requests?{query}&limit=1")
    assert response.headers["Content-Range"] == f"items 0-0/{len(every)}"


@pytest.mark.parametrize(
    "path",
    [
        "/requests",
        "/tier/account-requests",
        "/tier/config-requests",
        "/listing-requests",
        "/subscriptions/requests",
    ],
)
def test_entries_of_a_page_are_the_details(vendor: Caller, path: str) -> None:
    rows = vendor.get(path).json
    assert len(rows) > 1
    for row in rows:
        assert vendor.get(f"{path}/{row['id']}").json == row


def test_every_page_has_its_range(vendor: Caller) -> None:
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
    assert {query: page(vendor, query) for query in pages} == pages


def test_a_page_that_is_the_last_is_not_counted(vendor: Caller) -> None:
    with CaptureQueriesContext(connection) as queries:
        ids(vendor, ALL)
    assert not [each["sql"] for each in queries if "COUNT(" in each["sql"]]


@pytest.mark.parametrize("name", ["limit", "offset"])
@pytest.mark.parametrize("path", ["/requests", "/categories", "/assets/{}/requests"])
def test_limit_and_offset_are_whole_numbers_of_zero_or_more(
    vendor: Caller, path: str, name: str
) -> None:
    path = path.format(ids(vendor, "/assets?limit=1")[0])
    for bad in ("-1", "1.5", "x", "%2B1", "1_0", "true", "%D9%A1"):
        response = vendor.get(f"{path}?{name}={bad}")
        assert (response.status, response.json["error_code"]) == (400, "VAL_001"), bad
        assert response.json["errors"] == [f"{name}: Not a whole number of 0 or more."]
    for good in ("9" * 5_000, '"1"'):
        assert vendor.get(f"{path}?{name}={good}").status == 200, good


@pytest.mark.parametrize("query", ["limit=1&limit=2", "ge(offset,1)"])
def test_limit_that_is_no_single_number_is_refused(vendor: Caller, query: str) -> None:
    assert vendor.get(f"/requests?{query}").status == 400
