"""Pages of queues that read: contents, access and cost."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from requests_queue import seed
from requests_queue.catalog.models import Account, Product, User
from requests_queue.conversations.models import Message
from requests_queue.queues import base
from requests_queue.queues.fulfillment import creation
from requests_queue.queues.fulfillment.models import Request
from tests import html, make
from tests.api import PROVIDER, VENDOR, caller
from tests.portal.queues import (
    DRAFT,
    INQUIRING,
    PENDING,
    PLAIN,
    distributor,
    read,
    seeded,
    vendor,
)
from tests.signed_in import signed_in
from webhooks.models import Event

pytestmark = pytest.mark.django_db

__all__ = ["distributor", "seeded", "vendor"]

# The API's address of an object of each queue.
API = {
    "fulfillment": "/requests",
    "billing": "/subscriptions/requests",
    "tier_account": "/tier/account-requests",
    "tier_config": "/tier/config-requests",
    "listing": "/listing-requests",
    "usage_file": "/usage/files",
}
PLACES = ("", "json/", "edit/", "actions/approve/", "actions/fail/")


@pytest.fixture
def stranger(seeded: seed.Summary) -> Client:
    """A user of another vendor."""
    return signed_in(make.catalog("7").vendor_user)


def of_each_queue(account: str) -> list[tuple[str, str]]:
    owner = Account.objects.get(pk=account)
    rows = [
        (queue.model._meta.app_label, row.pk)
        for queue in base.registered()
        for row in queue.model.visible_to(owner)[:2]
    ]
    assert {name for name, _ in rows} == set(API)
    return rows


def test_index_counts_objects_by_status(vendor: Client) -> None:
    with CaptureQueriesContext(connection) as queries:
        page = read(vendor, "/queues/")
    for queue in base.registered():
        assert queue.title in page
        assert queue.object_class in page
    assert "pending 2" in page
    assert sum("COUNT(" in query["sql"] for query in queries) == len(base.registered())
    # Session, user, accounts and the clock beside them.
    assert len(queries) <= 6 + len(base.registered())


def test_board_has_a_column_for_each_status_with_objects(vendor: Client) -> None:
    page = read(vendor, "/queues/fulfillment/")
    for words in (PENDING, "Orchard Street Books", "Pending 2", "Approved 15"):
        assert words in page, words
    # The object class is an alias.
    assert PENDING in read(vendor, "/queues/fulfillment_request/")
    read(vendor, "/queues/nothing/", 404)


@pytest.mark.parametrize(
    ("query", "there", "not_there"),
    [
        ("?type=change", "PR-5810-2277-4118-002", PENDING),
        (f"?product={PLAIN}", PENDING, INQUIRING),
        ("?q=1178", INQUIRING, PENDING),
        ("?q=orchard", PENDING, INQUIRING),
        ("?q=510303", INQUIRING, PENDING),
        ("?status=inquiring", INQUIRING, PENDING),
        ("?status=&q=orchard", PENDING, INQUIRING),
        ("?type=nonsense&status=pending", PENDING, INQUIRING),
    ],
)
def test_objects_are_filtered_and_searched(
    vendor: Client, query: str, there: str, not_there: str
) -> None:
    page = read(vendor, f"/queues/fulfillment/{query}")
    assert there in page
    assert not_there not in page


def test_empty_result_says_so(vendor: Client) -> None:
    assert "No matching objects" in read(vendor, "/queues/fulfillment/?q=%25")
    assert "No matching objects" in read(vendor, "/queues/billing/?q=nobody")
    assert "No matching objects" in read(
        vendor, f"/queues/fulfillment/?status=revoked&product={PLAIN}"
    )


def test_long_column_links_to_its_list(vendor: Client) -> None:
    link = read(vendor, "/queues/fulfillment/").by_role("link", "All 15")
    assert link["href"] == "?status=approved"
    first = read(vendor, "/queues/fulfillment/?status=approved")
    second = read(vendor, "/queues/fulfillment/?status=approved&page=2")
    assert "1–10 of 15" in first
    assert "11–15 of 15" in second


def test_queue_without_statuses_is_a_list(vendor: Client, distributor: Client) -> None:
    page = read(vendor, "/queues/billing/")
    assert "BRV-2934-6610-1209-0001" in page
    assert "Board" not in page
    # The provider's own requests are hidden from vendors.
    assert "BRP-" not in page
    assert "BRP-2934-6610-1216-0001" in read(distributor, "/queues/billing/")
    read(vendor, "/queues/billing/BRP-2934-6610-1216-0001/", 404)
    read(vendor, "/queues/billing/BRP-2934-6610-1216-0001/json/", 404)


@pytest.mark.parametrize("account", [VENDOR, PROVIDER])
def test_object_is_shown_to_its_parties_only(seeded: Any, account: str) -> None:
    party = signed_in(User.objects.filter(account=account, is_service=False)[0])
    stranger = signed_in(make.catalog("7").vendor_user)
    for name, pk in of_each_queue(account):
        assert pk in read(party, f"/queues/{name}/{pk}/")
        for place in PLACES:
            assert pk not in read(stranger, f"/queues/{name}/{pk}/{place}", 404), (name, place)
        for place in ("validate/", "actions/fail/", "edit/", "json/"):
            assert stranger.post(f"/queues/{name}/{pk}/{place}").status_code == 404
        assert pk not in read(stranger, f"/queues/{name}/")
        assert pk not in read(stranger, f"/queues/{name}/?status=")


@pytest.mark.parametrize(
    "path", ["", "fulfillment/", f"fulfillment/{PENDING}/", "fulfillment/new/"]
)
def test_pages_require_sign_in(seeded: Any, path: str) -> None:
    response = Client().get(f"/queues/{path}")
    assert response.status_code == 303
    assert response["Location"].startswith("/sign-in/")


@pytest.mark.parametrize("account", [VENDOR, PROVIDER])
def test_json_equals_the_apis(seeded: Any, account: str) -> None:
    api = caller(Account.objects.get(pk=account))
    client = signed_in(User.objects.filter(account=account, is_service=False)[0])
    for name, pk in of_each_queue(account):
        page = html.parse(client.post(f"/queues/{name}/{pk}/json/"))
        shown = json.loads(page.one("#source").raw_text)
        # Links to files are signed again each time.
        texts = [json.dumps(each) for each in (shown, api.get(f"{API[name]}/{pk}").json)]
        assert len({re.sub(r'/download/[^"]+', "", text) for text in texts}) == 1


def test_passwords_are_shown_by_a_post_only(vendor: Client) -> None:
    row = Request.objects.get(pk=INQUIRING)
    row.params = [
        {**p, "value": "s3cret-word"} if p["type"] == "password" else p for p in row.params
    ]
    row.save()
    for place in ("", "json/", "edit/"):
        assert (
            "s3cret-word"
            not in vendor.get(f"/queues/fulfillment/{INQUIRING}/{place}").content.decode()
        )
    page = read(vendor, f"/queues/fulfillment/{INQUIRING}/json/")
    assert page.by_role("button", "Show passwords")
    assert "s3cret-word" in vendor.post(f"/queues/fulfillment/{INQUIRING}/json/").content.decode()


def test_object_shows_parameters_items_and_parties(vendor: Client) -> None:
    page = read(vendor, f"/queues/fulfillment/{INQUIRING}/")
    for words in (
        "Purchase fulfillment request", "Nimbus Secure Suite", "Console name", "console_subdomain",
        "This name is taken", "Data region", "United Kingdom (uk)", "0 → 60", "0 → unlimited",
        "Marlow Dental Group", "tom.ashworth@marlowdental.example.com", "AS-2934-6610-1178",
        "We need something from you", "Open the inquiring form", "marlow-dental is free",
    ):  # fmt: skip
        assert words in page, words


def test_private_messages_are_shown_to_their_account_only(
    vendor: Client, distributor: Client
) -> None:
    first = Message.objects.filter(conversation__instance_id=INQUIRING)[0]
    Message.objects.create(
        conversation_id=first.conversation_id, type="private", text="Between us.",
        account_id=VENDOR, created=first.created,
    )  # fmt: skip
    assert "Between us." in read(vendor, f"/queues/fulfillment/{INQUIRING}/")
    assert "Between us." not in read(distributor, f"/queues/fulfillment/{INQUIRING}/")


def test_history_shows_deliveries_of_own_webhooks_only(seeded: Any) -> None:
    catalog = make.catalog("1")
    hook = make.webhook(catalog, n=1, label="Ours")
    make.webhook(catalog, n=2, label="Theirs", account=catalog.provider)
    row = creation.create(make.purchase(catalog), catalog.as_distributor)
    event = Event.objects.get(webhook=hook)
    page = read(signed_in(catalog.vendor_user), f"/queues/fulfillment/{row.pk}/")
    (delivery,) = page.all('.stream-row[data-kind="delivery"]')
    assert delivery.by_role("link", "Ours") and "Theirs" not in page
    assert delivery.all(f'a[href="/deliveries/{event.delivery_id}/"]')
    assert "Theirs" in read(signed_in(catalog.provider_user), f"/queues/fulfillment/{row.pk}/")


@pytest.mark.parametrize(
    "path", ["/queues/fulfillment/", "/queues/billing/", f"/queues/fulfillment/{PENDING}/"]
)
def test_polling_an_unchanged_page_returns_204(vendor: Client, path: str) -> None:
    poll = read(vendor, path).one("#content")["hx-get"]
    assert vendor.get(path + poll, headers={"HX-Request": "true"}).status_code == 204
    Request.objects.filter(pk=PENDING).update(updated=make.AT, status="failed")
    base.find_queue("billing").model.objects.all().delete()  # type: ignore[union-attr]
    changed = vendor.get(path + poll, headers={"HX-Request": "true"})
    assert changed.status_code == 200
    assert b"<html" not in changed.content
    assert b"seen=" in changed.content


def test_number_of_statements_is_constant(seeded: Any) -> None:
    catalog = make.catalog("1")
    client = signed_in(catalog.vendor_user)
    body = make.purchase(catalog)
    pk = creation.create(body, catalog.as_distributor).pk

    def statements(path: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            read(client, path)
        return len(queries)

    paths = ("/queues/fulfillment/", "/queues/fulfillment/?status=", f"/queues/fulfillment/{pk}/",
             "/queues/fulfillment/new/")  # fmt: skip
    before = [statements(path) for path in paths]
    for n in range(5):
        creation.create(body, catalog.as_distributor)
        product = Product.objects.create(
            id=f"PRD-111-111-00{n}",
            name="P",
            owner=catalog.vendor,
            created=make.AT,
            updated=make.AT,
        )
        make.webhook(catalog, n=n + 1, product=product)
    assert [statements(path) for path in paths] == before


def test_draft_has_no_history(vendor: Client) -> None:
    Message.objects.filter(conversation__instance_id=DRAFT).delete()
    assert "Drafts trigger no webhooks." in read(vendor, f"/queues/fulfillment/{DRAFT}/")
