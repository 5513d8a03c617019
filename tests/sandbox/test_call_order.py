"""The entry of an API call precedes the start of the attempts that the call causes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from sandbox import api_calls, call_storage, timeline
from sandbox.call_recorder import Recorder
from sandbox.models import ApiCall, TimelineEntry
from tests import make
from tests.api import Caller, caller
from tests.background import Background
from tests.engines import move_clock, running, until
from tests.handlers import handler
from webhooks.delivery import claims, recording, retry, wakeup
from webhooks.delivery.in_flight import AttemptResult
from webhooks.models import Delivery, Webhook

pytestmark = pytest.mark.django_db(transaction=True)

View = Callable[[HttpRequest], HttpResponse]


@pytest.fixture
def vendor(catalog: make.Catalog) -> Caller:
    return caller(catalog.vendor)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The wake-ups that were sent."""
    sent: list[str] = []
    monkeypatch.setattr(wakeup, "send", lambda: sent.append("wake-up"))
    return sent


def ordering(catalog: make.Catalog) -> View:
    """Return a view that creates an order."""

    def view(request: HttpRequest) -> HttpResponse:
        make.order(catalog)
        return HttpResponse(b"{}", content_type="application/json")

    return view


def nothing(request: HttpRequest) -> HttpResponse:
    return HttpResponse(b"{}", content_type="application/json")


def call(view: View) -> HttpResponse:
    """Call a view as the API does, in the middleware that records calls."""
    request = RequestFactory().post("/public/v1/requests", HTTP_AUTHORIZATION="ApiKey SU-1:2")
    return api_calls.record_api_calls(view)(request)


def kinds() -> list[str]:
    entries = TimelineEntry.objects.filter(
        kind__in=(timeline.API_CALL, timeline.ATTEMPT_STARTED, timeline.ATTEMPT_FINISHED)
    )
    return list(entries.order_by("transaction", "pk").values_list("kind", flat=True))


def expire() -> None:
    Delivery.objects.filter(state="waiting").update(lease=1.0)


def delay_stores(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """Stop each store of calls at its start; return the events that it starts and may go on."""
    storing, go_on = threading.Event(), threading.Event()

    def store(batch: Any) -> None:
        storing.set()
        assert go_on.wait(20)
        call_storage.store(batch)

    monkeypatch.setattr(api_calls, "_recorder", Recorder(store))
    return storing, go_on


def test_approval_is_recorded_before_the_attempt_that_it_causes(
    catalog: make.Catalog, hook: Webhook, vendor: Caller
) -> None:
    pk = make.order(catalog).pk
    [first] = claims.claim(10)
    recording.record([AttemptResult(first, retry.SUCCESS, 1)])
    template = {"template_id": catalog.template.pk}
    assert vendor.post(f"/requests/{pk}/approve", template).status == 200
    assert len(claims.claim(10)) == 1
    assert kinds() == ["attempt_started", "attempt_finished", "api_call", "attempt_started"]
    api_call = TimelineEntry.objects.get(kind=timeline.API_CALL)
    assert api_call.object_id == pk and api_call.data["path"].endswith("/approve")


def test_trigger_now_and_edit_are_recorded_before_the_attempts_that_they_cause(
    catalog: make.Catalog, hook: Webhook, vendor: Caller
) -> None:
    path = f"/notifications/webhooks/{hook.pk}"
    make.order(catalog)
    recording.record([AttemptResult(c, retry.FAILURE, 1) for c in claims.claim(10)])
    assert vendor.post(f"{path}/trigger").status == 200
    [forced] = claims.claim(10)
    assert vendor.put(path, {"external_url": "http://127.0.0.1:10/"}).status == 200
    [pending] = claims.claim(10)
    assert forced.forced and not pending.forced
    assert kinds()[2:] == ["api_call", "attempt_started"] * 2


def test_call_in_progress_postpones_only_what_it_causes(
    catalog: make.Catalog, hook: Webhook
) -> None:
    created, answer = threading.Event(), threading.Event()

    def view(request: HttpRequest) -> HttpResponse:
        make.order(catalog)
        created.set()
        assert answer.wait(20)
        return HttpResponse(b"{}", content_type="application/json")

    calling = Background(lambda: call(view))
    assert created.wait(20)
    make.order(catalog)
    [other] = claims.claim(10)
    assert claims.claim(10) == []
    answer.set()
    calling.result()
    [caused] = claims.claim(10)
    assert caused.delivery_id < other.delivery_id
    assert kinds() == ["attempt_started", "api_call", "attempt_started"]


def test_event_that_joins_a_pending_delivery_postpones_it(
    catalog: make.Catalog, hook: Webhook
) -> None:
    make.order(catalog)
    recording.record([AttemptResult(c, retry.FAILURE, 1) for c in claims.claim(10)])
    move_clock(400)
    call(ordering(catalog))
    assert len(claims.claim(10)) == 1
    assert kinds()[2:] == ["api_call", "attempt_started"]
    [_, started] = TimelineEntry.objects.filter(kind=timeline.ATTEMPT_STARTED).order_by("pk")
    assert len(started.data["objects"]) == 2


def test_claim_waits_for_a_call_that_is_being_stored(
    catalog: make.Catalog, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    storing, go_on = delay_stores(monkeypatch)
    call(ordering(catalog))
    flushing = Background(api_calls.flush)
    assert storing.wait(20)
    claiming = Background(lambda: claims.claim(10))
    assert not claiming.ended.wait(0.1)
    go_on.set()
    flushing.result()
    assert len(claiming.result()) == 1
    assert kinds() == ["api_call", "attempt_started"]


def test_view_that_fails_delays_its_delivery_by_the_lease_only(
    catalog: make.Catalog, hook: Webhook
) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        make.order(catalog)
        raise SystemExit

    with pytest.raises(SystemExit):
        call(view)
    assert claims.claim(10) == []
    expire()
    assert len(claims.claim(10)) == 1


@pytest.mark.parametrize("limit", [0, 10])
def test_call_that_is_not_stored_delays_its_delivery_by_the_lease_only(
    catalog: make.Catalog, hook: Webhook, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    def store(batch: Any) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(api_calls, "_recorder", Recorder(store))
    monkeypatch.setattr("sandbox.call_recorder.MAX_CALLS", limit)
    call(ordering(catalog))
    assert claims.claim(10) == []
    expire()
    assert len(claims.claim(10)) == 1 and ApiCall.objects.count() == 0


def test_call_is_recorded_before_the_changes_of_later_calls(
    catalog: make.Catalog, hook: Webhook, vendor: Caller
) -> None:
    pk = make.order(catalog).pk
    params = {"asset": {"params": []}}
    assert vendor.get(f"/requests/{pk}").status == 200
    assert vendor.put(f"/requests/{pk}", params).status == 200
    template = {"template_id": catalog.template.pk}
    assert vendor.post(f"/requests/{pk}/approve", template).status == 200
    api_calls.flush()
    seen = list(TimelineEntry.objects.order_by("transaction", "pk").values_list("kind", flat=True))
    assert seen == ["change", "event", "api_call", "api_call", "change", "event", "api_call"]


def test_later_call_comes_after_one_that_is_being_stored(
    catalog: make.Catalog, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    storing, go_on = delay_stores(monkeypatch)
    call(nothing)
    flushing = Background(api_calls.flush)
    assert storing.wait(20)
    calling = Background(lambda: call(ordering(catalog)))
    if connection.vendor == "sqlite":
        # Its changes leave an id free.
        calling.result()
    else:
        assert not calling.ended.wait(0.1)
    go_on.set()
    flushing.result()
    calling.result()
    assert TimelineEntry.objects.earliest("transaction", "pk").kind == timeline.API_CALL


def test_unavailable_database_does_not_keep_a_call_from_being_served(
    catalog: make.Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def store(batch: Any) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(api_calls, "_recorder", Recorder(store))
    assert call(nothing).status_code == call(nothing).status_code == 200
    assert len(api_calls._recorder) == 2


def test_call_that_changes_nothing_is_stored_later(catalog: make.Catalog, hook: Webhook) -> None:
    call(nothing)
    assert claims.claim(10) == [] and kinds() == []


@pytest.fixture(params=["memory://localhost/", "redis://127.0.0.1:1/0"])
def broker(request: Any, settings: Any) -> Iterator[str]:
    settings.CELERY_BROKER_URL = request.param
    yield request.param


def test_engine_is_woken_when_it_can_claim(
    catalog: make.Catalog, hook: Webhook, sent: list[str], broker: str
) -> None:
    call(ordering(catalog))
    # In one process the claim stores the call; another one can claim when it is stored.
    assert bool(sent) is broker.startswith("memory")
    api_calls.flush()
    assert sent == ["wake-up"]


def test_engine_starts_what_a_call_causes_at_once(
    catalog: make.Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    with handler() as served, running() as [engine]:
        make.webhook(catalog, served.url)
        monkeypatch.setattr(wakeup, "send", engine.wake)
        began = datetime.now(UTC)
        call(ordering(catalog))
        served.next()
        # Without a poll of the database each second, and long before the lease ends.
        assert (datetime.now(UTC) - began).total_seconds() < 4
        until(lambda: kinds()[2:] == ["attempt_finished"], "the end of the attempt")
    assert kinds() == ["api_call", "attempt_started", "attempt_finished"]
