"""Pages of preview orders: only the vendor sees them, with the actions of both parties."""

from __future__ import annotations

import pytest
from django.test import Client

from requests_queue import seed
from requests_queue.catalog.models import User
from tests import html
from tests.api import Caller
from tests.queue.catalog.test_preview import SUITE, order, placed
from tests.signed_in import signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def maya(seeded: seed.Summary) -> Client:
    """A user of the vendor."""
    return signed_in(User.objects.get(uid="UR-426-913-070"))


@pytest.fixture
def jonas(seeded: seed.Summary) -> Client:
    """A user of the distributor."""
    return signed_in(User.objects.get(uid="UR-580-227-641"))


def test_vendor_finds_preview_orders_in_its_queue(vendor: Caller, maya: Client) -> None:
    pk = placed(vendor)["id"]
    path = f"/queues/fulfillment/{pk}/"
    shown = html.get(maya, path)
    assert shown.one("#action-fail")
    # Both parties are the vendor.
    assert shown.text.count("Nimbus Inc") >= 2
    assert "CT-0000-0000-0000" in html.get(maya, f"{path}json/")
    for page in ("/queues/", "/queues/fulfillment/", "/queues/fulfillment/?status=pending", "/"):
        html.get(maya, page)
    assert pk in html.get(maya, f"/queues/fulfillment/?status=&q={pk}")


def test_vendor_purchases_its_draft_on_the_page(vendor: Caller, maya: Client) -> None:
    pk = placed(vendor, {**order(SUITE), "status": "draft"})["id"]
    path = f"/queues/fulfillment/{pk}/"
    shown = html.get(maya, path)
    assert shown.one("#action-purchase") and not shown.all("[data-other-actions]")
    assert html.get(maya, f"{path}edit/").all('[name^="quantity:"]')
    assert maya.post(f"{path}actions/purchase/").status_code == 303
    assert vendor.get(f"/requests/{pk}").json["status"] != "draft"


def test_distributor_has_no_page_of_it(vendor: Caller, jonas: Client) -> None:
    pk = placed(vendor)["id"]
    html.get(jonas, f"/queues/fulfillment/{pk}/", 404)
    assert pk not in html.get(jonas, "/queues/fulfillment/?status=")


def test_administrator_is_not_offered_the_account_behind_the_placeholders(vendor: Caller) -> None:
    placed(vendor)
    admin = signed_in(User.objects.get(uid="UR-000-100-001"))
    accounts = [button["value"] for button in html.get(admin, "/queues/").all("[name=account]")]
    assert "PA-318-442" in accounts and "PA-000-000" not in accounts


def test_product_page_says_how_to_preview(maya: Client, jonas: Client) -> None:
    for client, is_shown in ((maya, True), (jonas, False)):
        assert ("CT-0000-0000-0000" in html.get(client, f"/products/{SUITE}/")) == is_shown
