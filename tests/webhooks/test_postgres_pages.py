"""On PostgreSQL: what an event changes of a webhook writes to no index."""

from __future__ import annotations

import pytest
from django.db import connection

from requests_queue.db import sql
from tests import make
from webhooks.models import Webhook

pytestmark = pytest.mark.django_db


def test_new_versions_of_webhooks_stay_on_their_pages(catalog: make.Catalog) -> None:
    hooks = [make.webhook(catalog, n=n) for n in range(100)]
    make.order(catalog)
    assert set(Webhook.objects.values_list("events", flat=True)) == {1}
    if connection.vendor == "postgresql":
        # Of this transaction.
        counts = ", ".join(
            f"pg_stat_get_xact_tuples_{kind}updated('webhooks_webhook'::regclass)"
            for kind in ("", "hot_")
        )
        [(updated, on_their_pages)] = sql.fetch(f"SELECT {counts}")
        assert updated >= len(hooks)
        # All but those of a page that other tests have left full.
        assert on_their_pages > 0.8 * updated
