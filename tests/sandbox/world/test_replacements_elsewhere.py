"""Resets and restores by another process, which pauses nothing here: the database does."""

from __future__ import annotations

from typing import Any

import pytest
from django.db.models import F

from requests_queue import jobs
from requests_queue.db import background_work
from requests_queue.errors import Conflict
from requests_queue.models import Clock
from sandbox.clock import moves
from sandbox.models import ApiCall, TimelineEntry
from sandbox.timeline import api_calls
from sandbox.world import snapshots
from tests.api import Caller
from tests.sandbox.replacing import replaced
from tests.sandbox.worlds import purchase, webhook
from webhooks import cleanup
from webhooks.delivery import wakeup
from webhooks.models import Event, Webhook

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def no_jobs(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Jobs are recorded rather than run."""
    ran: list[Any] = []
    monkeypatch.setattr(jobs, "run_due_jobs", lambda now: ran.append(now) or [])
    return ran


def test_work_of_an_earlier_generation_is_refused(saved: Any) -> None:
    first = background_work.generation()
    with background_work.running(first) as current:
        assert current == first
    replaced()
    with pytest.raises(background_work.Replaced), background_work.running(first):
        pass
    with background_work.running() as current:
        assert current == first + 1


def test_move_runs_no_job_of_the_new_data(saved: Any, vendor: Caller, no_jobs: list[Any]) -> None:
    with moves.Move(moves.ADVANCE) as move:
        move.run_due()
        assert len(no_jobs) == 1
        replaced()
        with pytest.raises(Conflict, match="reset or restored"):
            move.run_due()
        with pytest.raises(Conflict, match="reset or restored"):
            move.settle()
    assert len(no_jobs) == 1
    assert Clock.objects.get().frozen_at is None


def test_webhook_that_exists_again_keeps_its_rows(
    saved: Any, vendor: Caller, distributor: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = webhook(vendor, "http://127.0.0.1:9/")["id"]
    purchase(distributor)
    snapshots.save("before", patience=0)
    Webhook.objects.filter(pk=hook).update(deleted_at=F("created_at"))
    read = cleanup.retention.run

    def run(*args: Any, **kwargs: Any) -> Any:
        # After the webhooks that are deleted have been read.
        replaced("before")
        return read(*args, **kwargs)

    monkeypatch.setattr(cleanup.retention, "run", run)
    cleanup.remove_deleted(pause=lambda seconds: None)
    assert Event.objects.filter(webhook=hook).exists()


def test_calls_that_ended_before_are_not_stored(
    saved: Any, vendor: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakeup, "is_broker_in_memory", lambda: False)
    vendor.get("/requests")
    replaced()
    vendor.get("/products")
    api_calls.flush()
    assert list(ApiCall.objects.values_list("path", flat=True)) == ["/public/v1/products"]
    kinds = TimelineEntry.objects.order_by("pk").values_list("kind", flat=True)
    assert list(kinds)[-2:] == ["reset", "api_call"]
