"""The list of webhooks: access, search, filters, sorting, paging and cost."""

from __future__ import annotations

import gzip
from datetime import timedelta

import pytest
from django.test import Client

from requests_queue import clock
from tests import html
from tests.make import AT, Catalog
from tests.portal.statements import counts, statements
from tests.portal.webhooks import CANARY, attempt, hook
from tests.signed_in import vendor  # noqa: F401  (fixture)

pytestmark = pytest.mark.django_db
LIST = "/webhooks/"
HTMX = {"HX-Request": "true"}


def names(client: Client, query: str = "") -> list[str]:
    response = client.get(f"{LIST}{query}")
    assert response.status_code == 200
    return [row.label for row in response.context["paged"].rows]


def test_row_shows_state_last_response_and_next_attempt(vendor: Client, catalog: Catalog) -> None:
    row = hook(catalog, label="Orders", description="New orders")
    row.last_success = attempt(row, outcome="success", finished_at=AT + timedelta(minutes=49))
    row.save()
    page = html.get(vendor, LIST)
    [[*cells, _]] = page.rows()
    assert cells == [
        f"Orders {row.pk} New orders",
        f"{catalog.product.name} {catalog.product.pk}",
        "Subscription — Fulfillment Requests — Queue Changes",
        "New",
        "500 success 2026-11-01 09:49:00 UTC",
        "–",
        "2026-11-01 09:49:00 UTC",
    ]
    assert "Rows per page: 10" in page.by_role("navigation", "Pages")
    assert CANARY not in page


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("q=FIRST", "1"), ("q=alpha", "1"), ("q=WH-000-000-002", "2"), ("q=beta.ex", "2"),
        ("q=nothing", ""), ("status=disabled", "2"), ("status=failing", "3"),
        ("status=out-of-order", "4"), ("type=validator:fulfillment_request", "1"),
        ("product=PRD-111-111-111", "1234"), ("product=PRD-999-999-999", ""), ("type=no:such", ""),
    ],
)  # fmt: skip
def test_list_is_searched_and_filtered(
    vendor: Client, catalog: Catalog, query: str, expected: str
) -> None:
    hook(catalog, 1, label="First", description="alpha", type="validator")
    hook(
        catalog, 2, external_url="http://beta.example.com/", active=False,
        failure_since_last_success=3,
    )  # fmt: skip
    hook(catalog, 3, failure_since_last_success=3)
    hook(catalog, 4, failure_since_last_success=9, out_of_order=True)
    rows = vendor.get(f"{LIST}?{query}").context["paged"].rows
    assert sorted(row.pk[-1] for row in rows) == list(expected)
    badges = [badge.text for badge in html.get(vendor, LIST).all("tbody .badge")]
    assert sorted(badges) == ["Disabled", "New", "Out of order", "Recovering"]


def test_list_without_matches_says_so(vendor: Client, catalog: Catalog) -> None:
    hook(catalog)
    assert html.get(vendor, f"{LIST}?q=nothing").by_role("heading", "No matching webhooks")


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
    def fill(numbers: range) -> None:
        for n in numbers:
            row = hook(catalog, n)
            row.last_success = attempt(row)
            row.save()

    fill(range(1, 2))
    before = counts(vendor, f"{LIST}?size=50")
    fill(range(2, 30))
    [after] = statements(vendor, f"{LIST}?size=50")
    assert [len(after)] == before
    assert "jwt_secret" not in str(after) and "response_body" not in str(after)


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
