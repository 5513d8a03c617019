"""What conditions of waits read of the present."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from requests_queue import clock, jobs
from sandbox.waits import wait_responses
from tests import make
from tests.engines import move_clock
from webhooks import states
from webhooks.delivery import claim, record
from webhooks.delivery.attempt import AttemptResult

pytestmark = pytest.mark.django_db(transaction=True)


def test_retry_that_begins_during_the_look_is_not_missed(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.SIM_SETTLE_TIME = 0
    catalog = make.catalog()
    make.webhook(catalog)
    make.order(catalog)
    assert not wait_responses.is_idle(clock.now())
    [first] = claim.claim(10).claims
    record.flush([AttemptResult(first, states.FAILURE, 5)])
    assert not wait_responses.is_idle(clock.now())

    def between_two_reads(now: datetime) -> datetime | None:
        """Requests in flight were read before, and backoffs are read afterwards."""
        move_clock(600)
        assert claim.claim(10).claims
        return None

    now = clock.now()
    monkeypatch.setattr(jobs, "next_work", between_two_reads)
    assert not wait_responses.is_idle(now)
