"""The entry of an API call precedes those of what the call causes, which is not delayed by it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.db import OperationalError, transaction
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from requests_queue import operations
from requests_queue.models import Clock
from sandbox.clock import settling
from sandbox.models import ApiCall, TimelineEntry
from sandbox.timeline import api_calls, call_storage, timeline
from sandbox.timeline.api_calls import Recorder
from sandbox.timeline.timeline import Cursor, Entry
from tests import make
from tests.api import Caller
from tests.background import Background
from tests.engines import move_clock
from webhooks import states
from webhooks.delivery import claim, record, wakeup
from webhooks.delivery.attempt import AttemptResult
from webhooks.models import Webhook

pytestmark = pytest.mark.django_db(transaction=True)


def call(work: Callable[[], Any] = lambda: None, waited: float = 0) -> HttpResponse:
    """Work in a call of the API, within the middleware that records calls."""

    def view(request: HttpRequest) -> HttpResponse:
        work()
        return HttpResponse(b"{}", content_type="application/json")

    more = {operations.WAITED: waited}
    path = "/public/v1/requests"
    request = RequestFactory().post(path, HTTP_AUTHORIZATION="ApiKey SU-1:2", **more)
    return api_calls.record_api_calls(view)(request)


def kinds(*only: str) -> list[str]:
    """Return the kinds of stored entries in order: of these kinds, or of calls and attempts."""
    only = only or (timeline.API_CALL, timeline.ATTEMPT_STARTED, timeline.ATTEMPT_FINISHED)
    entries = TimelineEntry.objects.filter(kind__in=only)
    return list(entries.order_by("transaction", "pk").values_list("kind", flat=True))


def readable() -> list[TimelineEntry]:
    """The entries that the API shows."""
    return list(timeline.between(Cursor(), timeline.now()))


def pass_time(seconds: float) -> None:
    """Let open entries be older."""
    for entry in TimelineEntry.objects.filter(is_open=True):
        entry.real_at -= timedelta(seconds=seconds)
        entry.save()


def test_approval_is_recorded_before_the_attempt_that_it_causes(
    catalog: make.Catalog, hook: Webhook, who: Caller
) -> None:
    pk = make.order(catalog).pk
    [first] = claim.claim(10).claims
    record.record([AttemptResult(first, states.SUCCESS, 1)])
    template = {"template_id": catalog.template.pk}
    assert who.post(f"/requests/{pk}/approve", template).status == 200
    assert len(claim.claim(10).claims) == 1
    assert kinds() == ["attempt_started", "attempt_finished", "api_call", "attempt_started"]
    api_calls.flush()
    api_call = TimelineEntry.objects.get(kind=timeline.API_CALL)
    assert api_call.object_id == pk and api_call.data["path"].endswith("/approve")


def test_times_of_a_call_and_of_what_it_causes_ascend(
    catalog: make.Catalog, hook: Webhook, who: Caller
) -> None:
    pk = make.order(catalog).pk
    template = {"template_id": catalog.template.pk}
    assert who.post(f"/requests/{pk}/approve", template).status == 200
    claim.claim(10)
    api_calls.flush()
    entries = readable()
    begun = ["change", "event", "api_call", "change", "event"]
    assert [entry.kind for entry in entries] == [*begun, *["attempt_started"] * 2]
    assert [entry.at for entry in entries] == sorted(entry.at for entry in entries)
    assert all(entry.at.microsecond for entry in entries)


def test_trigger_now_and_edit_are_recorded_before_the_attempts_that_they_cause(
    catalog: make.Catalog, hook: Webhook, who: Caller
) -> None:
    path = f"/notifications/webhooks/{hook.pk}"
    make.order(catalog)
    record.record([AttemptResult(c, states.FAILURE, 1) for c in claim.claim(10).claims])
    assert who.post(f"{path}/trigger").status == 200
    assert kinds(timeline.API_CALL, timeline.EVENT) == ["event", "api_call", "event"]
    [forced] = claim.claim(10).claims
    assert who.put(path, {"external_url": "http://127.0.0.1:10/"}).status == 200
    [pending] = claim.claim(10).claims
    assert forced.forced and not pending.forced
    assert kinds()[2:] == ["api_call", "attempt_started"] * 2


def test_delivery_starts_while_the_call_that_causes_it_is_in_progress(
    catalog: make.Catalog, hook: Webhook
) -> None:
    created, answer = threading.Event(), threading.Event()

    def work() -> None:
        make.order(catalog)
        created.set()
        assert answer.wait(20)

    make.order(catalog)
    [before] = claim.claim(10).claims
    calling = Background(lambda: call(work))
    assert created.wait(20)
    [caused] = claim.claim(10).claims
    assert caused.delivery_id > before.delivery_id
    assert kinds() == ["attempt_started", "api_call", "attempt_started"]
    # What comes after the call is read when its response is known.
    assert readable()[-1].kind == timeline.ATTEMPT_STARTED and timeline.is_withheld()
    position = timeline.now()
    answer.set()
    calling.result()
    api_calls.flush()
    entries = list(timeline.between(position, timeline.now()))
    assert [entry.kind for entry in entries] == ["api_call", "change", "event", "attempt_started"]
    assert entries[0].data["status"] == 200 and entries[0].data["id"] == ApiCall.objects.get().pk
    assert not timeline.is_withheld()


def test_call_is_recorded_before_the_attempt_of_a_delivery_that_its_event_joins(
    catalog: make.Catalog, hook: Webhook
) -> None:
    make.order(catalog)
    record.record([AttemptResult(c, states.FAILURE, 1) for c in claim.claim(10).claims])
    move_clock(400)
    call(partial(make.order, catalog))
    assert len(claim.claim(10).claims) == 1
    assert kinds()[2:] == ["api_call", "attempt_started"]
    [_, started] = TimelineEntry.objects.filter(kind=timeline.ATTEMPT_STARTED).order_by("pk")
    assert len(started.data["objects"]) == 2


def test_call_without_a_response_is_shown_as_such(catalog: make.Catalog, hook: Webhook) -> None:
    def work() -> None:
        make.order(catalog)
        raise SystemExit

    with pytest.raises(SystemExit):
        call(work)
    assert len(claim.claim(10).claims) == 1
    api_calls.flush()
    assert readable() == []
    pass_time(timeline.OPEN_FOR)
    [entry, *rest] = readable()
    assert [each.kind for each in rest] == ["change", "event", "attempt_started"]
    shown = ("method", "path", "actor", "status")
    assert [entry.data[name] for name in shown] == ["POST", "/public/v1/requests", "handler", None]


@pytest.mark.parametrize("limit", [0, 10])
def test_call_that_cannot_be_stored_delays_nothing(
    catalog: make.Catalog, hook: Webhook, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    def store(batch: Any) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(api_calls, "_recorder", Recorder(store))
    monkeypatch.setattr("sandbox.timeline.api_calls.MAX_CALLS", limit)
    call(partial(make.order, catalog))
    assert len(claim.claim(10).claims) == 1
    assert timeline.is_withheld()
    api_calls.flush()
    assert ApiCall.objects.count() == 0 and kinds() == ["attempt_started"]
    assert not timeline.is_withheld()


def test_client_follows_calls_past_one_without_a_response(
    catalog: make.Catalog, who: Caller
) -> None:
    call(partial(make.order, catalog))
    api_calls.clear()
    who.get("/requests")
    pass_time(timeline.OPEN_FOR)
    response = who.get("/sandbox/api-calls?since=0.0")
    assert [each["path"] for each in response.json["calls"]] == ["/public/v1/requests"]


def test_settle_times_read_a_call_once_it_is_complete(catalog: make.Catalog) -> None:
    state = settling._State()
    fed: list[int] = []
    state._feed = lambda rows: fed.extend(row.pk for row in rows)  # type: ignore[method-assign]
    call(partial(make.order, catalog))
    timeline.append([Entry(timeline.CLOCK, datetime.now(UTC), data={"action": "next"})])
    state.catch_up()
    api_calls.flush()
    state.catch_up()
    state.catch_up()
    rows = TimelineEntry.objects.filter(kind__in=settling.KINDS)
    assert sorted(fed) == sorted(rows.values_list("pk", flat=True)) and len(fed) == 2


def test_call_of_a_world_that_another_process_has_replaced_has_no_entry(
    catalog: make.Catalog, settings: Any
) -> None:
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    call(partial(make.order, catalog))
    replaced_at = datetime.now(UTC) + timedelta(seconds=1)
    Clock.objects.update_or_create(pk=1, defaults={"replaced_at": replaced_at})
    api_calls.flush()
    assert not ApiCall.objects.exists() and [each.kind for each in readable()] == ["change"]


def test_call_whose_changes_are_rolled_back_is_recorded_once(
    catalog: make.Catalog, hook: Webhook
) -> None:
    def roll_back() -> None:
        with pytest.raises(RuntimeError), transaction.atomic():
            make.order(catalog)
            raise RuntimeError

    call(roll_back)
    api_calls.flush()
    assert [entry.kind for entry in readable()] == ["api_call"]
    call(lambda: (roll_back(), make.order(catalog)))
    make.order(catalog)
    api_calls.flush()
    expected = ["api_call", "api_call", "change", "event", "change", "event"]
    assert [entry.kind for entry in readable()] == expected


@pytest.mark.parametrize("is_one", [True, False], ids=["one transaction", "two transactions"])
def test_call_with_several_changes_is_recorded_once(
    catalog: make.Catalog, hook: Webhook, is_one: bool
) -> None:
    def work() -> None:
        with transaction.atomic() if is_one else nullcontext():
            make.order(catalog, times=2)

    call(work)
    api_calls.flush()
    assert [entry.kind for entry in readable()] == ["api_call", *["change", "event"] * 2]
    assert readable()[0].data["status"] == 200 and not timeline.is_withheld()


def test_call_whose_effects_have_been_read_is_recorded_after_them(
    catalog: make.Catalog, hook: Webhook
) -> None:
    call(partial(make.order, catalog), waited=timeline.OPEN_FOR)
    position = timeline.now()
    assert [entry.kind for entry in readable()] == ["api_call", "change", "event"]
    api_calls.flush()
    [entry] = timeline.between(position, timeline.now())
    assert entry.kind == timeline.API_CALL and entry.data["status"] == 200
    assert kinds() == ["api_call"]


def test_reader_sees_each_entry_once_complete_and_in_order(catalog: make.Catalog) -> None:
    def serve() -> None:
        for _ in range(5):
            call(partial(make.order, catalog))
            call()

    serving = [Background(serve) for _ in range(3)]
    seen: list[TimelineEntry] = []
    position, is_over = Cursor(), False
    while not is_over:
        is_over = all(each.ended.is_set() for each in serving)
        api_calls.flush()
        until = timeline.now()
        seen += timeline.between(position, until)
        position = max(position, until)
    for each in serving:
        each.result()
    assert [row.pk for row in seen] == [row.pk for row in readable()]
    assert Counter(row.kind for row in seen) == {"api_call": 30, "change": 15}
    assert all(row.data["status"] == 200 for row in seen if row.kind == timeline.API_CALL)
    for n, row in enumerate(seen):
        earlier = Counter(each.kind for each in seen[:n])
        assert row.kind == timeline.API_CALL or earlier["api_call"] > earlier["change"]


def test_message_comes_after_its_call(catalog: make.Catalog, who: Caller) -> None:
    pk = make.order(catalog).pk
    [conversation] = who.get(f"/conversations?eq(instance_id,{pk})").json
    api_calls.flush()
    position = timeline.now()
    path = f"/conversations/{conversation['id']}/messages"
    assert who.post(path, {"text": "Hello"}).status in (200, 201)
    api_calls.flush()
    entries = timeline.between(position, timeline.now())
    assert [entry.kind for entry in entries] == ["api_call", "message"]


def test_call_is_recorded_before_the_changes_of_later_calls(
    catalog: make.Catalog, hook: Webhook, who: Caller
) -> None:
    pk = make.order(catalog).pk
    params = {"asset": {"params": []}}
    assert who.get(f"/requests/{pk}").status == 200
    assert who.put(f"/requests/{pk}", params).status == 200
    template = {"template_id": catalog.template.pk}
    assert who.post(f"/requests/{pk}/approve", template).status == 200
    api_calls.flush()
    stored = kinds(timeline.API_CALL, timeline.CHANGE, timeline.EVENT)
    assert stored == ["change", "event", "api_call", "api_call", "api_call", "change", "event"]


def test_later_call_comes_after_one_that_is_being_stored(
    catalog: make.Catalog, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    storing, go_on = threading.Event(), threading.Event()

    def store(batch: Any) -> None:
        storing.set()
        assert go_on.wait(20)
        call_storage.store(batch)

    monkeypatch.setattr(api_calls, "_recorder", Recorder(store))
    call()
    flushing = Background(api_calls.flush)
    assert storing.wait(20)
    calling = Background(lambda: call(partial(make.order, catalog)))
    assert not calling.ended.wait(0.1)
    go_on.set()
    flushing.result()
    calling.result()
    seen = TimelineEntry.objects.order_by("transaction", "pk").values_list("kind", "is_open")
    assert list(seen)[:2] == [("api_call", False), ("api_call", True)]


def test_unavailable_database_does_not_keep_a_call_from_being_served(
    catalog: make.Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def store(batch: Any) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(api_calls, "_recorder", Recorder(store))
    assert call().status_code == call().status_code == 200
    assert len(api_calls._recorder) == 2


def test_call_that_changes_nothing_is_stored_later(catalog: make.Catalog, hook: Webhook) -> None:
    call()
    assert claim.claim(10).claims == [] and kinds() == []


@pytest.mark.parametrize("broker", ["memory://localhost/", "redis://127.0.0.1:1/0"])
def test_engine_is_woken_by_the_commit(
    catalog: make.Catalog,
    hook: Webhook,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    broker: str,
) -> None:
    settings.CELERY_BROKER_URL = broker
    sent: list[str] = []
    monkeypatch.setattr(wakeup, "send", lambda: sent.append("wake-up"))
    call(partial(make.order, catalog))
    assert sent == ["wake-up"]
