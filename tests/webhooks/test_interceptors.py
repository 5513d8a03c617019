"""Interceptors of requests, as apps above this one install them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from tests import make
from tests.engines import until
from tests.handlers import handler
from webhooks.delivery import fan_out, interceptors
from webhooks.delivery.claimed import ClaimedDelivery, Forward, Interceptor
from webhooks.delivery.engine import Engine
from webhooks.http.client import Request, Response
from webhooks.models import Attempt, Webhook

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass
class Marking:
    """An interceptor that adds a header, or fails."""

    error: Exception | None = None
    marks: Sequence[Mapping[str, str]] = field(default_factory=lambda: [{"name": "a", "kind": "b"}])

    def signed_as(self, claimed: ClaimedDelivery) -> ClaimedDelivery:
        return claimed

    async def send(self, request: Request, forward: Forward) -> Response:
        if self.error is not None:
            raise self.error
        return await forward(replace(request, headers={**request.headers, "X-More": "1"}))


@pytest.fixture(autouse=True)
def no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interceptors, "finders", [])


def deliver(hook: Webhook) -> Attempt:
    before = Attempt.objects.count()
    fan_out.trigger(hook)
    until(lambda: Attempt.objects.count() > before, "an attempt is recorded")
    return Attempt.objects.latest("pk")


def test_interceptor_changes_the_requests_that_the_finder_names(engine: Engine) -> None:
    with handler() as served:
        catalog = make.catalog()
        hooks = [make.webhook(catalog, served.url, n) for n in (1, 2)]
        assert deliver(hooks[0]).faults == []

        def find(claimed: Sequence[ClaimedDelivery]) -> Mapping[int, Interceptor]:
            return {c.delivery_id: Marking() for c in claimed if c.webhook["id"] == hooks[0].pk}

        interceptors.finders.append(find)
        assert deliver(hooks[0]).faults == [{"name": "a", "kind": "b"}]
        assert deliver(hooks[1]).faults == []
        assert ["X-More" in request.headers for request in served.received] == [False, True, False]


def test_error_of_an_interceptor_is_a_failed_attempt(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    def find(claimed: Sequence[ClaimedDelivery]) -> Mapping[int, Interceptor]:
        return {each.delivery_id: Marking(RuntimeError("broken")) for each in claimed}

    interceptors.finders.append(find)
    with handler() as served:
        attempt = deliver(make.webhook(make.catalog(), served.url))
        assert attempt.error.startswith("Internal error") and attempt.outcome == "failure"
        assert not served.received
    assert "internal error" in caplog.text
