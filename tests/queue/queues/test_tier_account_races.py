"""Concurrent changes of tier accounts, and concurrent orders for them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from requests_queue.catalog.models import Account, TierAccount, TierAccountVersion
from requests_queue.conversations.models import Conversation
from requests_queue.queues.tier_account.models import TierAccountRequest
from tests import background, make
from tests.api import Caller, caller

pytestmark = pytest.mark.django_db(transaction=True)

TOGETHER = 5
ACCOUNT = "TA-0000-0000-0001"


def concurrently(caller: Caller, *calls: Callable[[Caller], Any]) -> list[Any]:
    """Make calls at the same time, each with its own client; return the responses."""
    return background.concurrently(*[partial(call, Caller(caller.key)) for call in calls])


def test_concurrent_changes_create_one_version_and_request_each() -> None:
    catalog = make.catalog(capabilities={"tiers": {"updates": True}})
    make.asset(catalog)
    path = f"/tier/accounts/{ACCOUNT}"
    calls = [lambda c, n=n: c.put(path, {"tax_id": f"{n}"}) for n in range(TOGETHER)]  # type: ignore[misc]
    provider = caller(catalog.provider)
    assert [a.status for a in concurrently(provider, *calls)] == [200] * TOGETHER
    versions = provider.get(f"{path}/versions").json
    assert [v["version"] for v in versions] == [6, 5, 4, 3, 2, 1]
    assert sorted(v["tax_id"] for v in versions) == ["", "0", "1", "2", "3", "4"]
    requests = TierAccountRequest.objects.order_by("pk")
    assert [r.account.version for r in requests] == [2, 3, 4, 5, 6]
    assert {r.status for r in requests} == {"pending"}
    assert Conversation.objects.count() == TOGETHER


def test_same_change_twice_counts_once(catalog: make.Catalog) -> None:
    make.asset(catalog)
    calls = [lambda c: c.put(f"/tier/accounts/{ACCOUNT}", {"tax_id": "same"})] * TOGETHER
    assert {a.status for a in concurrently(caller(catalog.provider), *calls)} == {200}
    assert TierAccountVersion.objects.count() == 2
    assert TierAccountRequest.objects.count() == 1


def test_accounts_cannot_become_each_others_parent(catalog: make.Catalog) -> None:
    provider = caller(catalog.provider)
    for n in range(1, 4):
        one, two = 2 * n, 2 * n + 1
        make.asset(catalog, one)
        make.asset(catalog, two)
        pair = (f"TA-0000-0000-{one:04d}", f"TA-0000-0000-{two:04d}")
        calls = [
            lambda c, a=a, b=b: c.put(f"/tier/accounts/{a}", {"parent": {"id": b}})  # type: ignore[misc]
            for a, b in (pair, pair[::-1])
        ]
        statuses = sorted(a.status for a in concurrently(provider, *calls))
        parents = TierAccount.objects.filter(pk__in=pair).exclude(parent=None).count()
        assert (statuses, parents) == ([200, 400], 1)


def test_orders_for_the_same_new_customer_share_it(catalog: make.Catalog) -> None:
    provider = caller(Account.objects.get(pk=catalog.provider.pk))
    body = make.purchase(catalog)
    for name in ("customer", "tier1"):
        body["asset"]["tiers"][name] = {"external_id": name, "contact_info": make.CONTACT}
    calls = [lambda c: c.post("/requests", body)] * TOGETHER
    assert {a.status for a in concurrently(provider, *calls)} == {201}
    assert TierAccount.objects.count() == 2
