"""`/sandbox/webhooks/{id}/forecast`, compared with what the engine does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from requests_queue import clock
from sandbox.clock import moves
from sandbox.pages import panels
from sandbox.timeline.timeline import format_time
from tests import html, make, signed_in
from tests.api import Caller, refused
from tests.engines import until
from tests.handlers import Handler
from tests.sandbox.calling import catalog, client, hook, served
from webhooks.delivery.engine import Engine
from webhooks.models import Attempt, Delivery, Webhook

__all__ = ["catalog", "client", "hook", "served"]

pytestmark = pytest.mark.django_db(transaction=True)


def forecast(client: Caller, pk: str) -> Any:
    response = client.get(f"/sandbox/webhooks/{pk}/forecast")
    assert response.status == 200, response
    return response.json


def test_forecast_is_what_the_engine_does(
    client: Caller, catalog: make.Catalog, engine: Engine, hook: Webhook, served: Handler
) -> None:
    served.respond = lambda request: 500
    for _ in range(2):
        make.order(catalog)
    until(lambda: Attempt.objects.count() >= 1, "a first attempt")
    until(lambda: not Delivery.objects.filter(state="calling").exists(), "nothing in flight")
    first = forecast(client, hook.pk)
    moves.advance(timedelta(minutes=20))
    later = forecast(client, hook.pk)
    before = Attempt.objects.filter(delivery=first["delivery"])
    assert before.count() == 3
    moves.advance(timedelta(days=2))
    attempts = Attempt.objects.filter(delivery=first["delivery"]).order_by("number")
    real = [
        {"attempt": row.number, "at": format_time(row.started_at)}
        for row in attempts.filter(number__gt=1)
    ]
    expected = [{key: row[key] for key in ("attempt", "at")} for row in first["rows"]]
    assert expected == real
    assert len(real) == 9
    # What has happened meanwhile is as it was forecast.
    assert later["rows"] == first["rows"][2:]
    assert [row["out_of_order"] for row in first["rows"]] == [False] * 8 + [True]
    hook.refresh_from_db()
    assert hook.out_of_order
    ended = forecast(client, hook.pk)
    assert ended["rows"] == []
    assert ended["reason"].startswith("Paused: the webhook is out of order.")


def test_forecast_of_a_webhook_without_events_begins_now(
    client: Caller, catalog: make.Catalog
) -> None:
    hook = make.webhook(catalog)
    shown = forecast(client, hook.pk)
    assert (shown["webhook"], shown["delivery"]) == (hook.pk, None)
    assert len(shown["rows"]) == 10
    assert shown["rows"][0]["at"] == shown["now"]


@pytest.mark.parametrize("more", [{"active": False}, {"type": "validation_purchase"}])
def test_webhooks_that_are_not_retried_have_no_rows(
    client: Caller, catalog: make.Catalog, more: dict[str, Any]
) -> None:
    shown = forecast(client, make.webhook(catalog, **more).pk)
    assert shown["rows"] == []
    assert shown["reason"]


def test_unknown_webhook_returns_404(client: Caller) -> None:
    refused(client.get("/sandbox/webhooks/WH-9/forecast"), 404)


def test_page_of_a_failing_webhook_shows_the_forecast(
    client: Caller, catalog: make.Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = signed_in.signed_in(catalog.vendor_user)
    at = clock.now() + timedelta(minutes=5)
    hook = make.webhook(
        catalog, round=2, earliest_possible_trigger=at, gate_closed_at=at - timedelta(minutes=10)
    )
    path = f"/webhooks/{hook.pk}/statistics/"
    for headers in ({}, {"HX-Request": "true"}):
        page = html.parse(browser.get(path, headers=headers))
        assert len(page.all("[data-forecast] li")) == 8
        assert "Out of order" in page.all("[data-forecast] li")[-1].text
    monkeypatch.setattr(panels, "MAX_FORECAST", 3)
    page = html.parse(browser.get(path))
    assert len(page.all("[data-forecast] li")) == 3
    assert "5 more attempts" in page.all("[data-forecast]")[0].text
    healthy = make.webhook(catalog, n=2)
    page = html.parse(browser.get(f"/webhooks/{healthy.pk}/statistics/"))
    assert page.all("[data-forecast]") == []


def test_forecast_begins_when_a_delivery_that_waits_alone_is_due(
    client: Caller, catalog: make.Catalog
) -> None:
    hook = make.webhook(catalog, active=True)
    make.order(catalog)
    at = clock.now().replace(microsecond=0) + timedelta(minutes=10)
    Delivery.objects.update(due_at=at, losses=3, attempts=3)
    alone = forecast(client, hook.pk)
    assert (alone["rows"][0]["attempt"], alone["rows"][0]["at"]) == (4, format_time(at))
    assert alone["reason"] == "All pending deliveries have lost their workers."
    make.order(catalog)
    beside = forecast(client, hook.pk)
    assert beside["delivery"] == Delivery.objects.get(due_at=None).pk
    assert beside["rows"][0]["at"] < format_time(at)
