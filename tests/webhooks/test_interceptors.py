"""Interceptors of requests, as apps above this one install them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from tests import make
from tests.engines import until
from tests.handlers import handler
from webhooks.delivery import claim, fan_out
from webhooks.delivery.claim import Claim
from webhooks.delivery.engine import Engine
from webhooks.delivery.request import Forward, Interceptor
from webhooks.http.client import Request, Response
from webhooks.models import Attempt, Webhook

pytestmark = pytest.mark.django_db(transaction=True)


def marking(claim: Claim, error: Exception | None = None) -> Interceptor:
    """Return an interceptor that adds a header, or fails."""

    async def send(request: Request, forward: Forward) -> Response:
        if error is not None:
            raise error
        return await forward(replace(request, headers={**request.headers, "X-More": "1"}))

    return Interceptor([{"name": "a", "kind": "b"}], send, claim.started_at)


@pytest.fixture(autouse=True)
def no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim, "interceptor_finders", [])


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

        def find(claims: Sequence[Claim]) -> Mapping[int, Interceptor]:
            return {c.delivery_id: marking(c) for c in claims if c.webhook.id == hooks[0].pk}

        claim.interceptor_finders.append(find)
        assert deliver(hooks[0]).faults == [{"name": "a", "kind": "b"}]
        assert deliver(hooks[1]).faults == []
        assert ["X-More" in request.headers for request in served.received] == [False, True, False]


def test_error_of_an_interceptor_is_a_failed_attempt(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    def find(claims: Sequence[Claim]) -> Mapping[int, Interceptor]:
        return {each.delivery_id: marking(each, RuntimeError("broken")) for each in claims}

    claim.interceptor_finders.append(find)
    with handler() as served:
        attempt = deliver(make.webhook(make.catalog(), served.url))
        assert attempt.error.startswith("Internal error") and attempt.outcome == "failure"
        assert not served.received
    assert "internal error" in caplog.text
