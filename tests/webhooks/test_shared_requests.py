"""Deliveries of a webhook that are claimed together share their request."""

from __future__ import annotations

import pytest

from requests_queue.queues.fulfillment import creation
from tests import make
from tests.engines import move_clock
from webhooks.delivery import claims, recording, resend, retry
from webhooks.delivery.in_flight import AttemptResult, PreparedRequest, prepare
from webhooks.models import Attempt, Webhook

pytestmark = pytest.mark.django_db(transaction=True)


def orders(count: int) -> None:
    """Order for a webhook of GET and one of POST."""
    catalog = make.catalog()
    make.webhook(catalog, n=1, data={"tenant": "a"})
    make.webhook(catalog, n=2, http_method="GET")
    for _ in range(count):
        creation.create(make.purchase(catalog), catalog.as_distributor)


def record(outcome: str = retry.SUCCESS) -> dict[str, list[PreparedRequest]]:
    """Claim everything, and record it; return the different requests of each webhook."""
    claimed = claims.claim(100)
    requests: dict[str, list[PreparedRequest]] = {}
    results = []
    for each in claimed:
        prepared = prepare(each)
        results.append(AttemptResult(each, outcome, 5, prepared))
        known = requests.setdefault(each.webhook["id"], [])
        if not any(one is prepared for one in known):
            known.append(prepared)
    recording.record(results)
    return requests


def test_each_webhook_has_one_request_and_its_attempts_show_it() -> None:
    orders(5)
    requests = record()
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
    first = record(retry.FAILURE)
    move_clock(3600)
    second = record()
    for pk in first:
        [before], [after] = first[pk], second[pk]
        assert before.claims != after.claims
        assert before.request.headers != after.request.headers


def test_resend_with_changes_beside_others_is_sent_with_its_own_content() -> None:
    orders(1)
    record()
    for attempt in Attempt.objects.all():
        resend.create_resend(attempt)
        resend.create_resend(attempt)
    requests = record()
    # Each resend has the content of its attempt.
    assert [len(each) for each in requests.values()] == [2, 2]
    assert Attempt.objects.count() == 6
