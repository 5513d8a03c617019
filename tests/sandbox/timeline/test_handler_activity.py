"""What handlers did because of attempts: real handlers that call the API, in notes and pages."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from sandbox.timeline import api_calls, call_storage, handler_activity
from sandbox.timeline.handler_activity import HandlerActivity
from tests import make
from tests.api import Caller, caller
from tests.engines import move_clock, running, until
from tests.handlers import ReceivedRequest, handler
from tests.make import Catalog
from tests.portal import delivery_rows
from tests.sandbox import recorded
from tests.signed_in import distributor, vendor
from webhooks.models import Attempt, Delivery

__all__ = ["distributor", "vendor"]

pytestmark = pytest.mark.django_db(transaction=True)


Work = Callable[[Caller, str], Any]


class Order:
    """An order, and what its handler did because of it."""

    def __init__(self, catalog: Catalog, who: Caller, work: Work, status: int = 200) -> None:
        def respond(request: ReceivedRequest) -> int:
            try:
                work(who, self.pk)
            finally:
                connection.close()
            return status

        with handler(respond) as served:
            self.webhook = make.webhook(catalog, served.url)
            self.pk = make.order(catalog).pk
            with running():
                until(Attempt.objects.exists, "an attempt")
        self.delivery = Delivery.objects.earliest("pk")

    def activity(self, *, settled: bool = False) -> HandlerActivity:
        key = (self.delivery.pk, 1)
        return handler_activity.for_attempts([key], settled=settled)[key]

    def notes(self) -> list[tuple[str, str]]:
        """Return the notes when the handler has had the time to work."""
        return [(note.code, note.text) for note in self.activity(settled=True).notes]


def nothing(who: Caller, pk: str) -> None:
    """Return 200 and do nothing."""


def approve(who: Caller, pk: str) -> None:
    [row] = [each for each in who.get("/requests?status=pending").json if each["id"] == pk]
    assert who.post(f"/requests/{row['id']}/approve", {}).status == 200


def test_handler_that_calls_nothing_has_a_note(catalog: Catalog, who: Caller) -> None:
    order = Order(catalog, who, nothing)
    assert order.activity().notes == [] and order.activity().summary == ""
    assert order.notes() == [
        ("no_api_calls", "Returned 200 but made no API calls."),
        ("still_pending", f"Returned 200, but {order.pk} is still pending."),
    ]
    move_clock(6)
    assert order.activity().summary == "no API calls" and len(order.activity().notes) == 2


def test_handler_whose_approve_is_rejected_has_a_note(catalog: Catalog, who: Caller) -> None:
    def work(who: Caller, pk: str) -> None:
        who.post(f"/requests/{pk}/approve", {"template_id": "TL-000-000-001"})

    order = Order(catalog, who, work)
    [call] = order.activity().calls
    assert call.row.status == 400 and call.row.link == "certain"
    message = json.loads(call.response_body)["errors"][0]
    assert order.notes() == [
        ("rejected", f"approve was rejected: 400 {call.row.error_code} {message}"),
        ("still_pending", f"Returned 200, but {order.pk} is still pending."),
    ]
    assert order.activity().summary == "1 API call, 1 failed"


def test_handler_that_approves_another_product_s_request_has_a_note(
    catalog: Catalog, who: Caller
) -> None:
    other = make.catalog("2")
    other.product.owner = catalog.vendor
    other.product.save()
    other.connection.vendor = catalog.vendor
    other.connection.save()
    foreign = make.order(other)

    def work(who: Caller, pk: str) -> None:
        for row in who.get("/requests?status=pending").json:
            who.post(f"/requests/{row['id']}/approve", {})

    order = Order(catalog, who, work)
    assert order.notes() == [
        (
            "other_product",
            f"approve was called for {foreign.pk} of {other.product.pk}, but the webhook is for "
            f"{catalog.product.pk}.",
        )
    ]


def test_resolved_case_is_of_no_other_product(catalog: Catalog, who: Caller) -> None:
    body = {
        "type": "technical",
        "subject": "Sign-in fails",
        "description": "Since this morning.",
        "receiver": {"account": {"id": catalog.vendor.pk}},
    }
    case = caller(catalog.provider).post("/helpdesk/cases", body).json["id"]

    def work(who: Caller, pk: str) -> None:
        assert who.post(f"/helpdesk/cases/{case}/resolve", {}).status == 200
        approve(who, pk)

    assert Order(catalog, who, work).notes() == []


def test_handler_that_approves_has_no_note(catalog: Catalog, who: Caller) -> None:
    order = Order(catalog, who, approve)
    assert order.notes() == []
    activity = order.activity()
    assert activity.summary == f"approved {order.pk}"
    assert [(call.title, call.row.status, call.row.link) for call in activity.calls] == [
        ("GET /requests", 200, "certain"),
        (f"POST /requests/{order.pk}/approve", 200, "certain"),
    ]


def test_failed_attempt_and_validator_have_no_note_on_silence(
    catalog: Catalog, who: Caller
) -> None:
    assert Order(catalog, who, nothing, 500).notes() == []
    make.webhook(catalog, n=2, type="validator")
    row = delivery_rows.delivery(make.webhook(catalog, n=3, type="validator"))
    delivery_rows.attempt(row)
    key = (row.pk, 1)
    assert handler_activity.for_attempts([key], settled=True)[key] == HandlerActivity((), [], "")


def test_object_that_changed_meanwhile_is_no_longer_pending(catalog: Catalog, who: Caller) -> None:
    make.parameter(catalog, "region")
    order = Order(catalog, who, nothing)
    path, tester = f"/requests/{order.pk}", {"X-Sandbox-Actor": "test"}
    wrong = {"asset": {"params": [{"id": "region", "value_error": "Unknown."}]}}
    assert who.put(path, wrong, **tester).status == 200
    inquiring = who.post(f"{path}/inquire", {}, **tester)
    assert inquiring.status == 200
    assert [code for code, _ in order.notes()] == ["no_api_calls"]
    code = inquiring.json["params_form_url"].partition("code=")[2]
    answer = {"asset": {"params": [{"id": "region", "value": "eu"}]}}
    answered = caller(catalog.provider).post(f"{path}/pend?code={code}", answer)
    assert answered.json["status"] == "pending"
    # Pending again, which is another event's matter.
    assert [code for code, _ in order.notes()] == ["no_api_calls"]


def test_number_of_statements_does_not_depend_on_the_attempts(catalog: Catalog) -> None:
    hook = make.webhook(catalog)
    for _ in range(30):
        pk = make.order(catalog).pk
        row = Delivery.objects.latest("pk")
        delivery_rows.attempt(row)
        Delivery.objects.filter(pk=row.pk).update(state="delivered")
        sent = {"method": "POST", "account": hook.account_id, "status": 400}
        path, started = f"/public/v1/requests/{pk}/approve", make.AT.timestamp() + 1
        call_storage.store([recorded.call(path, started=started, response_body=b"{}", **sent)])
    keys = [(pk, 1) for pk in Delivery.objects.values_list("pk", flat=True)]
    counts = []
    for some in (keys[:2], keys):
        with CaptureQueriesContext(connection) as queries:
            assert len(handler_activity.for_attempts(some, settled=True)) == len(some)
        counts.append(len(queries))
    assert counts[0] == counts[1] < 25


# Pages.


def test_delivery_page_shows_notes_and_calls(catalog: Catalog, who: Caller, vendor: Client) -> None:
    order = Order(catalog, who, lambda who, pk: who.post(f"/requests/{pk}/fail", {}))
    move_clock(6)
    page = vendor.get(f"/deliveries/{order.delivery.pk}/").content.decode()
    assert "fail was rejected: 400" in page and f"{order.pk} is still pending" in page
    assert 'data-note="rejected"' in page and "Handler activity" in page
    assert f"POST /requests/{order.pk}/fail" in page and "<details" in page
    log = vendor.get("/deliveries/").content.decode()
    assert "1 API call, 1 failed" in log
    shown = vendor.get(f"/queues/fulfillment_request/{order.pk}/").content.decode()
    assert "data-call=" in shown and f"POST /requests/{order.pk}/fail" in shown


def test_delivery_page_polls_while_the_handler_may_work(
    catalog: Catalog, who: Caller, vendor: Client
) -> None:
    order = Order(catalog, who, nothing)
    path = f"/deliveries/{order.delivery.pk}/"
    response = vendor.get(path)
    assert "hx-trigger" in response.content.decode().partition('id="delivery"')[2][:200]
    poll = f"{path}{response.context['shown'].poll}"
    htmx = {"HX-Request": "true"}
    assert vendor.get(poll, headers=htmx).status_code == 204
    approve(who, order.pk)
    assert f"approved {order.pk}" in vendor.get(poll, headers=htmx).content.decode()
    move_clock(120)
    later = vendor.get(path).content.decode()
    assert "hx-trigger" not in later.partition('id="delivery"')[2][:200]


def test_viewer_sees_only_calls_of_its_own_account(
    catalog: Catalog, who: Caller, vendor: Client, distributor: Client
) -> None:
    order = Order(catalog, who, approve)
    api_calls.flush()
    path = f"/queues/fulfillment_request/{order.pk}/"
    assert "data-call=" in vendor.get(path).content.decode()
    response = distributor.get(path)
    assert response.status_code == 200
    assert "data-call=" not in response.content.decode()
    assert distributor.get(f"/deliveries/{order.delivery.pk}/").status_code == 404


def test_text_of_a_call_is_escaped(catalog: Catalog, who: Caller, vendor: Client) -> None:
    hostile = "<script>alert(1)</script>"

    def work(who: Caller, pk: str) -> None:
        headers = {"User-Agent": hostile}
        who.call("PUT", f"/requests/{pk}?{hostile}", {"note": hostile}, headers)

    order = Order(catalog, who, work)
    page = vendor.get(f"/deliveries/{order.delivery.pk}/").content.decode()
    assert "&lt;script&gt;alert(1)" in page and hostile not in page
