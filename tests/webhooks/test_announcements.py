"""What open pages get of events: one notice for all deliveries of a change."""

from __future__ import annotations

import pytest
from django.db import transaction

from requests_queue import topics
from requests_queue.queues.fulfillment import creation
from requests_queue.topics import Notice
from tests import make
from webhooks.models import Delivery

pytestmark = pytest.mark.django_db(transaction=True)


def test_deliveries_of_a_change_are_one_notice_to_both_parties(
    catalog: make.Catalog,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hooks = [make.webhook(catalog, n=n) for n in range(1, 4)]
    heard: list[Notice] = []
    monkeypatch.setattr(topics, "LISTENERS", [heard.append])
    with transaction.atomic():
        creation.create(make.purchase(catalog), catalog.as_distributor)
        assert heard == []
    [notice] = [each for each in heard if "deliveries" in each.topics]
    assert notice.accounts == {catalog.vendor.pk, catalog.provider.pk}
    deliveries = [f"deliveries:{pk}" for pk in Delivery.objects.values_list("pk", flat=True)]
    assert len(deliveries) == 3
    webhooks = [f"webhooks:{hook.pk}" for hook in hooks]
    assert notice.topics == {"webhooks", "deliveries", *webhooks, *deliveries}
