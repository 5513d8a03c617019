"""The list of webhooks: access, search, filters, sorting, paging and cost."""

from __future__ import annotations

import gzip
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from requests_queue import clock
from tests import html, make
from tests.make import AT, Catalog
from tests.portal.webhooks import CANARY, attempt
from tests.signed_in import vendor  # noqa: F401  (fixture)
from webhooks.models import Webhook

pytestmark = pytest.mark.django_db
LIST = "/webhooks/"
HTMX = {"HX-Request": "true"}


def hook(catalog: Catalog, n: int = 1, **more: object) -> Webhook:
    return make.webhook(catalog, n=n, **{"jwt_secret": CANARY, **more})


def names(client: Client, query: str = "") -> list[str]:
    response = client.get(f"{LIST}{query}")
    assert response.status_code == 200
    return [row.label for row in response.context["paged"].rows]


def test_row_shows_state_last_response_and_next_attempt(vendor: Client, catalog: Catalog) -> None:
    row = hook(catalog, label="Orders", description="New orders")
    row.last_success = attempt(row, outcome="success", finished_at=AT + timedelta(minutes=49))
    row.save()
    page = html.get(vendor, LIST)
    ((name, product, kind, status, last, following, success, _),) = page.rows()
    assert (name, product) == (
        f"Orders {row.pk} New orders",
        f"{catalog.product.name} {catalog.product.pk}",
    )
    assert kind == "Subscription — Fulfillment Requests — Queue Changes"
    assert (status, following, success) == ("New", "–", "2026-11-01 09:49:00 UTC")
    assert last == "500 success 2026-11-01 09:49:00 UTC"
    assert "Rows per page: 10" in page.by_role("navigation", "Pages")
    assert CANARY not in page


def test_search_covers_name_id_url_and_description(vendor: Client, catalog: Catalog) -> None:
    hook(catalog, 1, label="First", description="alpha")
    hook(catalog, 2, label="Second", external_url="http://beta.example.com/")
    assert names(vendor, "?q=FIRST") == names(vendor, "?q=alpha") == ["First"]
    assert names(vendor, "?q=WH-000-000-002") == names(vendor, "?q=beta.ex") == ["Second"]
    assert names(vendor, "?q=nothing") == []
    assert html.get(vendor, f"{LIST}?q=nothing").by_role("heading", "No matching webhooks")


def test_list_is_filtered(vendor: Client, catalog: Catalog) -> None:
    hook(catalog, 1, label="on", type="validator")
    hook(catalog, 2, label="off", active=False, failure_since_last_success=3)
    hook(catalog, 3, label="failing", failure_since_last_success=3)
    hook(catalog, 4, label="lost", failure_since_last_success=9, out_of_order=True)
    assert names(vendor, "?status=disabled") == ["off"]
    assert names(vendor, "?status=failing") == ["failing"]
    assert names(vendor, "?status=out-of-order") == ["lost"]
    assert names(vendor, "?type=validator:fulfillment_request") == ["on"]
    assert len(names(vendor, f"?product={catalog.product.pk}")) == 4
    assert names(vendor, "?product=PRD-999-999-999") == names(vendor, "?type=no:such") == []
    badges = [badge.text for badge in html.get(vendor, LIST).all("tbody .badge")]
    assert sorted(badges) == ["Disabled", "New", "Out of order", "Recovering"]


def test_failing_row_counts_down_to_the_next_attempt(vendor: Client, catalog: Catalog) -> None:
    row = hook(
        catalog,
        round=2,
        failure_since_last_success=2,
        earliest_possible_trigger=clock.now() + timedelta(minutes=5),
    )
    row.last_success = attempt(row, outcome="success", status_code=200, finished_at=AT)
    row.last_failure = attempt(row, 2, finished_at=AT + timedelta(minutes=1))
    row.save()
    cells = html.get(vendor, LIST).rows()[0]
    assert cells[3] == "Backing off" and cells[4].startswith("500 failure")
    assert cells[5].startswith("in 4 min")


def test_table_is_polled_until_it_changes(vendor: Client, catalog: Catalog) -> None:
    row = hook(catalog)
    poll = html.get(vendor, f"{LIST}?sort=name").one("#webhooks")["hx-get"]
    assert poll is not None
    assert vendor.get(f"{LIST}{poll}", headers=HTMX).status_code == 204
    row.label = "Renamed"
    row.save()
    part = html.get(vendor, f"{LIST}{poll}", **HTMX)
    assert "Renamed" in part and not part.all("html")
    assert not [link for link in part.all("a") if "seen=" in (link["href"] or "")]


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("name", "abc"),
        ("-name", "cba"),
        ("success", "bac"),
        ("-success", "abc"),
        ("no", "abc"),
    ],
)
def test_list_is_sorted(vendor: Client, catalog: Catalog, sort: str, order: str) -> None:
    rows = [hook(catalog, n, label=name) for n, name in enumerate("abc", 1)]
    for row, minutes in zip(rows, (5, 3), strict=False):
        row.last_success = attempt(row, finished_at=AT + timedelta(minutes=minutes))
        row.save()
    assert "".join(names(vendor, f"?sort={sort}")) == order


def test_pages_have_ten_rows(vendor: Client, catalog: Catalog) -> None:
    for n in range(1, 13):
        hook(catalog, n)
    assert (len(names(vendor)), len(names(vendor, "?page=2"))) == (10, 2)
    assert len(names(vendor, "?size=25")) == 12


def test_number_of_statements_is_constant(vendor: Client, catalog: Catalog) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as statements:
            vendor.get(f"{LIST}?size=50")
        assert not any("jwt_secret" in query["sql"] for query in statements)
        assert not any("response_body" in query["sql"] for query in statements)
        return len(statements)

    row = hook(catalog)
    row.last_success = attempt(row)
    row.save()
    before = statements()
    for n in range(2, 30):
        more = hook(catalog, n)
        more.last_success = attempt(more)
        more.save()
    assert statements() == before


def test_longest_page_is_compressed(vendor: Client, catalog: Catalog) -> None:
    for number in range(1, 51):
        hook(
            catalog, number, label=f"Hook {number}", description=f"What hook {number} is for. " * 3
        )
    response = vendor.get(f"{LIST}?size=50", headers={"Accept-Encoding": "gzip"})
    assert response["Content-Encoding"] == "gzip"
    assert gzip.decompress(response.content).decode().count("<tr") == 51
    # In addition to the stylesheet and the scripts, which are 110 kB.
    assert len(response.content) < 40_000
