"""Pages of preview orders: only the vendor sees them, with the actions of both parties."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from requests_queue.catalog.models import User
from tests.api import Caller
from tests.queue.catalog.test_preview import SUITE, order, placed

pytestmark = pytest.mark.django_db


def browser(uid: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(uid=uid))
    return client


@pytest.fixture
def maya(vendor: Caller) -> Client:
    """A user of the vendor."""
    return browser("UR-426-913-070")


def text(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200, path
    return re.sub(r"\s+", " ", response.content.decode())


def test_vendor_finds_preview_orders_in_its_queue(vendor: Caller, maya: Client) -> None:
    request = placed(vendor)
    path = f"/queues/fulfillment/{request['id']}/"
    shown = text(maya, path)
    assert "CT-0000-0000-0000" in text(maya, f"{path}json/")
    # Both parties are the vendor.
    assert shown.count("Nimbus Inc") >= 2
    assert f"{path}actions/fail/" in shown
    for page in ("/queues/", "/queues/fulfillment/", "/queues/fulfillment/?status=pending", "/"):
        text(maya, page)
    assert request["id"] in text(maya, f"/queues/fulfillment/?status=&q={request['id']}")


def test_vendor_purchases_its_draft_on_the_page(vendor: Caller, maya: Client) -> None:
    draft = placed(vendor, {**order(SUITE), "status": "draft"})
    path = f"/queues/fulfillment/{draft['id']}/"
    shown = text(maya, path)
    assert f"{path}actions/purchase/" in shown
    assert "data-other-actions" not in shown
    assert 'name="quantity:' in text(maya, f"{path}edit/")
    response = maya.post(f"{path}actions/purchase/")
    assert response.status_code in (302, 303), response.content
    assert vendor.get(f"/requests/{draft['id']}").json["status"] != "draft"


def test_distributor_has_no_page_of_it(vendor: Caller, distributor: Caller, maya: Client) -> None:
    request = placed(vendor)
    jonas = browser("UR-580-227-641")
    assert jonas.get(f"/queues/fulfillment/{request['id']}/").status_code == 404
    assert request["id"] not in text(jonas, "/queues/fulfillment/?status=")


def test_administrator_is_not_offered_the_account_behind_the_placeholders(vendor: Caller) -> None:
    placed(vendor)
    admin = browser("UR-000-100-001")
    assert "PA-000-000" not in text(admin, "/queues/")


def test_product_page_says_how_to_preview(vendor: Caller, maya: Client) -> None:
    assert "CT-0000-0000-0000" in text(maya, f"/products/{SUITE}/")
    jonas = browser("UR-580-227-641")
    assert "CT-0000-0000-0000" not in text(jonas, f"/products/{SUITE}/")
