"""`/sandbox/wait` with real deliveries: each condition, skipping, and what a 408 says."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from requests_queue import clock
from requests_queue.queues import transitions
from requests_queue.queues.fulfillment.models import Request
from sandbox.clock import moves
from sandbox.models import TimelineEntry
from sandbox.timeline import timeline
from sandbox.waits import wait_responses, waiting
from tests import make
from tests.api import Caller, Response
from tests.background import Background
from tests.engines import until
from tests.handlers import Handler, handler
from tests.sandbox.calling import catalog, client, hook, served
from webhooks.delivery.engine import Engine
from webhooks.models import Attempt, Webhook

__all__ = ["catalog", "client", "hook", "served"]

pytestmark = pytest.mark.django_db(transaction=True)

S = timedelta(seconds=1)


@pytest.fixture
def failed(
    client: Caller, catalog: make.Catalog, engine: Engine, hook: Webhook, served: Handler
) -> Webhook:
    """A webhook whose handler fails, after the first attempt about an order."""
    served.respond = lambda request: 500
    make.order(catalog)
    satisfied(client, {"failed": {"webhook": hook.pk}})
    return hook


@pytest.fixture
def hanging(catalog: make.Catalog, engine: Engine, hook: Webhook, served: Handler) -> Webhook:
    """A webhook whose handler responds to a request about an order, and to later ones, only after
    its `release`."""
    served.respond = lambda request: None
    make.order(catalog)
    served.next()
    return hook


def wait(client: Caller, until_: Any, **values: Any) -> Response:
    return client.post("/sandbox/wait", {"until": until_, **values})


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


def in_background(client: Caller, until_: Any, **values: Any) -> Background:
    """Begin a wait in a thread, which has its own client."""
    before = len(waiting.waits.undecided())
    client = Caller(client.key)
    begun = Background(lambda: wait(client, until_, **{"timeout": 15, **values}))
    until(lambda: len(waiting.waits.undecided()) > before, "it waits")
    return begun


# Conditions


def test_delivered_is_true_at_once_with_its_attempt_as_evidence(
    client: Caller, catalog: make.Catalog, engine: Engine, hook: Webhook
) -> None:
    start = now(client)
    pk = make.order(catalog).pk
    answer = satisfied(client, {"delivered": {"object": pk}}, since=start)
    again = satisfied(client, {"delivered": {"webhook": hook.pk}}, timeout=0)
    [entry] = answer["evidence"]
    assert (entry["kind"], entry["webhook"], entry["object"]) == ("attempt_finished", hook.pk, pk)
    assert again["evidence"] == [entry]
    assert int(answer["cursor"].split(".")[1]) >= int(entry["cursor"].split(".")[1])


def test_delivered_is_woken_by_the_delivery(
    client: Caller, catalog: make.Catalog, engine: Engine, hook: Webhook
) -> None:
    begun = in_background(client, {"delivered": {"webhook": hook.pk}})
    make.order(catalog)
    response = begun.result()
    assert response.status == 200
    assert response.json["evidence"][0]["data"]["outcome"] == "success"


def test_called_a_number_of_times(
    client: Caller, catalog: make.Catalog, engine: Engine, hook: Webhook
) -> None:
    make.order(catalog, times=2)
    about = {"webhook": hook.pk}
    answer = satisfied(client, {"called": {**about, "times": 2}})
    assert len(answer["evidence"]) == 2
    satisfied(client, {"all": [{"called": {**about, "at_most": 2}}, {"idle": True}]})
    unmet = refused(client, {"called": {**about, "at_most": 1}}, timeout=600)
    assert unmet["stopped_because"] == "impossible"
    assert unmet["near_misses"][0]["differs"] == [
        {"field": "calls", "expected": "at most 1 call", "actual": "2 calls"}
    ]


def test_status(client: Caller, catalog: make.Catalog) -> None:
    pk = make.order(catalog).pk
    until_ = {"status": {"object": pk, "is": "approved"}}
    begun = in_background(client, until_)
    body = {"template_id": catalog.template.pk}
    transitions.move(Request, pk, "approve", catalog.as_vendor, body)
    response = begun.result()
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


def test_idle(client: Caller, hanging: Webhook, served: Handler) -> None:
    unmet = refused(client, {"idle": True}, timeout=0.2)
    assert unmet["waiting_for"] == ["an idle sandbox"]
    assert [each["kind"] for each in unmet["unsettled"]] == ["in_flight"]
    begun = in_background(client, {"idle": True})
    served.release.set()
    assert begun.result().status == 200
    satisfied(client, {"idle": True}, timeout=0)


def test_idle_waits_for_retries(client: Caller, failed: Webhook) -> None:
    refused(client, {"idle": True}, timeout=0.2)
    satisfied(client, {"idle": True}, skip=True)
    answer = satisfied(client, {"out_of_order": failed.pk}, timeout=0)
    assert answer["present"]["out_of_order"] == {failed.pk: True}


def test_out_of_order(client: Caller, failed: Webhook) -> None:
    answer = satisfied(client, {"out_of_order": failed.pk}, skip=True)
    assert answer["evidence"][0]["attempt"] == 10


# Never


def test_never_is_true_at_the_exact_end_of_the_span(client: Caller, failed: Webhook) -> None:
    before = clock.now()
    never = {"never": {"delivered": {"webhook": failed.pk}}}
    satisfied(client, never, skip=True, within="1h")
    assert 3600 * S <= clock.now() - before < 3610 * S
    assert Attempt.objects.count() == 4


def test_never_fails_with_what_happened(client: Caller, failed: Webhook) -> None:
    before = clock.now()
    never = {"never": {"called": {"webhook": failed.pk, "at_least": 2}}}
    unmet = refused(client, never, skip=True, within="1d")
    # It stopped at the second call after the cursor.
    assert clock.now() - before < 920 * S
    assert unmet["stopped_because"] == "impossible"
    assert [miss["attempt"] for miss in unmet["near_misses"]] == [3, 2]
    point = unmet["near_misses"][0]["differs"][0]
    assert (point["field"], point["expected"]) == ("happened", "never")


def test_never_without_skip_ends_when_somebody_moves_the_clock(
    client: Caller, hook: Webhook
) -> None:
    never = {"never": {"called": {"webhook": hook.pk}}}
    begun = in_background(client, never, within="5m")
    moves.advance(timedelta(minutes=6))
    assert begun.result().status == 200


def test_never_needs_a_span(client: Caller) -> None:
    response = wait(client, {"any": [{"never": {"idle": True}}]})
    assert response.status == 400
    assert response.json["errors"][0].startswith("within:")


def test_entries_after_the_span_do_not_count(client: Caller, failed: Webhook) -> None:
    called = {"called": {"webhook": failed.pk}}
    begun = in_background(client, called, since=now(client), within="1m")
    moves.advance(timedelta(minutes=10))
    response = begun.result()
    assert (response.status, response.json["stopped_because"]) == (408, "within")


# Skipping


def test_skip_runs_to_the_third_retry_and_no_further(
    client: Caller, failed: Webhook, served: Handler
) -> None:
    called = {"called": {"webhook": failed.pk, "times": 4}}
    answer = satisfied(client, called, skip=True)
    assert len(served.received) == 4
    attempts = list(Attempt.objects.order_by("number"))
    assert attempts[-1].started_at - attempts[0].finished_at >= 2100 * S
    assert answer["evidence"][-1]["attempt"] == 4
    # The clock runs again before the answer: it may be moved at once.
    assert client.post("/sandbox/clock/advance", {"by": "1s"}).status == 200
    assert len(served.received) == 4


def test_skip_ends_when_nothing_is_left_to_run(
    client: Caller, catalog: make.Catalog, engine: Engine, hook: Webhook, settings: Any
) -> None:
    settings.SIM_SETTLE_TIME = 0
    make.order(catalog)
    unmet = refused(client, {"failed": {"webhook": hook.pk}}, skip=True, timeout=60)
    assert unmet["stopped_because"] == "idle"
    assert unmet["near_misses"][0]["differs"] == [
        {"field": "outcome", "expected": "failed", "actual": "delivered"}
    ]


def test_skip_does_not_end_while_a_handler_may_act(client: Caller, hook: Webhook) -> None:
    """A handler that polls, and a hold that a move has given up to wait for."""
    failed = {"failed": {"webhook": hook.pk}}
    hold = client.post("/sandbox/holds", {"ttl": 30}).json["id"]
    assert refused(client, failed, skip=True, timeout=0.3)["stopped_because"] == "timeout"
    client.delete(f"/sandbox/holds/{hold}")
    assert refused(client, failed, skip=True)["stopped_because"] == "idle"
    data = {"actor": "handler", "duration": 1.0}
    timeline.append([timeline.Entry(timeline.API_CALL, clock.now(), data=data)])
    assert refused(client, failed, skip=True, timeout=0.3)["stopped_because"] == "timeout"


def test_skip_stops_at_the_end_of_its_span(client: Caller, hook: Webhook) -> None:
    before = clock.now()
    unmet = refused(client, {"called": {"webhook": hook.pk}}, skip=True, within="2h")
    assert unmet["stopped_because"] == "within"
    assert 7200 * S <= clock.now() - before < 7210 * S


def test_skip_waits_for_a_handler_that_works(
    client: Caller, hanging: Webhook, served: Handler
) -> None:
    before = clock.now()
    begun = in_background(client, {"delivered": {"webhook": hanging.pk}}, skip=True)
    assert clock.now() - before < 60 * S
    served.release.set()
    assert begun.result().status == 200
    assert clock.now() - before < 60 * S


def test_timeout_ends_a_skipping_wait(client: Caller, hanging: Webhook, served: Handler) -> None:
    unmet = refused(client, {"failed": {"webhook": hanging.pk}}, skip=True, timeout=0.3)
    assert unmet["stopped_because"] == "timeout"
    assert unmet["near_misses"][0]["differs"][0]["actual"] == "in flight"
    served.release.set()
    satisfied(client, {"delivered": {"webhook": hanging.pk}})


def test_two_skipping_waits_share_one_mover(
    client: Caller, hanging: Webhook, served: Handler, settings: Any
) -> None:
    settings.SIM_SETTLE_TIME = 0
    waits = [
        in_background(client, {"called": {"webhook": hanging.pk, "times": n}}, skip=True)
        for n in (2, 3)
    ]
    assert sum(thread.name == "wait-mover" for thread in threading.enumerate()) == 1
    served.release.set()
    # The response is 200, so there is no second attempt.
    assert {each.result().json.get("stopped_because") for each in waits} == {"idle"}


def test_each_skipping_wait_is_answered_at_its_own_moment(
    client: Caller, catalog: make.Catalog, engine: Engine, hook: Webhook, served: Handler
) -> None:
    may_fail = threading.Event()

    def respond(request: Any) -> int:
        may_fail.wait(10)
        return 500

    served.respond = respond
    make.order(catalog)
    served.next()
    waits = [
        in_background(client, {"called": {"webhook": hook.pk, "times": n}}, skip=True)
        for n in (2, 4)
    ]
    never = {"never": {"called": {"webhook": hook.pk, "times": 3}}}
    short = in_background(client, never, skip=True, within="10m")
    may_fail.set()
    answers = [each.result() for each in waits]
    assert [(each.status, len(each.json["evidence"])) for each in answers] == [(200, 2), (200, 4)]
    assert short.result().status == 200
    assert Attempt.objects.count() == 4


def test_skip_waits_until_another_move_has_ended(
    client: Caller, failed: Webhook, served: Handler
) -> None:
    with moves.Move("advance"):
        called = {"called": {"webhook": failed.pk, "at_least": 2}}
        begun = in_background(client, called, skip=True)
        assert len(served.received) == 1
    assert begun.result().status == 200


# Timeouts and near misses


def test_timeout_says_what_happened_instead(
    client: Caller, catalog: make.Catalog, engine: Engine, hook: Webhook, served: Handler
) -> None:
    other = make.catalog("2")
    responses = iter([500, 200])
    served.respond = lambda request: next(responses)
    with handler() as working:
        elsewhere = make.webhook(other, working.url, 2)
        start = now(client)
        pk = make.order(catalog).pk
        make.order(other)
        satisfied(client, {"delivered": {"webhook": elsewhere.pk}})
        satisfied(client, {"failed": {"webhook": hook.pk}})
        moves.advance(timedelta(minutes=6))
        until_ = {"delivered": {"webhook": hook.pk, "object": pk, "attempts_at_most": 1}}
        unmet = refused(client, until_, since=start, timeout=0.05)
    assert unmet["stopped_because"] == "timeout"
    assert unmet["waiting_for"] == [f"a delivery to {hook.pk} for {pk} in at most 1 attempt"]
    points = [
        (miss["webhook"], miss["attempt"], [each["field"] for each in miss["differs"]])
        for miss in unmet["near_misses"]
    ]
    assert points == [
        (hook.pk, 2, ["attempt"]),
        (hook.pk, 1, ["outcome"]),
    ]
    kinds = [entry["kind"] for entry in unmet["timeline"]]
    assert kinds[:2] == ["change", "event"]
    assert unmet["timeline_left_out"] == 0
    [reason] = unmet["reasons"]
    assert reason.endswith(" succeeded") and reason.startswith("attempt 2 of delivery ")
    assert unmet["errors"] == [
        f"Not true after 50 ms of real time: {unmet['waiting_for'][0]}.",
        f"A{reason[1:]}.",
    ]


def test_status_that_is_not_reached_says_why(
    client: Caller, catalog: make.Catalog, engine: Engine, hook: Webhook, settings: Any
) -> None:
    settings.SIM_SETTLE_TIME = 0
    pk = make.order(catalog).pk
    unmet = refused(client, {"status": {"object": pk, "is": "approved"}}, skip=True, timeout=60)
    assert unmet["stopped_because"] == "idle"
    [reason] = unmet["reasons"]
    assert reason.startswith(f"{pk} has been pending since 20")
    assert reason.endswith(" succeeded (Returned 200 but made no API calls)")


def test_status_that_is_final_ends_a_wait_for_another_one(
    client: Caller, catalog: make.Catalog
) -> None:
    pk = make.order(catalog).pk
    begun = in_background(client, {"status": {"object": pk, "is": "approved"}}, timeout=600)
    transitions.move(Request, pk, "fail", catalog.as_vendor, {"reason": "Out of stock."})
    unmet = begun.result().json
    assert unmet["stopped_because"] == "impossible"
    assert unmet["reasons"][0].endswith(", which is final")


def test_unknown_status_is_refused_with_those_of_the_object(
    client: Caller, catalog: make.Catalog
) -> None:
    row = make.order(catalog)
    for pk, available in (
        (row.pk, "draft, tiers_setup, pending, inquiring, approved, failed, "),
        (row.asset_id, "draft, processing, active, suspended, terminating, terminated."),
    ):
        response = wait(client, {"status": {"object": pk, "is": "aproved"}})
        text = f"until.status.is: Unknown status 'aproved' of {pk}. Available: {available}"
        assert response.status == 400 and response.json["errors"][0].startswith(text)


def test_webhook_that_is_deleted_can_be_named_until_the_reset(
    client: Caller, catalog: make.Catalog, engine: Engine, hook: Webhook
) -> None:
    make.order(catalog)
    called = {"called": {"webhook": hook.pk, "times": 1}}
    satisfied(client, called)
    begun = in_background(client, {"called": {"webhook": hook.pk, "times": 2}}, timeout=0.3)
    assert client.delete(f"/notifications/webhooks/{hook.pk}").status == 204
    assert begun.result().json["reasons"] == [f"there was 1 request to {hook.pk}"]
    satisfied(client, called)
    Webhook.with_deleted.filter(pk=hook.pk).delete()
    satisfied(client, called)
    timeline.append([timeline.Entry(timeline.RESET, clock.now())])
    assert wait(client, called).status == 400


def test_near_misses_are_not_of_before_the_reset(
    client: Caller, catalog: make.Catalog, engine: Engine, hook: Webhook
) -> None:
    make.order(catalog)
    delivered = {"delivered": {"webhook": hook.pk}}
    satisfied(client, delivered)
    timeline.append([timeline.Entry(timeline.RESET, clock.now())])
    for since in (now(client), "0.0"):
        unmet = refused(client, {"failed": {"webhook": hook.pk}}, since=since, timeout=0)
        assert unmet["near_misses"] == []
        assert unmet["reasons"] == [f"there was no request to {hook.pk}"]


def test_cursor_that_was_taken_too_late_is_a_near_miss(
    client: Caller, catalog: make.Catalog, engine: Engine, hook: Webhook
) -> None:
    make.order(catalog)
    delivered = {"delivered": {"webhook": hook.pk}}
    satisfied(client, delivered)
    unmet = refused(client, delivered, since=now(client), timeout=0)
    assert unmet["near_misses"][0]["differs"] == [
        {"field": "since", "expected": "after the cursor", "actual": "before it"}
    ]


def test_timeline_of_a_408_is_bounded(
    client: Caller, catalog: make.Catalog, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = now(client)
    make.order(catalog, times=3)
    monkeypatch.setattr(wait_responses, "SHOWN", 2)
    unmet = refused(client, {"called": {"webhook": hook.pk}}, since=start, timeout=0)
    assert (len(unmet["timeline"]), unmet["timeline_left_out"]) == (2, 4)


def test_wait_reads_a_long_timeline_in_parts(
    client: Caller,
    catalog: make.Catalog,
    engine: Engine,
    hook: Webhook,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(waiting, "_BATCH", 2)
    make.order(catalog, times=5)
    called = {"called": {"webhook": hook.pk, "times": 8}}
    begun = in_background(client, called)
    make.order(catalog, times=3)
    assert begun.result().status == 200
    satisfied(client, called, timeout=0)


def test_reset_ends_waits(client: Caller, failed: Webhook) -> None:
    start = now(client)
    delivered = {"delivered": {"webhook": failed.pk}}
    waits = [
        in_background(client, delivered),
        in_background(client, {"never": delivered}, within="9d"),
    ]
    with transaction.atomic():
        timeline.append([timeline.Entry(timeline.RESET, clock.now())])
    for each in waits:
        response = each.result()
        assert (response.status, response.json["stopped_because"]) == (408, "reset")
    # A cursor from before the reset stays valid, and without one the reset is the beginning.
    satisfied(client, {"called": {"webhook": failed.pk, "times": 1}}, since="0.0", timeout=0)
    refused(client, {"called": {"webhook": failed.pk}}, timeout=0)
    refused(client, {"called": {"webhook": failed.pk}}, since=start, timeout=0)
