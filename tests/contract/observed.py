"""Every operation, called on the demo data by each party, for the tests of both documents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from requests_queue import clock, seed
from requests_queue.catalog.models import Account
from tests.api import PROVIDER, VENDOR, Caller, Response, caller
from tests.contract import calls, routes
from tests.queue.platforms import undone
from webhooks.models import Attempt, Delivery, Webhook


class ObservedResponse(NamedTuple):
    method: str
    path: str
    response: Response


@pytest.fixture(scope="session")
def called(django_db_setup: None, django_db_blocker: Any) -> list[ObservedResponse]:
    """Every operation, called once by each party that may."""
    with django_db_blocker.unblock(), undone():
        seed.run(lambda line: None)
        callers = {
            calls.VENDOR: caller(Account.objects.get(pk=VENDOR)),
            calls.DISTRIBUTOR: caller(Account.objects.get(pk=PROVIDER)),
        }
        _called_once(calls.webhook(callers))
        calls.extension_with_tasks(callers)
        return list(_all(callers))


def _all(callers: calls.Callers) -> Iterator[ObservedResponse]:
    for method, path in sorted(routes.operations()):
        if method != "GET" and (method, path) in calls.WRITES:
            yield ObservedResponse(method, path, calls.write(method, path, callers))
        for each in callers.values() if method == "GET" else ():
            for response in calls.reads(path, each):
                yield ObservedResponse(method, path, response)
    for path in routes.collections():
        yield ObservedResponse("GET", path, Caller(None).get(path))
        yield ObservedResponse("GET", path, callers[calls.VENDOR].get(f"{path}?eq(nothing,1)"))


def _called_once(webhook_id: str) -> None:
    """Give a webhook a success and a failure, so that both are in responses."""
    now, hook = clock.now(), Webhook.objects.get(pk=webhook_id)
    delivery = Delivery.objects.create(webhook=hook, created_at=now)
    attempts = [
        Attempt.objects.create(
            webhook=hook,
            delivery=delivery,
            number=number,
            outcome=outcome,
            started_at=now,
            finished_at=now,
            duration=184,
            method="POST",
            url=hook.external_url,
            status_code=status,
            error=error,
        )
        for number, outcome, status, error in (
            (1, Attempt.FAILURE, None, "Read timed out."),
            (2, Attempt.SUCCESS, 200, ""),
        )
    ]
    Webhook.objects.filter(pk=hook.pk).update(last_failure=attempts[0], last_success=attempts[1])
