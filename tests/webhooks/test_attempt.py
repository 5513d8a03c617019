"""Deliveries of a webhook that are claimed together share their request."""

from __future__ import annotations

import gc
import json

import pytest
from aiohttp import ClientRequest

from tests import make
from tests.engines import move_clock, running, until
from tests.handlers import handler
from webhooks import states
from webhooks.delivery import claim, fan_out, record, resend
from webhooks.delivery.attempt import AttemptResult, prepare
from webhooks.delivery.request import PreparedRequest
from webhooks.http.client import Request
from webhooks.models import Attempt, Webhook

pytestmark = pytest.mark.django_db(transaction=True)


def orders(count: int) -> None:
    """Order for a webhook of GET and one of POST."""
    catalog = make.catalog()
    make.webhook(catalog, n=1, data={"tenant": "a"})
    make.webhook(catalog, n=2, http_method="GET")
    make.order(catalog, count)


def record_results(outcome: str = states.SUCCESS) -> dict[str, list[PreparedRequest]]:
    """Claim everything, and record it; return the different requests of each webhook."""
    claimed = claim.claim(100).claims
    requests: dict[str, list[PreparedRequest]] = {}
    results = []
    for each in claimed:
        prepared = prepare(each)
        results.append(AttemptResult(each, outcome, 5, prepared))
        known = requests.setdefault(each.webhook.id, [])
        if not any(one is prepared for one in known):
            known.append(prepared)
    record.record(results)
    return requests


def test_each_webhook_has_one_request_and_its_attempts_show_it() -> None:
    orders(5)
    requests = record_results()
    assert [len(each) for each in requests.values()] == [1, 1]
    for hook in Webhook.objects.all():
        [prepared] = requests[hook.pk]
        attempts = Attempt.objects.filter(webhook=hook)
        assert attempts.count() == 5
        for attempt in attempts:
            assert attempt.request_headers == prepared.headers
            assert attempt.request_body.encode() == (prepared.request.body or b"")
            assert attempt.claims["webhook_id"] == hook.pk
            assert attempt.method == hook.http_method


def test_later_claim_is_signed_anew() -> None:
    orders(1)
    first = record_results(states.FAILURE)
    move_clock(3600)
    second = record_results()
    for pk in first:
        [before], [after] = first[pk], second[pk]
        assert before.claims != after.claims
        assert before.request.headers != after.request.headers


def test_resends_beside_others_are_sent_with_their_own_content() -> None:
    orders(1)
    record_results()
    for attempt in Attempt.objects.all():
        resend.create_resend(attempt)
        resend.create_resend(attempt)
    Webhook.objects.update(data={"tenant": "b"})
    for hook in Webhook.objects.all():
        fan_out.trigger(hook)
    requests = record_results()
    # Each resend has the content of its attempt, and Trigger now that of the webhook.
    assert [len(each) for each in requests.values()] == [3, 3]
    bodies = Attempt.objects.filter(webhook="WH-000-000-001").values_list("request_body", flat=True)
    sent = [json.loads(body)["data"]["tenant"] for body in bodies.order_by("delivery_id")]
    assert sent == ["a", "a", "a", "b"]


@pytest.mark.parametrize("status", [200, 500])
def test_nothing_keeps_a_request_once_its_attempts_are_stored(status: int) -> None:
    """It has the token and the body."""
    with handler(status) as served:
        catalog = make.catalog()
        make.webhook(catalog, served.url)
        make.order(catalog, 3)

        def kept() -> list[object]:
            gc.collect()
            live = (each for each in gc.get_objects() if isinstance(each, Request | ClientRequest))
            return [each for each in live if str(each.url) == served.url]

        with running():
            until(lambda: Attempt.objects.count() == 3, "sent")
            until(lambda: not kept(), "the requests are gone")
