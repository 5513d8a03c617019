"""Forms that two users submit at the same time."""

from __future__ import annotations

import threading
from functools import partial

import pytest
from django.test import Client

from portal.webhooks import secret_views
from tests import make
from tests.background import concurrently
from tests.signed_in import signed_in, staff, vendor
from webhooks.models import Webhook

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
