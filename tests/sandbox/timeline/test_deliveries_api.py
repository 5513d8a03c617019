"""`/sandbox/deliveries`: what was sent and returned, what is next, without secrets."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from requests_queue import clock
from requests_queue.redaction import MASK
from sandbox.timeline import deliveries
from sandbox.timeline.timeline import format_time
from tests import make
from tests.api import Caller, refused
from tests.engines import until
from tests.handlers import Handler, handler
from tests.portal import delivery_rows
from tests.sandbox.calling import catalog, client, hook, served
from webhooks.delivery.engine import Engine
from webhooks.models import Attempt, Delivery, Webhook

__all__ = ["catalog", "client", "hook", "served"]

pytestmark = pytest.mark.django_db(transaction=True)


def listed(client: Caller, query: str = "") -> list[Any]:
    response = client.get(f"/sandbox/deliveries{query}")
    assert response.status == 200, response
    rows: list[Any] = response.json["deliveries"]
    return rows


def whole(client: Caller, pk: int) -> Any:
    response = client.get(f"/sandbox/deliveries/{pk}")
    assert response.status == 200, response
    return response.json


def attempted(count: int) -> None:
    until(lambda: Attempt.objects.count() >= count, "attempts are recorded")


def test_delivery_shows_request_token_response_and_events(
    client: Caller, catalog: make.Catalog, engine: Engine
) -> None:
    with handler((201, b"created")) as served:
        hook = make.webhook(catalog, served.url, headers={"X-Secret": "secret-of-header"})
        pk = make.order(catalog).pk
        attempted(1)
    [row] = listed(client)
    shown = whole(client, row["id"])
    assert shown == row
    assert (row["webhook"], row["state"], row["objects"]) == (hook.pk, "delivered", [pk])
    assert row["events"] == [
        {"object": pk, "from": None, "to": "pending", "at": row["events"][0]["at"]}
    ]
    assert (row["next_attempt_at"], row["next_attempt_reason"]) == (None, "")
    [attempt] = row["attempts"]
    assert (attempt["number"], attempt["outcome"]) == (1, "success")
    request = attempt["request"]
    assert (request["method"], request["url"]) == ("POST", served.url)
    assert request["headers"]["X-Secret"] == MASK
    assert json.loads(request["body"])["webhook_id"] == hook.pk
    token = attempt["token"]
    assert token["sent_in"] == ["Authentication", "Authorization"]
    assert token["header"]["alg"] == "HS256"
    assert token["claims"]["webhook_id"] == hook.pk
    assert list(token["claims"])[-1] == "exp"
    assert (attempt["response"]["status"], attempt["response"]["body"]) == (201, "created")
    text = json.dumps(row)
    for secret in (hook.jwt_secret, "secret-of-header", served.received[0].token):
        assert secret not in text


def test_next_attempt_has_its_time_and_reason(
    client: Caller, catalog: make.Catalog, engine: Engine, hook: Webhook, served: Handler
) -> None:
    served.respond = lambda request: 500
    make.order(catalog)
    attempted(1)
    [row] = listed(client)
    hook.refresh_from_db()
    assert row["state"] == "waiting"
    assert row["next_attempt_at"] == format_time(hook.earliest_possible_trigger)
    assert row["next_attempt_reason"] == "Failed (1 of 10)."
    assert row["attempts"][0]["error"] == "Handler returned HTTP 500 (expected 2xx)."
    assert row["attempts"][0]["next_attempt_at"] == row["next_attempt_at"]
    hook.earliest_possible_trigger, hook.out_of_order = None, True
    hook.save()
    [row] = listed(client)
    assert row["next_attempt_at"] is None
    assert row["next_attempt_reason"].startswith("Paused: the webhook is out of order.")


def test_filters(client: Caller, catalog: make.Catalog, engine: Engine) -> None:
    with handler() as served, handler(500) as failing:
        make.webhook(catalog, served.url)
        second = make.webhook(catalog, failing.url, 2)
        first_object = make.order(catalog).pk
        attempted(2)
        cursor = client.get("/sandbox/cursor").json["cursor"]
        last_object = make.order(catalog).pk
        attempted(3)
        until(lambda: Delivery.objects.filter(state="calling").count() == 0, "nothing in flight")

    def objects(query: str) -> list[list[str]]:
        return [row["objects"] for row in listed(client, query)]

    both = {first_object, last_object}
    assert objects(f"?webhook={second.pk}") == [[first_object, last_object]]
    assert {one for row in objects(f"?object={first_object}") for one in row} == both
    assert objects("?state=delivered") == [[last_object], [first_object]]
    assert objects(f"?state=delivered&object={first_object}") == [[first_object]]
    assert objects(f"?since={cursor}&state=delivered") == [[last_object]]
    assert len(listed(client, "?limit=1")) == 1
    assert listed(client, f"?since={client.get('/sandbox/cursor').json['cursor']}") == []


def test_list_takes_a_constant_number_of_queries(
    client: Caller, catalog: make.Catalog, engine: Engine, hook: Webhook, served: Handler
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            listed(client)
        return len(captured)

    served.respond = lambda request: 500
    make.order(catalog)
    attempted(1)
    few = queries()
    for n in range(2, 6):
        make.webhook(catalog, served.url, n)
    make.order(catalog)
    attempted(5)
    assert Delivery.objects.count() == 5
    assert queries() == few


def test_large_bodies_are_shown_alone_only(
    client: Caller, catalog: make.Catalog, engine: Engine, hook: Webhook, served: Handler
) -> None:
    large = b"x" * (deliveries.LISTED_BODY + 1)
    served.respond = lambda request: (200, large)
    make.order(catalog)
    attempted(1)
    [row] = listed(client)
    response = row["attempts"][0]["response"]
    assert (response["body"], response["size"]) == (None, len(large))
    assert whole(client, row["id"])["attempts"][0]["response"]["body"] == large.decode()


def test_passwords_in_bodies_are_masked(client: Caller, catalog: make.Catalog) -> None:
    hook = make.webhook(catalog)
    param = {"id": "pin", "type": "password", "value": "p4ssw0rd"}
    body = json.dumps({"asset": {"params": [param]}})
    delivery = recorded(hook, body)
    for row in (*listed(client), whole(client, delivery.pk)):
        [attempt] = row["attempts"]
        for part in ("request", "response"):
            [shown] = json.loads(attempt[part]["body"])["asset"]["params"]
            assert shown["value"] == MASK
        assert "p4ssw0rd" not in json.dumps(row)
        assert attempt["token"] is None


def test_masked_body_keeps_half_of_a_surrogate_pair(client: Caller, catalog: make.Catalog) -> None:
    recorded(make.webhook(catalog), '[{"type": "password", "value": "p4ssw0rd"}, "é", "\\ud800"]')
    [attempt] = listed(client)[0]["attempts"]
    for part in ("request", "response"):
        body = attempt[part]["body"]
        assert body == f'[{{"type": "password", "value": "{MASK}"}}, "é", "\\ud800"]'


def recorded(hook: Webhook, body: str) -> Delivery:
    """Store an attempt whose request and response have the body."""
    row = delivery_rows.delivery(hook)
    delivery_rows.attempt(row, claims={}, request_body=body, response_body=body.encode())
    return row


def test_response_that_is_not_text_is_escaped(
    client: Caller, catalog: make.Catalog, engine: Engine, hook: Webhook, served: Handler
) -> None:
    served.respond = lambda request: (200, b"\xff\x00ok")
    make.order(catalog)
    attempted(1)
    assert listed(client)[0]["attempts"][0]["response"]["body"] == "\\xff\x00ok"


def test_list_shows_the_latest_attempts(
    client: Caller, catalog: make.Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "MAX_LISTED", 2)
    hook = make.webhook(catalog)
    delivery = delivery_rows.delivery(hook)
    for _ in range(3):
        delivery_rows.attempt(delivery, "failure", status_code=None)
    [row] = listed(client)
    assert row["attempts_made"] == 3
    assert [each["number"] for each in row["attempts"]] == [2, 3]
    assert row["attempts"][0]["response"] is None
    assert len(whole(client, delivery.pk)["attempts"]) == 3


def test_deliveries_of_deleted_webhooks_are_not_shown(
    client: Caller, catalog: make.Catalog
) -> None:
    hook = make.webhook(catalog)
    delivery = Delivery.objects.create(webhook=hook, created_at=clock.now())
    Webhook.objects.update(deleted_at=clock.now())
    assert listed(client) == []
    refused(client.get(f"/sandbox/deliveries/{delivery.pk}"), 404)


@pytest.mark.parametrize("pk", ["0", "99999", "x", "-1", "٣", "9" * 30])
def test_unknown_delivery_returns_404(client: Caller, pk: str) -> None:
    refused(client.get(f"/sandbox/deliveries/{pk}"), 404)
