"""`/sandbox/clock` and `/sandbox/settle`, with a running engine and real handlers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
import time_machine
from django.db import connection, connections
from django.utils.http import http_date

from requests_queue import clock, sql, transitions
from requests_queue.models import Clock
from requests_queue.queues.fulfillment import creation
from requests_queue.queues.fulfillment.models import Request
from requests_queue.signals import collect_busy, collect_next_due
from sandbox import activity, clock_control, holds, moves, notification, settling, timeline
from sandbox.activity import Activity
from sandbox.models import ProcessActivity, TimelineEntry
from sandbox.timeline import Entry
from tests import html, make
from tests.api import Caller, caller
from tests.background import Background
from tests.engines import running, until
from tests.handlers import ReceivedRequest, handler
from tests.queue.test_jobs import receiving
from tests.signed_in import signed_in
from webhooks.delivery import wakeup
from webhooks.delivery.engine import Engine
from webhooks.models import Attempt, Webhook

pytestmark = pytest.mark.django_db(transaction=True)

S = timedelta(seconds=1)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    with running() as [engine]:
        monkeypatch.setattr(wakeup, "send", engine.wake)
        yield engine


@pytest.fixture
def platform() -> make.Catalog:
    return make.catalog()


@pytest.fixture
def by(platform: make.Catalog) -> Caller:
    return caller(platform.vendor)


def order(platform: make.Catalog) -> Request:
    return creation.create(make.purchase(platform), platform.as_distributor)


def move(by: Caller, name: str, /, **body: Any) -> dict[str, Any]:
    response = by.post(f"/sandbox/clock/{name}", {"settle": 0, **body})
    assert response.status == 200, response
    return dict(response.json)


def during_moves(*statuses: int) -> Callable[[ReceivedRequest], int]:
    """Respond while the clock is moved, so that each attempt finishes during a move.

    The last status is that of all further responses.
    """
    left = list(statuses)

    def respond(request: ReceivedRequest) -> int:
        try:
            until(lambda: clock_control.read().moving, "a move")
        finally:
            connections.close_all()
        return left.pop(0) if len(left) > 1 else left[0]

    return respond


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


# Moves.


def test_advance_lists_its_attempts(engine: Engine, platform: make.Catalog, by: Caller) -> None:
    with handler(during_moves(500, 200)) as served:
        hook = make.webhook(platform, served.url)
        pk = order(platform).pk
        moved = move(by, "advance", by="1h")
    assert moment(moved["now"]) - moment(moved["from"]) == 3600 * S
    assert (moved["stops"], moved["stopped_because"]) == (1, "end")
    assert (moved["unsettled"], moved["failed"]) == ([], [])
    first, second = moved["attempts"]
    failed, delivered = Attempt.objects.order_by("number")
    assert failed.next_attempt_at is not None
    about = {
        "webhook": hook.pk, "delivery": failed.delivery_id, "object": pk, "objects": [pk],
    }  # fmt: skip
    assert first == {
        **about, "attempt": 1, "at": timeline.format_time(failed.finished_at), "outcome": "failure",
        "status": 500, "error": "Handler returned HTTP 500 (expected 2xx).",
        "next_attempt_at": timeline.format_time(failed.next_attempt_at),
    }  # fmt: skip
    assert second == {
        **about, "attempt": 2, "at": timeline.format_time(delivered.finished_at),
        "outcome": "success", "status": 200, "error": "", "next_attempt_at": None,
    }  # fmt: skip
    assert delivered.started_at == failed.next_attempt_at


def test_attempts_before_the_move_are_not_listed(
    engine: Engine, platform: make.Catalog, by: Caller
) -> None:
    with handler(during_moves(500)) as served:
        make.webhook(platform, served.url)
        order(platform)
        assert len(move(by, "advance", by="0s")["attempts"]) == 1
        assert move(by, "advance", by="1s")["attempts"] == []
        [attempt] = move(by, "advance", by="PT6M")["attempts"]
    assert attempt["attempt"] == 2


def test_advance_by_zero_runs_what_is_due_now(
    engine: Engine, platform: make.Catalog, by: Caller
) -> None:
    with handler(during_moves(200)) as served:
        make.webhook(platform, served.url)
        order(platform)
        moved = move(by, "advance", by="0s")
        assert len(served.received) == 1
    assert moved["from"] == moved["now"]
    assert [attempt["outcome"] for attempt in moved["attempts"]] == ["success"]
    assert not TimelineEntry.objects.filter(kind="clock").exists()


def test_next_moves_to_the_next_attempt_and_through_it(
    engine: Engine, platform: make.Catalog, by: Caller
) -> None:
    with handler(500) as served:
        hook = make.webhook(platform, served.url)
        order(platform)
        for number, seconds in ((2, 300), (3, 600), (4, 1200)):
            moved = move(by, "next")
            last = moved["attempts"][-1]
            assert (last["attempt"], moved["stops"], moved["stopped_because"]) == (number, 1, "end")
            assert moved["now"] == last["at"]
            elapsed = moment(moved["now"]) - moment(moved["from"])
            assert (seconds - 10) * S < elapsed < (seconds + 1) * S
        served.respond = lambda request: 200
        assert move(by, "next")["attempts"][-1]["outcome"] == "success"
        moved = move(by, "next")
    assert (moved["stopped_because"], moved["stops"], moved["attempts"]) == ("idle", 0, [])
    assert moved["from"] == moved["now"]
    hook.refresh_from_db()
    assert hook.triggers == 5


def test_run_until_idle_runs_all_retries_until_out_of_order(
    engine: Engine, platform: make.Catalog, by: Caller
) -> None:
    with handler(during_moves(500)) as served:
        hook = make.webhook(platform, served.url)
        order(platform)
        moved = move(by, "run-until-idle")
        assert len(served.received) == 10
    hook.refresh_from_db()
    assert hook.out_of_order
    assert (moved["stopped_because"], moved["stops"], len(moved["attempts"])) == ("idle", 9, 10)
    assert moved["now"] == moved["attempts"][-1]["at"]
    assert move(by, "run-until-idle")["attempts"] == []


def test_run_until_idle_ends_at_its_limits(
    engine: Engine, platform: make.Catalog, by: Caller
) -> None:
    with handler(during_moves(500)) as served:
        make.webhook(platform, served.url)
        order(platform)
        moved = move(by, "run-until-idle", max_steps=2)
        assert (moved["stopped_because"], moved["stops"]) == ("max_steps", 2)
        assert len(moved["attempts"]) == 3
        moved = move(by, "run-until-idle", max="PT1H")
    assert (moved["stopped_because"], moved["stops"]) == ("max", 2)
    assert moment(moved["now"]) - moment(moved["from"]) == 3600 * S
    assert [attempt["attempt"] for attempt in moved["attempts"]] == [4, 5]


def test_recurring_jobs_do_not_keep_run_until_idle_from_ending(by: Caller) -> None:
    ran: list[datetime] = []

    def every_hour(now: datetime, **kwargs: Any) -> datetime:
        ran.append(now)
        return now + timedelta(hours=1)

    with receiving(collect_next_due, every_hour):
        moved = move(by, "run-until-idle")
        assert (moved["stopped_because"], moved["stops"]) == ("idle", 0)
        moved = move(by, "next")
        assert (moved["stopped_because"], moved["stops"]) == ("idle", 0)
        assert move(by, "advance", by="5h")["stops"] == 5


def test_recurring_jobs_run_on_the_way_to_the_next_attempt(
    engine: Engine, platform: make.Catalog, by: Caller
) -> None:
    start = clock.shown(clock.now())

    def every_minute(now: datetime, **kwargs: Any) -> datetime:
        return start + (now - start) // timedelta(minutes=1) * timedelta(minutes=1) + 60 * S

    with handler(during_moves(500)) as served, receiving(collect_next_due, every_minute):
        make.webhook(platform, served.url)
        order(platform)
        moved = move(by, "next")
    assert (moved["stopped_because"], len(moved["attempts"])) == ("end", 2)
    assert 5 <= moved["stops"] <= 7


def test_planned_date_on_the_way_creates_work(
    engine: Engine, platform: make.Catalog, by: Caller
) -> None:
    with handler(200) as served:
        make.webhook(platform, served.url)
        row = order(platform)
        planned = clock.shown(clock.now()) + timedelta(hours=3)
        body = {"planned_date": planned.isoformat()}
        transitions.move(Request, row.pk, "schedule", platform.as_vendor, body)
        assert move(by, "run-until-idle")["stopped_because"] == "idle"
        row.refresh_from_db()
        assert row.status == "scheduled"
        moved = move(by, "advance", by="4h")
    assert moved["attempts"][-1]["at"] == timeline.format_time(planned)


def test_each_step_is_in_the_timeline(by: Caller) -> None:
    def at_noon(now: datetime, **kwargs: Any) -> datetime | None:
        return noon if now < noon else None

    noon = clock.shown(clock.now()) + timedelta(hours=1)
    with receiving(collect_next_due, at_noon):
        moved = move(by, "advance", by="2h")
    steps = [row.data for row in TimelineEntry.objects.filter(kind="clock").order_by("pk")]
    assert steps == [
        {"action": "advance", "from": moved["from"], "to": timeline.format_time(noon)},
        {"action": "advance", "from": timeline.format_time(noon), "to": moved["now"]},
    ]


def test_move_is_refused_during_another_one(by: Caller) -> None:
    with moves.Move.begin("wait"):
        for path, body in (
            ("advance", {"by": "1s"}), ("next", {}), ("run-until-idle", {}),
        ):  # fmt: skip
            response = by.post(f"/sandbox/clock/{path}", body)
            assert (response.status, response.json["error_code"]) == (409, "CLK_001")
    assert by.post("/sandbox/clock/advance", {"by": "1s"}).status == 200


def test_move_does_not_wait_twice_for_the_same(by: Caller) -> None:
    def stuck(now: datetime, **kwargs: Any) -> set[str]:
        return {"stuck:1"}

    def every_hour(now: datetime, **kwargs: Any) -> datetime:
        return now + timedelta(hours=1)

    with receiving(collect_busy, stuck), receiving(collect_next_due, every_hour):
        began = time.monotonic()
        moved = move(by, "advance", by="10h", patience=0.3)
        assert time.monotonic() - began < 2
    assert moved["stops"] == 10
    assert moved["unsettled"] == [{"kind": "job", "text": "stuck:1 is running."}]


def test_move_waits_for_other_api_calls_than_those_it_gave_up_on(
    by: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Activity()
    monkeypatch.setattr(activity, "_activity", own)
    hanging, ended = own.begin(), own.begin()
    with moves.Move.begin("advance", settle=0) as move:
        [left] = move.settle(patience=0)
        assert left.text == "2 API calls are in flight." and move.unsettled == [left]
        assert move.settle(patience=0) == []
        later = own.begin()
        own.end(ended)
        [left] = move.settle(patience=0.1)
        assert left.text == "1 API call is in flight." and len(move.unsettled) == 2
        own.end(later)
        third = own.begin()
        moving = Background(move.settle)
        assert not moving.ended.wait(0.1)
        own.end(third)
        assert moving.result() == []
    own.end(hanging)


def test_move_waits_for_other_api_calls_of_another_process_than_those_it_gave_up_on(
    by: Caller, settings: Any
) -> None:
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"

    def serves(*calls: int) -> None:
        ProcessActivity.objects.update_or_create(
            process="other", defaults={"calls": list(calls), "at": sql.DatabaseTime()}
        )

    serves(7)
    with moves.Move.begin("advance", settle=0) as move:
        assert len(move.settle(patience=0)) == 1 and not move.waiting_for()
        serves(7, 8)
        assert [each.text for each in move.waiting_for()] == ["1 API call is in flight."]
        serves(7)
        assert not move.waiting_for()


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("advance", {}, "by"),
        ("advance", {"by": 5}, "by"),
        ("advance", {"by": "soon"}, "by"),
        ("advance", {"by": "P1M"}, "by"),
        ("advance", {"by": "11y"}, "by"),
        ("advance", {"by": "1s", "patience": 601}, "patience"),
        ("advance", {"by": "1s", "patience": -1}, "patience"),
        ("advance", {"by": "1s", "patience": "11m"}, "patience"),
        ("advance", {"by": "1s", "patience": True}, "patience"),
        ("advance", {"by": "1s", "settle": -1}, "settle"),
        ("advance", {"by": "1s", "settle": 60001}, "settle"),
        ("advance", {"by": "1s", "settle": "fast"}, "settle"),
        ("next", {"patience": []}, "patience"),
        ("run-until-idle", {"max": 5}, "max"),
        ("run-until-idle", {"max": "-1d"}, "max"),
        ("run-until-idle", {"max_steps": 0}, "max_steps"),
        ("run-until-idle", {"max_steps": "many"}, "max_steps"),
    ],
)
def test_invalid_body_is_refused(by: Caller, path: str, body: Any, field: str) -> None:
    before = clock_control.read()
    response = by.post(f"/sandbox/clock/{path}", body)
    assert (response.status, response.json["error_code"]) == (400, "VAL_001")
    assert response.json["errors"][0].startswith(f"{field}: ")
    assert clock_control.read()[1:] == before[1:]


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(by: Caller, literal: str) -> None:
    body = f'{{"by": "1s", "patience": {literal}}}'
    assert by.post("/sandbox/clock/advance", body).status == 400


# The state of the clock.


def test_clock_says_what_it_waits_for(engine: Engine, platform: make.Catalog, by: Caller) -> None:
    with handler(None) as served:
        make.webhook(platform, served.url)
        order(platform)
        served.next()
        hold = holds.take(note="test")
        before = clock.now()
        state = by.get("/sandbox/clock").json
        served.release.set()
    assert moment(state["now"]) - before < 5 * S
    assert (state["moving"], state["frozen"], state["settled"]) == (False, False, False)
    assert [each["kind"] for each in state["waiting_for"]] == ["in_flight", "hold"]
    in_flight, held = (each["text"] for each in state["waiting_for"])
    delivery = Attempt.objects.first()
    assert in_flight.startswith("Attempt 1 of delivery ") and in_flight.endswith(" is in flight.")
    assert held.startswith(f"{hold.id} (test) is held")
    assert delivery is None or delivery.number == 1


def test_clock_says_how_far_ahead_it_is(by: Caller) -> None:
    assert by.get("/sandbox/clock").json["offset"] == pytest.approx(0, abs=0.5)
    assert clock_control.ahead(clock.now()) == ""
    by.post("/sandbox/clock/advance", {"by": "P3DT4H"})
    state = by.get("/sandbox/clock").json
    assert state["offset"] == pytest.approx((3 * 24 + 4) * 3600, abs=5)
    assert state["settled"] is True and state["waiting_for"] == []
    assert clock_control.ahead(clock.now()) == "Platform time is 3 d 4 h ahead of real time."


def test_reading_the_clock_moves_nothing(by: Caller) -> None:
    with moves.Move.begin("wait") as move:
        rows = Clock.objects.values()[0]
        state = by.get("/sandbox/clock").json
        assert (state["moving"], state["frozen"]) == (True, True)
        assert state["now"] == timeline.format_time(move.now)
        assert Clock.objects.values()[0] == rows
    assert not TimelineEntry.objects.exists()


def test_portal_says_how_far_ahead_time_is(platform: make.Catalog, by: Caller) -> None:
    browser = signed_in(platform.vendor_user)
    assert "3 d ahead" not in html.get(browser, "/")
    by.post("/sandbox/clock/advance", {"by": "3d"})
    for path in ("/", "/webhooks/"):
        assert "3 d ahead" in html.get(browser, path).one("#bar-state")


# `Date` of responses.


def test_api_has_platform_time_in_its_date(by: Caller) -> None:
    clock_control.advance(timedelta(days=40))
    for path, status in (("/requests", 200), ("/requests/PR-1", 404), ("/nowhere", 404)):
        response = by.get(path)
        assert response.status == status
        shown = datetime.strptime(response.headers["Date"], "%a, %d %b %Y %H:%M:%S GMT")
        assert abs(shown.replace(tzinfo=UTC) - clock.now()) < 5 * S
    assert "Date" in Caller(None).get("/requests").headers
    assert "Date" not in by.get("/sandbox/clock").headers
    headers = {"authorization": f"ApiKey {by.key}"}
    assert "Date" not in by.client.get("/public/v10/requests", headers=headers).headers


def test_date_is_that_of_a_move_that_another_connection_has_committed(by: Caller) -> None:
    Clock.objects.create(pk=1)

    def freeze(moment: datetime) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE requests_queue_clock SET frozen_at = %s", [sql.datetime_param(moment)]
            )

    for day in (1, 2):
        moment = datetime(2040, 1, day, tzinfo=UTC)
        # As another process would: only the database knows of it.
        Background(partial(freeze, moment)).result()
        assert by.get("/requests").headers["Date"] == http_date(moment.timestamp())


# Settle times.


@pytest.fixture
def responded(platform: make.Catalog) -> Webhook:
    return make.webhook(platform, "http://127.0.0.1:9000/")


def respond(hook: Webhook, *, ago: float = 0, outcome: str = "success", **data: Any) -> None:
    """Write the end of an attempt to the timeline, some seconds ago."""
    number = TimelineEntry.objects.count() + 1
    data = {"url": hook.external_url, "type": hook.type, "outcome": outcome, **data}
    at = datetime.now(UTC) - timedelta(seconds=ago)
    timeline.append(
        [Entry("attempt_finished", clock.now(), hook.pk, number, 1, None, data, real_at=at)]
    )


def call(hook: Webhook, *, ago: float = 0) -> None:
    """Write an API call of the last attempt's handler to the timeline."""
    last = TimelineEntry.objects.filter(kind="attempt_finished").latest("pk")
    at = datetime.now(UTC) - timedelta(seconds=ago)
    data = {"actor": "handler", "duration": 1.0}
    timeline.append(
        [Entry("api_call", clock.now(), hook.pk, last.delivery_id, 1, None, data, real_at=at)]
    )


def kinds() -> list[str]:
    return [each.kind for each in settling.waiting_for(clock.now())]


def test_settle_time_passes_after_a_response(responded: Webhook) -> None:
    assert kinds() == []
    respond(responded, ago=1.1)
    assert kinds() == []
    respond(responded)
    [left] = settling.waiting_for(clock.now())
    assert left.kind == "settle_time" and 0.5 < left.seconds <= 1
    assert left.text.startswith("http://127.0.0.1:9000/ may still act on its last request: ")
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=1)):
        # By the monotonic clock.
        assert kinds() == ["settle_time"]
    respond(responded, ago=-3600)
    assert settling.waiting_for(clock.now())[0].seconds <= 1


def test_failed_attempts_and_validators_need_no_settle_time(responded: Webhook) -> None:
    respond(responded, outcome="failure")
    respond(responded, outcome="unknown")
    respond(responded, type="validator")
    assert kinds() == []


def test_settle_time_is_learned_from_api_calls(responded: Webhook, by: Caller) -> None:
    respond(responded, ago=20.4)
    call(responded, ago=20)
    [row] = by.get("/sandbox/settle").json
    assert (row["url"], row["source"]) == (responded.external_url, "learned")
    assert 700 < row["ms"] < 850
    # Another webhook of the same URL.
    call(responded, ago=1.5)
    assert kinds() == []
    call(responded, ago=0.1)
    assert kinds() == ["settle_time"]


def test_new_process_learns_from_the_newest_entries(
    responded: Webhook, by: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    settling.fix("http://127.0.0.1:1/", 120)
    respond(responded, ago=20.4)
    call(responded, ago=20)
    before = by.get("/sandbox/settle").json
    settling.forget()
    assert by.get("/sandbox/settle").json == before
    # What was fixed is kept, however long ago that was.
    monkeypatch.setattr(settling, "NEWEST", 1)
    settling.forget()
    assert [row["source"] for row in by.get("/sandbox/settle").json] == ["fixed"]


def test_settle_time_is_fixed_and_learned_again(responded: Webhook, by: Caller) -> None:
    url = responded.external_url
    respond(responded, ago=20.4)
    call(responded, ago=20)
    response = by.post("/sandbox/settle", {"url": url, "ms": 300})
    assert (response.status, response.json) == (200, {"url": url, "ms": 300, "source": "fixed"})
    assert settling.settle_time(url).seconds == 0.3
    response = by.post("/sandbox/settle", {"url": url, "ms": None})
    assert response.json == {"url": url, "ms": 1000, "source": "default"}
    assert by.get("/sandbox/settle").json == []


def test_argument_and_setting_replace_what_was_learned(
    responded: Webhook, by: Caller, settings: Any
) -> None:
    respond(responded)
    assert settling.waiting_for(clock.now(), settle=0.0) == []
    assert settling.waiting_for(clock.now(), settle=5.0)[0].seconds > 4
    settings.SIM_SETTLE_TIME = 0.0
    assert kinds() == []
    settings.SIM_SETTLE_TIME = 3.0
    assert settling.waiting_for(clock.now())[0].seconds > 2
    settling.fix(responded.external_url, 0)
    assert kinds() == []


def test_move_waits_for_the_settle_time_and_no_longer(responded: Webhook) -> None:
    settling.fix(responded.external_url, 400)
    respond(responded)
    began = time.monotonic()
    clock_control.advance(timedelta(hours=1))
    assert 0.3 < time.monotonic() - began < 5


def test_dead_handler_needs_no_settle_time(
    engine: Engine, platform: make.Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[str] = []
    look = settling.waiting_for

    def spy(*args: Any, **options: Any) -> list[settling.Unsettled]:
        left = look(*args, **options)
        waits.extend(each.kind for each in left)
        return left

    monkeypatch.setattr(settling, "waiting_for", spy)
    with handler(500) as served:
        make.webhook(platform, served.url)
        order(platform)
        clock_control.run_until_idle()
    assert "in_flight" in waits and "settle_time" not in waits


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"ms": 5}, "url"),
        ({"url": "", "ms": 5}, "url"),
        ({"url": 5, "ms": 5}, "url"),
        ({"url": "http://x/"}, "ms"),
        ({"url": "http://x/", "ms": -1}, "ms"),
        ({"url": "http://x/", "ms": 60001}, "ms"),
        ({"url": "http://x/", "ms": "5"}, "ms"),
        ({"url": "http://x/", "ms": True}, "ms"),
    ],
)
def test_invalid_settle_time_is_refused(by: Caller, body: Any, field: str) -> None:
    response = by.post("/sandbox/settle", body)
    assert response.status == 400
    assert response.json["errors"][0].startswith(f"{field}: ")
    assert not TimelineEntry.objects.exists()


def test_move_is_woken_by_the_timeline(
    engine: Engine, platform: make.Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Waits that nothing ends would take far longer than the test may.
    again = dict.fromkeys(settling._AGAIN, 60.0)
    monkeypatch.setattr(settling, "_AGAIN", again)
    woken: list[bool] = []

    def wait(seen: int, seconds: float) -> None:
        woken.append(notification.wait(seen, seconds) != seen)

    monkeypatch.setattr(moves, "_wait", wait)
    seen: list[ReceivedRequest] = []

    def fail(request: ReceivedRequest) -> int:
        seen.append(request)
        return 500

    with handler(fail) as served:
        make.webhook(platform, served.url)
        order(platform)
        clock_control.run_until_idle(patience=60)
    assert len(seen) == 10 and all(woken)
