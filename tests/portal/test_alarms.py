"""The notice of webhooks that are out of order."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client, RequestFactory

from portal import alarms
from tests import html, make
from tests.html import Element
from tests.make import AT
from tests.portal.webhooks import NEW
from tests.signed_in import vendor  # noqa: F401  (fixtures)
from webhooks.models import Webhook

pytestmark = pytest.mark.django_db
PAGE = "/password/"


def lost(catalog: make.Catalog, n: int = 1) -> Webhook:
    return make.webhook(catalog, n=n, out_of_order=True, gate_closed_at=AT + timedelta(minutes=n))


def notice(client: Client, path: str = PAGE) -> list[Element]:
    return html.get(client, path).all("[aria-label=Webhooks that are out of order]")


def test_notice_names_a_webhook_and_recovers_it(vendor: Client, catalog: make.Catalog) -> None:
    assert not notice(vendor)
    row = lost(catalog)
    (shown,) = notice(vendor, "/products/?q=x")
    assert "Hook 1 is out of order" in shown
    forms = [(form["action"], form.one("[name=next]").value) for form in shown.all("form")]
    assert forms == [
        (f"/webhooks/{row.pk}/do/recover/", "/products/?q=x"),
        ("/alarms/dismiss/", "/products/?q=x"),
    ]


def test_notice_counts_several_webhooks(vendor: Client, catalog: make.Catalog) -> None:
    for n in range(1, 6):
        lost(catalog, n)
    (shown,) = notice(vendor)
    assert "5 webhooks are out of order: Hook 1, Hook 2, Hook 3, …" in shown
    assert shown.by_role("link", "View")["href"] == "/webhooks/?status=out-of-order"


def test_notice_names_own_enabled_webhooks_only(
    vendor: Client, catalog: make.Catalog, django_assert_num_queries: Any
) -> None:
    lost(catalog)
    make.webhook(catalog, n=2, out_of_order=True, active=False)
    make.webhook(catalog, n=3, out_of_order=True, account=catalog.provider)
    (shown,) = notice(vendor)
    assert "Hook 1 is out of order" in shown
    request = RequestFactory().get(PAGE)
    request.session = {}
    with django_assert_num_queries(1):
        alarms.dismiss(request, catalog.vendor)


def test_page_that_shows_the_state_has_no_notice(vendor: Client, catalog: make.Catalog) -> None:
    row = lost(catalog)
    own = f"/webhooks/{row.pk}/"
    pages = ("/", "/webhooks/", NEW, own, f"{own}statistics/", f"{own}edit/")
    assert [path for path in pages if notice(vendor, path)] == []
    other = lost(catalog, 2)
    (shown,) = notice(vendor, own)
    assert other.label in shown and row.label not in shown


def test_dismissed_notice_returns_with_another_webhook(
    vendor: Client, catalog: make.Catalog
) -> None:
    first, second = lost(catalog), lost(catalog, 2)
    response = vendor.post("/alarms/dismiss/", {"next": "/products/?q=x"})
    assert (response.status_code, response["Location"]) == (303, "/products/?q=x")
    assert not notice(vendor)
    Webhook.objects.filter(pk=second.pk).update(out_of_order=False)
    assert not notice(vendor)
    # It was recovered, and is out of order again.
    later = AT + timedelta(hours=1)
    Webhook.objects.filter(pk=second.pk).update(out_of_order=True, gate_closed_at=later)
    assert notice(vendor)
    vendor.post("/alarms/dismiss/")
    lost(catalog, 3)
    (shown,) = notice(vendor)
    assert first.label in shown


def test_dismissing_requires_post_and_sign_in(vendor: Client) -> None:
    assert vendor.get("/alarms/dismiss/").status_code == 405
    response = Client().post("/alarms/dismiss/")
    assert (response.status_code, response["Location"]) == (303, "/sign-in/")
    evil = vendor.post("/alarms/dismiss/", {"next": "https://evil.example.com/"})
    assert evil["Location"] == "/"
