"""Requests before, during and after an outage of the database."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

from tests import make
from tests.engines import running, settled, until
from tests.handlers import ReceivedRequest, handler
from webhooks.models import Attempt, Webhook

Outage = Callable[[threading.Event], AbstractContextManager[object]]


def outlast(catalog: make.Catalog, outage: Outage, within: float) -> None:
    """Let requests end during an outage, and see their results stored `within` seconds after it.

    One request succeeds, one fails, and one is in flight all the time. The outage sets the event
    that ends the first two.
    """
    hold, late = threading.Event(), threading.Event()
    responses = {"/good": (hold, 200), "/bad": (hold, 500), "/slow": (late, 200)}

    def respond(request: ReceivedRequest) -> int:
        event, status = responses[request.path]
        event.wait(120)
        return status

    with handler(respond) as served:
        hooks = [
            make.webhook(catalog, f"{served.url}{path[1:]}", n=n)
            for n, path in enumerate(responses, 1)
        ]
        make.order(catalog)
        with running(2) as engines:
            for _ in hooks:
                served.next()
            with outage(hold):
                assert sum(len(engine._window.results) for engine in engines) == 2
            until(lambda: Attempt.objects.count() == 2, "the results are stored", within)
            late.set()
            until(lambda: Attempt.objects.count() == 3, "the slow one is stored", within)
        assert len(served.received) == 3
    assert [settled(hook) for hook in hooks] == [True, False, True]
    outcomes = dict(Attempt.objects.values_list("url", "outcome"))
    assert [outcomes[hook.external_url] for hook in hooks] == ["success", "failure", "success"]
    counted = Webhook.objects.order_by("pk").values_list(
        "triggers", "success_triggers", "failure_triggers", "round"
    )
    assert list(counted) == [(1, 1, 0, 0), (1, 0, 1, 1), (1, 1, 0, 0)]
