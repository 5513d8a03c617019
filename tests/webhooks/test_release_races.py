"""Deliveries of PostgreSQL that other transactions change while they are released."""

from __future__ import annotations

from typing import Any

import pytest

from requests_queue import prepared
from tests import make
from tests.background import Background
from tests.webhooks.test_postponing import back_off, postponed_order
from webhooks.delivery import claims, postponing
from webhooks.delivery.postponing import Postponement
from webhooks.models import Delivery, Webhook

pytestmark = pytest.mark.django_db(transaction=True)


def test_event_that_joins_just_before_the_release_keeps_its_lease(
    catalog: make.Catalog, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    back_off(catalog)
    first = postponed_order(catalog)
    lease = Delivery.objects.get().lease
    joined: list[Postponement] = []
    fetch = prepared.fetch

    def join_first(statement: str, params: Any) -> list[Any]:
        if "SKIP LOCKED" in statement and not joined:
            joined.append(Background(lambda: postponed_order(catalog)).result())
        return fetch(statement, params)

    monkeypatch.setattr(prepared, "fetch", join_first)
    postponing.release([first])
    assert joined and Delivery.objects.get().lease == lease
    assert claims.claim(10) == []
    postponing.release(joined)
    assert len(claims.claim(10)) == 1


def test_deliveries_that_nobody_holds_are_released_by_one_statement(
    catalog: make.Catalog, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    postponements = [postponed_order(catalog) for _ in range(3)]
    statements: list[str] = []
    fetch = prepared.fetch

    def record(statement: str, params: Any) -> list[Any]:
        statements.append(statement)
        return fetch(statement, params)

    with monkeypatch.context() as patched:
        patched.setattr(prepared, "fetch", record)
        postponing.release(postponements)
    assert len(statements) == 1
    assert len(claims.claim(10)) == 3
