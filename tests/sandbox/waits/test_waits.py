"""`/sandbox/wait` with real deliveries: each condition, skipping, and what a 408 says."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections, transaction

from requests_queue import clock
from requests_queue.queues import transitions
from requests_queue.queues.fulfillment import creation
from requests_queue.queues.fulfillment.models import Request
from sandbox.clock import moves, settling
from sandbox.models import TimelineEntry
from sandbox.timeline import timeline
from sandbox.waits import wait_responses, waiting
from tests import make
from tests.api import Caller, Response
from tests.background import threads
from tests.engines import running, until
from tests.handlers import handler
from tests.sandbox.calling import catalog, client
from webhooks.delivery import engine, wakeup
from webhooks.delivery.engine import Engine
from webhooks.models import Attempt, Webhook

__all__ = ["catalog", "client"]

pytestmark = pytest.mark.django_db(transaction=True)

S = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def no_wait_remains() -> Iterator[None]:
    """Fail a test whose waits or threads remain."""
    settling.forget()
    yield
    until(
        lambda: not waiting.waits.undecided() and not threads() & {"observer", "wait-mover"},
        "no thread waits",
    )
    assert not moves.clock_state().moving


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """An engine that wake-ups reach, as in a sandbox with one process."""
    with running() as [started]:
        monkeypatch.setattr(wakeup, "send", started.wake)
        monkeypatch.setattr(engine, "wake", started.wake)
        yield started


def wait(client: Caller, until: Any, **values: Any) -> Response:
    return client.post("/sandbox/wait", {"until": until, **values})


def satisfied(client: Caller, until: Any, **values: Any) -> Any:
    response = wait(client, until, **values)
    assert response.status == 200, response.json
    return response.json


def refused(client: Caller, until: Any, **values: Any) -> Any:
    response = wait(client, until, **values)
    assert response.status == 408, response.json
    assert response.json["error_code"] == "WAIT_001"
    return response.json


def now(client: Caller) -> str:
    return str(client.get("/sandbox/cursor").json["cursor"])


class Background:
    """A wait in a thread, which has its own client."""

    def __init__(self, client: Caller, until: Any, **values: Any) -> None:
        self._client = Caller(client.key)
        self._arguments = (until, values)
        self._response: Response | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> Background:
        before = len(waiting.waits.undecided())
        self._thread.start()
        _until_waiting(before + 1)
        return self

    def result(self) -> Response:
        self._thread.join(20)
        assert self._response is not None
        return self._response

    def _run(self) -> None:
        try:
            until, values = self._arguments
            self._response = wait(self._client, until, **{"timeout": 15, **values})
        finally:
            connections.close_all()


def _until_waiting(count: int) -> None:
    until(lambda: len(waiting.waits.undecided()) >= count, "it waits")


def in_background(client: Caller, until: Any, **values: Any) -> Background:
    return Background(client, until, **values).start()


# Conditions


def test_delivered_is_true_at_once_with_its_attempt_as_evidence(
    client: Caller, catalog: make.Catalog, worker: Engine
) -> None:
    with handler() as served:
        hook = make.webhook(catalog, served.url)
        start = now(client)
        pk = make.order(catalog).pk
        answer = satisfied(client, {"delivered": {"object": pk}}, since=start)
        again = satisfied(client, {"delivered": {"webhook": hook.pk}}, timeout=0)
    [entry] = answer["evidence"]
    assert (entry["kind"], entry["webhook"], entry["object"]) == ("attempt_finished", hook.pk, pk)
    assert again["evidence"] == [entry]
    assert int(answer["cursor"].split(".")[1]) >= int(entry["cursor"].split(".")[1])


def test_delivered_is_woken_by_the_delivery(
    client: Caller, catalog: make.Catalog, worker: Engine
) -> None:
    with handler() as served:
        hook = make.webhook(catalog, served.url)
        waiting_ = in_background(client, {"delivered": {"webhook": hook.pk}})
        make.order(catalog)
        response = waiting_.result()
    assert response.status == 200
    assert response.json["evidence"][0]["data"]["outcome"] == "success"


def test_failed(client: Caller, catalog: make.Catalog, worker: Engine) -> None:
    with handler(500) as served:
        make.webhook(catalog, served.url)
        pk = make.order(catalog).pk
        answer = satisfied(client, {"failed": {"object": pk}})
    assert answer["evidence"][0]["data"]["status"] == 500


def test_called_a_number_of_times(client: Caller, catalog: make.Catalog, worker: Engine) -> None:
    with handler() as served:
        hook = make.webhook(catalog, served.url)
        for _ in range(2):
            make.order(catalog)
        about = {"webhook": hook.pk}
        answer = satisfied(client, {"called": {**about, "times": 2}})
        assert len(answer["evidence"]) == 2
        satisfied(client, {"all": [{"called": {**about, "at_most": 2}}, {"idle": True}]})
        failed = refused(client, {"called": {**about, "at_most": 1}}, timeout=600)
    assert failed["stopped_because"] == "impossible"
    assert failed["near_misses"][0]["differs"] == [
        {"field": "calls", "expected": "at most 1 call", "actual": "2 calls"}
    ]


def test_status(client: Caller, catalog: make.Catalog) -> None:
    pk = make.order(catalog).pk
    until_ = {"status": {"object": pk, "is": "approved"}}
    waiting_ = in_background(client, until_)
    body = {"template_id": catalog.template.pk}
    transitions.move(Request, pk, "approve", catalog.as_vendor, body)
    response = waiting_.result()
    assert response.status == 200, response.json
    assert response.json["present"]["statuses"] == {pk: "approved"}
    assert response.json["evidence"][0]["data"]["to"] == "approved"
    # True already: nothing has to be written.
    assert satisfied(client, until_, since=now(client), timeout=0)["evidence"] == []


def test_status_reads_the_changes_of_its_object_only(
    client: Caller, catalog: make.Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    pk, start = make.order(catalog).pk, now(client)
    body = {"template_id": catalog.template.pk}
    transitions.move(Request, pk, "approve", catalog.as_vendor, body)
    read: list[str | None] = []
    represent = timeline.represent

    def noting(entry: TimelineEntry) -> dict[str, Any]:
        read.append(entry.object_id)
        return represent(entry)

    monkeypatch.setattr(timeline, "represent", noting)
    for other in [make.order(catalog).pk for _ in range(3)]:
        transitions.move(Request, other, "fail", catalog.as_vendor, {"reason": "Out of stock."})
    until_ = {"any": [{"status": {"object": pk, "is": "approved"}}, {"idle": True}]}
    response = satisfied(client, until_, since=start)
    assert [entry["object"] for entry in response["evidence"]] == [pk]
    assert set(read) == {pk}


def test_status_of_a_subscription(client: Caller, catalog: make.Catalog) -> None:
    asset = make.order(catalog).asset
    assert asset is not None
    satisfied(client, {"status": {"object": asset.pk, "is": asset.status}}, timeout=0)


def test_idle(client: Caller, catalog: make.Catalog, worker: Engine) -> None:
    satisfied(client, {"idle": True}, timeout=0)
    with handler(None) as served:
        make.webhook(catalog, served.url)
        make.order(catalog)
        served.next()
        failed = refused(client, {"idle": True}, timeout=0.2)
        assert failed["waiting_for"] == ["an idle sandbox"]
        assert [each["kind"] for each in failed["unsettled"]] == ["in_flight"]
        waiting_ = in_background(client, {"idle": True})
        served.release.set()
        assert waiting_.result().status == 200


def test_idle_waits_for_retries(client: Caller, catalog: make.Catalog, worker: Engine) -> None:
    with handler(500) as served:
        make.webhook(catalog, served.url)
        make.order(catalog)
        satisfied(client, {"failed": {"webhook": Webhook.objects.get().pk}})
        refused(client, {"idle": True}, timeout=0.2)
        satisfied(client, {"idle": True}, skip=True)
        assert Webhook.objects.get().out_of_order


def test_out_of_order(client: Caller, catalog: make.Catalog, worker: Engine) -> None:
    with handler(500) as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog)
        answer = satisfied(client, {"out_of_order": hook.pk}, skip=True)
    assert answer["evidence"][0]["attempt"] == 10
    assert answer["present"]["out_of_order"] == {hook.pk: True}


def test_all_and_any(client: Caller, catalog: make.Catalog, worker: Engine) -> None:
    with handler() as served:
        hook = make.webhook(catalog, served.url)
        first, second = make.order(catalog).pk, make.order(catalog).pk
        both = [{"delivered": {"object": pk}} for pk in (first, second)]
        assert len(satisfied(client, {"all": both})["evidence"]) == 2
        nothing = {"failed": {"webhook": hook.pk}}
        assert len(satisfied(client, {"any": [nothing, both[0]]})["evidence"]) == 1
        failed = refused(client, {"all": [*both, nothing]}, timeout=0.1)
    assert failed["waiting_for"] == [f"a failed attempt of {hook.pk}"]


# Never


def test_never_is_true_at_the_exact_end_of_the_span(
    client: Caller, catalog: make.Catalog, worker: Engine
) -> None:
    with handler(500) as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog)
        satisfied(client, {"failed": {"webhook": hook.pk}})
        before = clock.now()
        never = {"never": {"delivered": {"webhook": hook.pk}}}
        satisfied(client, never, skip=True, within="1h")
        assert 3600 * S <= clock.now() - before < 3610 * S
        assert Attempt.objects.count() == 4


def test_never_fails_with_what_happened(
    client: Caller, catalog: make.Catalog, worker: Engine
) -> None:
    with handler(500) as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog)
        satisfied(client, {"failed": {"webhook": hook.pk}})
        before = clock.now()
        never = {"never": {"called": {"webhook": hook.pk, "at_least": 2}}}
        failed = refused(client, never, skip=True, within="1d")
        # It stopped at the second call after the cursor.
        assert clock.now() - before < 920 * S
    assert failed["stopped_because"] == "impossible"
    assert [miss["attempt"] for miss in failed["near_misses"]] == [3, 2]
    assert failed["near_misses"][0]["differs"][0]["field"] == "never"


def test_never_without_skip_ends_when_somebody_moves_the_clock(
    client: Caller, catalog: make.Catalog
) -> None:
    never = {"never": {"called": {"webhook": "WH-1"}}}
    waiting_ = in_background(client, never, within="5m")
    moves.advance(timedelta(minutes=6))
    assert waiting_.result().status == 200


def test_never_needs_a_span(client: Caller) -> None:
    response = wait(client, {"any": [{"never": {"idle": True}}]})
    assert response.status == 400
    assert response.json["errors"][0].startswith("within:")


def test_entries_after_the_span_do_not_count(
    client: Caller, catalog: make.Catalog, worker: Engine
) -> None:
    with handler(500) as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog)
        satisfied(client, {"failed": {"webhook": hook.pk}})
        waiting_ = in_background(
            client, {"called": {"webhook": hook.pk}}, since=now(client), within="1m"
        )
        moves.advance(timedelta(minutes=10))
        response = waiting_.result()
    assert (response.status, response.json["stopped_because"]) == (408, "within")


# Skipping


def test_skip_runs_to_the_third_retry_and_no_further(
    client: Caller, catalog: make.Catalog, worker: Engine
) -> None:
    with handler(500) as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog)
        answer = satisfied(client, {"called": {"webhook": hook.pk, "times": 4}}, skip=True)
        assert len(served.received) == 4
        attempts = list(Attempt.objects.order_by("number"))
        assert attempts[-1].started_at - attempts[0].finished_at >= 2100 * S
        assert answer["evidence"][-1]["attempt"] == 4
        # The clock runs again before the answer: it may be moved at once.
        assert client.post("/sandbox/clock/advance", {"by": "1s"}).status == 200
        assert len(served.received) == 4


def test_skip_ends_when_nothing_is_left_to_run(
    client: Caller, catalog: make.Catalog, worker: Engine
) -> None:
    with handler() as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog)
        failed = refused(client, {"failed": {"webhook": hook.pk}}, skip=True, timeout=60)
    assert failed["stopped_because"] == "idle"
    assert failed["near_misses"][0]["differs"] == [
        {"field": "outcome", "expected": "failed", "actual": "delivered"}
    ]


def test_skip_stops_at_the_end_of_its_span(client: Caller, catalog: make.Catalog) -> None:
    before = clock.now()
    failed = refused(client, {"called": {"webhook": "WH-1"}}, skip=True, within="2h")
    assert failed["stopped_because"] == "within"
    assert 7200 * S <= clock.now() - before < 7210 * S


def test_skip_waits_for_a_handler_that_works(
    client: Caller, catalog: make.Catalog, worker: Engine
) -> None:
    with handler(None) as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog)
        before = clock.now()
        waiting_ = in_background(client, {"delivered": {"webhook": hook.pk}}, skip=True)
        served.next()
        assert clock.now() - before < 60 * S
        served.release.set()
        assert waiting_.result().status == 200
        assert clock.now() - before < 60 * S


def test_timeout_ends_a_skipping_wait(
    client: Caller, catalog: make.Catalog, worker: Engine
) -> None:
    with handler(None) as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog)
        served.next()
        failed = refused(client, {"failed": {"webhook": hook.pk}}, skip=True, timeout=0.3)
        assert failed["stopped_because"] == "timeout"
        assert failed["near_misses"][0]["differs"][0]["actual"] == "in flight"
        served.release.set()
        satisfied(client, {"delivered": {"webhook": hook.pk}})


def test_two_skipping_waits_share_one_mover(
    client: Caller, catalog: make.Catalog, worker: Engine
) -> None:
    with handler(None) as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog)
        served.next()
        second = in_background(client, {"called": {"webhook": hook.pk, "times": 2}}, skip=True)
        third = in_background(client, {"called": {"webhook": hook.pk, "times": 3}}, skip=True)
        assert sum(thread.name == "wait-mover" for thread in threading.enumerate()) == 1
        served.respond = lambda request: 500
        served.release.set()
        results = [second.result(), third.result()]
    # The first response is 200, so there is no second attempt.
    assert {response.json.get("stopped_because") for response in results} == {"idle"}


def test_each_skipping_wait_is_answered_at_its_own_moment(
    client: Caller, catalog: make.Catalog, worker: Engine
) -> None:
    may_fail = threading.Event()

    def respond(request: Any) -> int:
        may_fail.wait(10)
        return 500

    with handler(respond) as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog)
        served.next()
        waits = [
            in_background(client, {"called": {"webhook": hook.pk, "times": n}}, skip=True)
            for n in (2, 4)
        ]
        short = in_background(
            client,
            {"never": {"called": {"webhook": hook.pk, "times": 3}}},
            skip=True,
            within="10m",
        )
        may_fail.set()
        second, fourth = (each.result() for each in waits)
        assert short.result().status == 200
    assert [r.status for r in (second, fourth)] == [200, 200]
    assert [len(r.json["evidence"]) for r in (second, fourth)] == [2, 4]
    assert Attempt.objects.count() == 4


def test_skip_waits_until_another_move_has_ended(
    client: Caller, catalog: make.Catalog, worker: Engine
) -> None:
    with handler(500) as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog)
        satisfied(client, {"failed": {"webhook": hook.pk}})
        with moves.Move.begin("advance"):
            until_ = {"called": {"webhook": hook.pk, "at_least": 2}}
            waiting_ = in_background(client, until_, skip=True)
            assert len(served.received) == 1
        assert waiting_.result().status == 200


# Timeouts and near misses


def test_timeout_says_what_happened_instead(
    client: Caller, catalog: make.Catalog, worker: Engine
) -> None:
    other = make.catalog("2")
    responses = iter([500, 200])
    with handler(lambda request: next(responses)) as failing, handler() as served:
        hook = make.webhook(catalog, failing.url)
        elsewhere = make.webhook(other, served.url, 2)
        start = now(client)
        pk = make.order(catalog).pk
        creation.create(make.purchase(other), other.as_distributor)
        satisfied(client, {"delivered": {"webhook": elsewhere.pk}})
        satisfied(client, {"failed": {"webhook": hook.pk}})
        moves.advance(timedelta(minutes=6))
        until_ = {"delivered": {"webhook": hook.pk, "object": pk, "attempts_at_most": 1}}
        failed = refused(client, until_, since=start, timeout=0.05)
    assert failed["stopped_because"] == "timeout"
    assert failed["waiting_for"] == [f"a delivery to {hook.pk} for {pk} in at most 1 attempt"]
    points = [
        (miss["webhook"], miss["attempt"], [each["field"] for each in miss["differs"]])
        for miss in failed["near_misses"]
    ]
    assert points == [
        (hook.pk, 2, ["attempt"]),
        (hook.pk, 1, ["outcome"]),
        (elsewhere.pk, 1, ["webhook", "object"]),
    ]
    kinds = [entry["kind"] for entry in failed["timeline"]]
    assert kinds[:2] == ["change", "event"]
    assert failed["timeline_left_out"] == 0
    assert failed["errors"] == [f"Not true after 50 ms of real time: {failed['waiting_for'][0]}."]


def test_cursor_that_was_taken_too_late_is_a_near_miss(
    client: Caller, catalog: make.Catalog, worker: Engine
) -> None:
    with handler() as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog)
        satisfied(client, {"delivered": {"webhook": hook.pk}})
        failed = refused(client, {"delivered": {"webhook": hook.pk}}, since=now(client), timeout=0)
    assert failed["near_misses"][0]["differs"] == [
        {"field": "since", "expected": "after the cursor", "actual": "before it"}
    ]


def test_timeline_of_a_408_is_bounded(
    client: Caller, catalog: make.Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = now(client)
    for _ in range(3):
        make.order(catalog)
    monkeypatch.setattr(wait_responses, "SHOWN", 2)
    failed = refused(client, {"called": {"webhook": "WH-1"}}, since=start, timeout=0)
    assert len(failed["timeline"]) == 2
    assert failed["timeline_left_out"] == 1


def test_wait_reads_a_long_timeline_in_parts(
    client: Caller, catalog: make.Catalog, worker: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_BATCH", 2)
    with handler() as served:
        hook = make.webhook(catalog, served.url)
        for _ in range(5):
            make.order(catalog)
        waiting_ = in_background(client, {"called": {"webhook": hook.pk, "times": 8}})
        for _ in range(3):
            make.order(catalog)
        assert waiting_.result().status == 200
        satisfied(client, {"called": {"webhook": hook.pk, "times": 8}}, timeout=0)


def test_reset_ends_waits(client: Caller, catalog: make.Catalog, worker: Engine) -> None:
    with handler(500) as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog)
        satisfied(client, {"failed": {"webhook": hook.pk}})
        start = now(client)
        waits = [
            in_background(client, {"delivered": {"webhook": hook.pk}}),
            in_background(client, {"never": {"delivered": {"webhook": hook.pk}}}, within="9d"),
        ]
        with transaction.atomic():
            timeline.append([timeline.Entry(timeline.RESET, clock.now())])
        for each in waits:
            response = each.result()
            assert (response.status, response.json["stopped_because"]) == (408, "reset")
        # A cursor from before the reset stays valid, and without one the reset is the beginning.
        satisfied(client, {"called": {"webhook": hook.pk, "times": 1}}, since="0.0", timeout=0)
        refused(client, {"called": {"webhook": hook.pk}}, timeout=0)
        refused(client, {"called": {"webhook": hook.pk}}, since=start, timeout=0)


# Limits and errors


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "until"), ({"until": {"x": 1}}, "until"), ({"until": {"idle": 1}}, "until.idle"),
        ({"until": {"idle": True}, "x": 1}, "x"),
        ({"until": {"idle": True}, "since": "x"}, "since"),
        ({"until": {"idle": True}, "since": 7}, "since"),
        ({"until": {"idle": True}, "timeout": -1}, "timeout"),
        ({"until": {"idle": True}, "timeout": 601}, "timeout"),
        ({"until": {"idle": True}, "timeout": "soon"}, "timeout"),
        ({"until": {"idle": True}, "timeout": True}, "timeout"),
        ({"until": {"idle": True}, "skip": "yes"}, "skip"),
        ({"until": {"idle": True}, "within": "x"}, "within"),
        ({"until": {"idle": True}, "within": "0s"}, "within"),
        ({"until": {"idle": True}, "within": 5}, "within"),
    ],
)  # fmt: skip
def test_invalid_body_returns_400(client: Caller, body: Any, path: str) -> None:
    response = client.post("/sandbox/wait", body)
    assert response.status == 400, response
    assert response.json["error_code"] == "VAL_001"
    assert response.json["errors"][0].startswith(f"{path}:")


@pytest.mark.parametrize("body", [b"[]", b"1", b"x", b""])
def test_body_must_be_an_object(client: Caller, body: bytes) -> None:
    assert client.post("/sandbox/wait", body).status == 400


def test_api_key_is_required(catalog: make.Catalog) -> None:
    assert wait(Caller(None), {"idle": True}).status == 401
