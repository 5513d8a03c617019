"""Pages say that older deliveries have been pruned, and don't link to them."""

from __future__ import annotations

import pytest
from django.test import Client

from requests_queue.queues.fulfillment import creation
from tests import html, make
from tests.engines import move_clock
from tests.make import Catalog
from tests.pruned import prune
from tests.signed_in import distributor, root, stranger, vendor
from webhooks import states
from webhooks.delivery import claim, record
from webhooks.delivery.attempt import AttemptResult
from webhooks.models import Delivery, Webhook

__all__ = ["distributor", "root", "stranger", "vendor"]

# On PostgreSQL the timeline has committed entries only.
pytestmark = pytest.mark.django_db(transaction=True)
REMOVED = "[data-removed]"
DAYS = 31 * 24 * 3600


def deliver(catalog: Catalog) -> str:
    """Create an order and deliver its event; return the order's page."""
    row = creation.create(make.purchase(catalog), catalog.as_distributor)
    record.record([AttemptResult(c, states.SUCCESS, 1) for c in claim.claim(10).claims])
    return f"/queues/fulfillment/{row.pk}/"


def test_pages_say_that_older_deliveries_have_been_removed(
    catalog: Catalog, vendor: Client, distributor: Client
) -> None:
    hook = make.webhook(catalog)
    old = deliver(catalog)
    removed = Delivery.objects.get()
    pages = [old, "/deliveries/", f"/webhooks/{hook.pk}/deliveries/"]
    for page in pages:
        assert not html.get(vendor, page).all(REMOVED)
    assert html.get(vendor, old).all(f'a[href="/deliveries/{removed.pk}/?attempt=1"]')
    move_clock(DAYS)
    new = deliver(catalog)
    assert prune() == 1
    moment = f"{removed.created_at:%Y-%m-%d %H:%M:%S} UTC"
    for page in pages:
        assert moment in html.get(vendor, page).one(REMOVED).text, page
    # Of an order that is newer, and of an account without webhooks, nothing has been removed.
    assert not html.get(vendor, new).all(REMOVED)
    assert not html.get(distributor, old).all(REMOVED)
    assert not html.get(distributor, "/deliveries/").all(REMOVED)
    # Of a search it is not known.
    assert not html.get(vendor, "/deliveries/?q=state:delivered").all(REMOVED)


def test_log_without_deliveries_says_that_they_have_been_removed(
    catalog: Catalog, vendor: Client
) -> None:
    make.webhook(catalog)
    assert html.get(vendor, "/deliveries/").by_role("heading", "No deliveries yet")
    deliver(catalog)
    move_clock(DAYS)
    Webhook.objects.update(last_success=None)
    assert prune() == 1
    page = html.get(vendor, "/deliveries/")
    assert page.by_role("heading", "No deliveries") and page.one(REMOVED)


@pytest.mark.parametrize("page", ["/timeline/", ""])
def test_timeline_doesnt_link_to_removed_deliveries(
    catalog: Catalog, vendor: Client, page: str
) -> None:
    make.webhook(catalog)
    order = deliver(catalog)
    removed = Delivery.objects.get().pk
    move_clock(DAYS)
    deliver(catalog)
    assert prune() == 1
    shown = html.get(vendor, page or order)
    assert f"delivery {removed} (removed)" in shown.text
    assert not shown.all(f'a[href^="/deliveries/{removed}/"]')
