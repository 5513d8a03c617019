"""Pages of queues that read: contents, access and cost."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.test import Client

from requests_queue.catalog.models import Account, Product, User
from requests_queue.conversations.models import Message
from requests_queue.queues import base
from requests_queue.queues.fulfillment.models import Request
from requests_queue.queues.listing.models import ListingRequest
from tests import html, make
from tests.api import PROVIDER, VENDOR, caller
from tests.portal.queues import (
    DRAFT,
    INQUIRING,
    PENDING,
    SUITE,
    distributor,
    seeded,
    vendor,
)
from tests.portal.statements import counts, statements
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
    "helpdesk": "/helpdesk/cases",
}


def test_index_counts_objects_by_status(vendor: Client) -> None:
    page, queues = html.get(vendor, "/queues/"), base.registered()
    names = [name for queue in queues for name in (queue.title, queue.object_class)]
    assert [name for name in names if name not in page] == []
    [queries] = statements(vendor, "/queues/")
    assert sum("COUNT(" in query for query in queries) == len(queues)
    # Session, user, accounts and the clock beside them.
    assert len(queries) <= 6 + len(queues)


def test_long_column_links_to_its_list(vendor: Client) -> None:
    link = html.get(vendor, "/queues/fulfillment/").by_role("link", "All 15")
    assert link["href"] == "?status=approved"


@pytest.mark.parametrize("account", [VENDOR, PROVIDER])
@pytest.mark.parametrize("name", API)
def test_object_is_shown_to_its_parties_as_the_api_returns_it(
    seeded: Any, name: str, account: str
) -> None:
    owner, queue = Account.objects.get(pk=account), base.find_queue(name)
    assert queue
    client = signed_in(User.objects.filter(account=owner, is_service=False)[0])
    pks = list(queue.model.visible_to(owner).values_list("pk", flat=True)[:2])
    assert pks
    for pk in pks:
        assert pk in html.get(client, f"/queues/{name}/{pk}/")
        page = html.parse(client.post(f"/queues/{name}/{pk}/json/"))
        shown = json.loads(page.one("#source").raw_text)
        # Links to files are signed again each time.
        texts = [json.dumps(each) for each in (shown, caller(owner).get(f"{API[name]}/{pk}").json)]
        assert len({re.sub(r'/download/[^"]+', "", text) for text in texts}) == 1


def test_passwords_are_shown_by_a_post_only(vendor: Client) -> None:
    row = Request.objects.get(pk=INQUIRING)
    row.params = [
        {**p, "value": "s3cret-word"} if p["type"] == "password" else p for p in row.params
    ]
    row.save()
    at = f"/queues/fulfillment/{INQUIRING}/"
    for place in ("", "json/", "edit/"):
        assert "s3cret-word" not in vendor.get(at + place).content.decode()
    assert html.get(vendor, f"{at}json/").by_role("button", "Show passwords")
    assert "s3cret-word" in vendor.post(f"{at}json/").content.decode()


def test_history_shows_deliveries_of_own_webhooks_only(seeded: Any) -> None:
    catalog = make.catalog("1")
    hook = make.webhook(catalog, n=1, label="Ours")
    make.webhook(catalog, n=2, label="Theirs", account=catalog.provider)
    path = f"/queues/fulfillment/{make.order(catalog).pk}/"
    page = html.get(signed_in(catalog.vendor_user), path)
    (delivery,) = page.all('.stream-row[data-kind="delivery"]')
    assert delivery.by_role("link", "Ours") and "Theirs" not in page
    event = Event.objects.get(webhook=hook)
    assert delivery.all(f'a[href="/deliveries/{event.delivery_id}/"]')
    assert "Theirs" in html.get(signed_in(catalog.provider_user), path)


@pytest.mark.parametrize(
    "path", ["/queues/fulfillment/", "/queues/billing/", f"/queues/fulfillment/{PENDING}/"]
)
def test_polling_an_unchanged_page_returns_204(vendor: Client, path: str) -> None:
    poll = path + html.get(vendor, path).one("#content")["hx-get"]
    assert vendor.get(poll, headers={"HX-Request": "true"}).status_code == 204
    Request.objects.filter(pk=PENDING).update(updated=make.AT, status="failed")
    base.find_queue("billing").model.objects.all().delete()  # type: ignore[union-attr]
    changed = vendor.get(poll, headers={"HX-Request": "true"})
    assert changed.status_code == 200
    assert b"<html" not in changed.content and b"seen=" in changed.content


def test_number_of_statements_is_constant(seeded: Any) -> None:
    catalog = make.catalog("1")
    client = signed_in(catalog.vendor_user)
    paths = [
        "/queues/fulfillment/",
        "/queues/fulfillment/?status=",
        f"/queues/fulfillment/{make.order(catalog).pk}/",
        "/queues/fulfillment/new/",
    ]
    before = counts(client, *paths)
    make.order(catalog, 5)
    for n in range(5):
        product = Product.objects.create(
            id=f"PRD-111-111-00{n}",
            name="P",
            owner=catalog.vendor,
            created=make.AT,
            updated=make.AT,
        )
        make.webhook(catalog, n=n + 1, product=product)
    assert counts(client, *paths) == before


def test_draft_has_no_history(vendor: Client) -> None:
    Message.objects.filter(conversation__instance_id=DRAFT).delete()
    assert "Drafts trigger no webhooks." in html.get(vendor, f"/queues/fulfillment/{DRAFT}/")


def test_distributors_board_has_no_drafts_that_were_not_submitted(
    vendor: Client, distributor: Client
) -> None:
    [pk] = ListingRequest.objects.filter(status="draft").values_list("pk", flat=True)
    at, search = f"/queues/listing/{pk}/", f"/search/?q={pk}"
    found = [
        (
            *(at in client.get(page).content.decode() for page in ("/queues/listing/", search)),
            client.get(at).status_code,
        )
        for client in (vendor, distributor)
    ]
    assert found == [(True, True, 200), (False, False, 200)]


@pytest.mark.parametrize("is_on", [True, False])
def test_inquiring_order_has_an_edit_button_where_the_api_lets_it_be_changed(
    vendor: Client, is_on: bool
) -> None:
    product = Product.objects.get(pk=SUITE)
    product.capabilities["inquiring"] = {"validation": is_on}
    product.save()
    page = html.get(vendor, f"/queues/fulfillment/{INQUIRING}/")
    assert bool(page.all("#edit")) is is_on
    reasons = [each.text for each in page.all("[data-not-editable]")]
    refused = caller(Account.objects.get(pk=VENDOR)).put(f"/requests/{INQUIRING}", {})
    assert reasons == ([] if is_on else [f"Cannot be edited: {refused.json['errors'][0]}"])


@pytest.mark.parametrize("status", ["approved", "pending"])
def test_no_reason_is_given_where_nothing_is_to_be_edited(vendor: Client, status: str) -> None:
    Request.objects.filter(pk=PENDING).update(status=status)
    assert not html.get(vendor, f"/queues/fulfillment/{PENDING}/").all("[data-not-editable]")


@pytest.mark.parametrize(
    ("name", "text"), [("fulfillment", "subscription or customer"), ("helpdesk", "ID or subject")]
)
def test_search_says_what_a_queue_is_searched_by(vendor: Client, name: str, text: str) -> None:
    assert text in html.get(vendor, f"/queues/{name}/").one('[for="q"]').text
