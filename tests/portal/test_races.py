"""Forms that two users submit at the same time."""

from __future__ import annotations

import threading
import uuid
from functools import partial
from typing import Any

import pytest
from django.test import Client

from portal.deliveries import bulk, causes
from portal.deliveries.causes import Cause
from portal.identity import Viewer
from portal.models import BulkResend
from portal.webhooks import secret_views
from tests import html, make
from tests.background import concurrently
from tests.portal.delivery_rows import attempt, delivery
from tests.signed_in import signed_in, staff, vendor
from webhooks.models import Delivery, Resend, Webhook

__all__ = ["vendor"]

pytestmark = pytest.mark.django_db(transaction=True)


def test_concurrent_requests_for_a_new_secret_set_one(
    vendor: Client, catalog: make.Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = make.webhook(catalog, "http://127.0.0.1:9/")
    clients = [vendor, signed_in(staff(catalog.vendor_user))]
    both_looked, new = threading.Barrier(2), secret_views.new_secret

    def new_secret() -> str:
        # Both requests have read the webhook.
        both_looked.wait(10)
        return new()

    monkeypatch.setattr(secret_views, "new_secret", new_secret)
    path, form = f"/webhooks/{row.pk}/secret/new/", {"revision": str(row.revision)}
    responses = concurrently(*(partial(client.post, path, form) for client in clients))
    shown, other = sorted(responses, key=lambda response: int(response.status_code))
    assert (shown.status_code, other.status_code) == (200, 303)
    hook = Webhook.objects.get()
    assert hook.revision == row.revision + 1
    assert hook.jwt_secret in shown.content.decode()


def sent_twice(
    vendor: Client, catalog: make.Catalog, monkeypatch: pytest.MonkeyPatch, name: str
) -> list[str]:
    """Send the form of a cause from two browsers; both have read what `name` finds.

    Return their messages in order.
    """
    both_looked, found = threading.Barrier(2), getattr(causes, name)

    def looked(*args: Any) -> Any:
        ids = list(found(*args))
        both_looked.wait(10)
        return ids

    monkeypatch.setattr(causes, name, looked)
    clients = [vendor, signed_in(staff(catalog.vendor_user))]
    forms = [{"key": str(uuid.uuid4()), "cause": "500-", "next": "/keys/"} for _ in clients]
    posts = zip(clients, forms, strict=True)
    concurrently(*(partial(client.post, "/deliveries/again/", form) for client, form in posts))
    return sorted(html.get(client, "/keys/").one(".messages").text for client in clients)


def test_concurrent_send_all_again_sends_each_delivery_once(
    vendor: Client, catalog: make.Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook, found = make.webhook(catalog, "http://127.0.0.1:9/"), causes.undelivered
    rows = [delivery(hook, state="failed") for _ in range(3)]
    for row in rows:
        attempt(row, "failure")
    assert sent_twice(vendor, catalog, monkeypatch, "undelivered") == [
        "3 deliveries will be sent again.",
        "HTTP 500: no delivery is left to send again.",
    ]
    job = BulkResend.objects.get()
    assert job.total == 3
    # A step that runs beside another request for the same.
    viewer, ids = (
        Viewer(catalog.vendor_user, catalog.vendor),
        found([hook.pk], (), Cause(500, None)),
    )
    assert len(ids) == 3
    concurrently(
        partial(bulk.step, job.pk),
        partial(bulk.start_undelivered, viewer, uuid.uuid4(), ids, "/"),
    )
    assert BulkResend.objects.count() == 1
    repeated = list(Resend.objects.order_by("repeats").values_list("repeats", flat=True))
    assert repeated == [row.pk for row in rows]


def test_concurrent_send_all_again_triggers_a_webhook_once(
    vendor: Client, catalog: make.Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = make.webhook(catalog, "http://127.0.0.1:9/")
    attempt(delivery(hook, state="waiting"), "failure")
    first, second = sent_twice(vendor, catalog, monkeypatch, "waiting")
    assert second == "HTTP 500: no delivery is left to send again."
    assert first.startswith("1 webhook was triggered: ")
    assert Delivery.objects.filter(forced=True).count() == 1
