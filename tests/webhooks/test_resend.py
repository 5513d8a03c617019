"""What an attempt sent is sent again, as it was or changed, and nothing else moves."""

from __future__ import annotations

import json
from typing import Any

import jwt
import pytest

from requests_queue.errors import Invalid, Refused
from requests_queue.queues.fulfillment import creation
from tests import make
from tests.engines import move_clock, running, settled, until
from tests.handlers import Got, handler
from tests.make import World
from tests.webhooks import validating
from tests.webhooks.background import together
from webhooks import actions, cleanup, webhook_health
from webhooks.delivery import claims, fan_out, recording, resend, retry
from webhooks.delivery.in_flight import AttemptResult, prepare
from webhooks.models import Attempt, Delivery, Event, Resend, Webhook

pytestmark = pytest.mark.django_db(transaction=True)


def told(got: Got, hook: Webhook) -> dict[str, Any]:
    """Return what the call's token says, its signature checked, less what changes by itself."""
    claims = jwt.decode(got.token, hook.jwt_secret, algorithms=["HS256"])
    assert claims.pop("exp")
    return claims


def call(outcome: str = retry.SUCCESS) -> Attempt:
    """Make the first call that may be made now, with an outcome and without HTTP."""
    [claimed] = claims.claim(1)
    recording.record([AttemptResult(claimed, outcome, 5, prepare(claimed))])
    return Attempt.objects.get(delivery=claimed.delivery_id, number=claimed.number)


def triggered(world: World, outcome: str = retry.SUCCESS, **fields: Any) -> Attempt:
    """Make a webhook and its first attempt."""
    fan_out.trigger(make.webhook(world, **fields))
    return call(outcome)


def standing(hook: Webhook) -> tuple[Any, ...]:
    hook.refresh_from_db()
    return (hook.earliest_possible_trigger, hook.round, hook.out_of_order, hook.revision)


def counted(hook: Webhook) -> tuple[int, int, int, int]:
    hook.refresh_from_db()
    return (hook.events, hook.triggers, hook.success_triggers, hook.failure_triggers)


def test_the_handler_gets_the_same_once_more_signed_afresh() -> None:
    world = make.world()
    with handler() as served, running() as [engine]:
        hook = make.webhook(world, served.url, data={"tenant": "lab-1"}, headers={"X-Env": "lab"})
        creation.create(make.purchase(world), world.as_distributor)
        engine.wake()
        first = served.next()
        until(settled, "delivered")
        move_clock(3600)
        attempt = Attempt.objects.get()
        made = resend.create_resend(attempt)
        engine.wake()
        second = served.next()
        until(settled, "delivered again")
    assert told(second, hook) == second.json
    before, after = first.json, second.json
    assert after.pop("triggered_at") > before.pop("triggered_at")
    # In Connect's order, though it was stored meanwhile.
    assert list(after.items()) == list(before.items())
    assert (second.method, second.path) == (first.method, first.path)
    for name in ("X-Env", "Content-Type", "User-Agent"):
        assert second.headers[name] == first.headers[name]
    # A trigger and a response, but no event.
    assert counted(hook) == (1, 2, 2, 0)
    assert Event.objects.count() == 1
    made.refresh_from_db()
    assert (made.state, made.resend.repeats_id) == ("delivered", attempt.delivery_id)
    assert webhook_health.counter_discrepancies() == []


def test_changes_hold_for_that_call_and_leave_the_webhook_as_it_is() -> None:
    world = make.world()
    with handler() as served, handler() as other, running() as [engine]:
        hook = make.webhook(world, served.url, data={"tenant": "lab-1"})
        fan_out.trigger(hook)
        engine.wake()
        served.next()
        until(settled, "delivered")
        before = Webhook.objects.values("external_url", "headers", "data", "revision").get()
        content = {"webhook_id": "WH-9", "data": {"n": 1}, "processing_timeout": -60, "exp": 1}
        changes = {
            "external_url": f"{other.url}other", "headers": {"X-Try": "1"}, "content": content,
        }  # fmt: skip
        made = resend.create_resend(Attempt.objects.get(), changes)
        engine.wake()
        got = other.next()
        until(settled, "delivered again")
    assert got.path == "/other" and got.headers["X-Try"] == "1"
    content.pop("exp")
    assert got.json == {**content, "triggered_at": got.json["triggered_at"]}
    # It had expired before it was sent, as it was asked to.
    with pytest.raises(jwt.ExpiredSignatureError):
        jwt.decode(got.token, hook.jwt_secret, algorithms=["HS256"])
    assert Webhook.objects.values("external_url", "headers", "data", "revision").get() == before
    again = Attempt.objects.get(delivery=made)
    assert (again.url, again.request_headers["X-Try"]) == (f"{other.url}other", "1")
    assert served.calls.empty()


def test_a_get_has_its_payload_in_the_token_and_no_data() -> None:
    world = make.world()
    attempt = triggered(world, data={"n": 1})
    resend.create_resend(attempt, {"http_method": "GET"})
    [claimed] = claims.claim(1)
    prepared = prepare(claimed)
    assert (prepared.request.method, prepared.request.body) == ("GET", None)
    assert prepared.claims["data"] == {}
    assert prepared.claims["webhook_id"] == attempt.webhook_id


@pytest.mark.parametrize("healthy", [True, False])
def test_a_failure_moves_the_gate_as_that_of_trigger_now_does(healthy: bool) -> None:
    world = make.world()
    attempt = triggered(world, retry.SUCCESS if healthy else retry.FAILURE)
    twin = triggered(world, retry.SUCCESS if healthy else retry.FAILURE, n=2)
    move_clock(1)
    resend.create_resend(attempt)
    call(retry.FAILURE)
    fan_out.trigger(twin.webhook)
    call(retry.FAILURE)
    gates = [standing(each.webhook)[1:3] for each in (attempt, twin)]
    assert gates == [(1, False), (1, False)]
    again = Delivery.objects.get(resend__repeats=attempt.delivery)
    assert (again.state, again.forced) == ("waiting", False)


def test_its_retry_is_a_call_like_any_other() -> None:
    world = make.world()
    attempt = triggered(world)
    resend.create_resend(attempt)
    call(retry.FAILURE)
    actions.edit(attempt.webhook_id, world.vendor_user, {"external_url": "http://127.0.0.1:9/n"})
    assert call().url == "http://127.0.0.1:9/n"


@pytest.mark.parametrize("edited", [True, False])
@pytest.mark.parametrize("outcome", [retry.SUCCESS, retry.FAILURE, retry.UNKNOWN])
def test_what_is_sent_otherwise_says_nothing_of_the_webhook(edited: bool, outcome: str) -> None:
    world = make.world()
    attempt = triggered(world, retry.FAILURE)
    hook = attempt.webhook
    changes = None if edited else {"external_url": "http://127.0.0.1:9/other"}
    if edited:
        actions.edit(hook.pk, world.vendor_user, {"data": {"n": 2}})
        fan_out.trigger(hook)
        call(retry.FAILURE)
    before = standing(hook)
    assert before[0] is not None
    made = resend.create_resend(attempt, changes)
    again = call(outcome)
    assert standing(hook) == before
    made.refresh_from_db()
    assert made.state == ("delivered" if outcome == retry.SUCCESS else "failed")
    assert "its backoff does not change" in again.why
    assert webhook_health.counter_discrepancies() == []
    # What was altered stays so when it is repeated.
    resend.create_resend(again)
    call(retry.FAILURE)
    assert standing(hook) == before


def test_a_lost_worker_leaves_what_it_called_on_record() -> None:
    attempt = triggered(make.world())
    made = resend.create_resend(attempt, {"external_url": "http://127.0.0.1:9/other"})
    assert len(claims.claim(1)) == 1
    Delivery.objects.filter(pk=made.pk).update(lease=1.0)
    recording.record(claims.lost_attempts())
    lost = Attempt.objects.get(delivery=made)
    assert (lost.outcome, lost.url) == ("unknown", "http://127.0.0.1:9/other")
    with pytest.raises(Refused, match="was not recorded"):
        resend.create_resend(lost)


def test_a_disabled_webhook_sends_nothing_again() -> None:
    world = make.world()
    attempt = triggered(world)
    actions.edit(attempt.webhook_id, world.vendor_user, {"active": False})
    with pytest.raises(Refused, match="is disabled: enable it to send again"):
        resend.create_resend(attempt)
    assert Delivery.objects.count() == 1 and not Resend.objects.exists()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"external_url": "ftp://127.0.0.1/"}, "external_url: The URL must begin with http"),
        ({"external_url": "http://u:p@127.0.0.1/"}, "external_url: The URL may not contain a user"),
        ({"headers": {"Host": "x"}}, "headers.Host: Host is reserved for the connection"),
        ({"headers": {"authorization": "x"}}, "is reserved"),
        ({"http_method": "PUT"}, 'http_method: "PUT" is not a valid choice'),
        ({"content": []}, "content: Expected an object"),
        ({"content": {"a": "\0"}}, "content: This contains characters that cannot be stored"),
        ({"content": {"processing_timeout": "x"}}, "content: processing_timeout must be"),
        ({"content": {"processing_timeout": 10**12}}, "content: processing_timeout must be"),
    ],
)
def test_changes_obey_the_rules_of_a_webhook(changes: dict[str, Any], sentence: str) -> None:
    attempt = triggered(make.world())
    with pytest.raises(Invalid, match=sentence.replace("(", "\\(")):
        resend.create_resend(attempt, changes)
    assert not Resend.objects.exists()


def test_an_address_that_may_not_be_called_is_not() -> None:
    metadata = "http://169.254.169.254/latest/meta-data/"
    attempt = triggered(make.world())
    with pytest.raises(Invalid, match=r"external_url: .*link-local address"):
        resend.create_resend(attempt, {"external_url": metadata})
    assert not Resend.objects.exists()
    # One that a webhook has from before is refused by the call.
    Attempt.objects.update(url=metadata)
    attempt.refresh_from_db()
    with running() as [engine]:
        resend.create_resend(attempt, {"external_url": metadata})
        engine.wake()
        until(settled, "refused")
    assert "cannot be called" in Attempt.objects.latest("pk").error


def test_a_validators_object_is_repeated_and_its_answer_left() -> None:
    world = validating.platform()
    answer = validating.answer(region={"value": "eu", "value_error": "No."})
    with handler(lambda got: answer) as served, running() as [engine]:
        hook = validating.validator(world, served.url)
        row = validating.draft(world, region="us")
        validating.validate(world, row)
        first = served.next()
        before = Attempt.objects.get()
        row.refresh_from_db()
        params = row.params
        resend.create_resend(before)
        engine.wake()
        second = served.next()
        until(settled, "called again")
        with pytest.raises(Invalid, match="Validators are called by POST"):
            resend.create_resend(before, {"http_method": "GET"})
        content = {**first.json, "note": "changed"}
        resend.create_resend(before, {"content": content})
        engine.wake()
        third = served.next()
        until(settled, "called with changes")
    assert second.body == first.body
    assert third.json == content
    assert told(third, hook)["webhook_id"] == hook.pk
    row.refresh_from_db()
    assert row.params == params
    assert Attempt.objects.latest("pk").response_body == before.response_body


def test_it_goes_with_its_delivery_and_outlives_the_one_that_it_repeats() -> None:
    world = make.world()
    attempt = triggered(world)
    resend.create_resend(attempt), call()
    # What the webhook points to stays: the last of these.
    fan_out.trigger(attempt.webhook), call()
    first, second, third = Delivery.objects.order_by("pk")
    move_clock(40 * 86400)
    Delivery.objects.filter(pk=second.pk).update(created_at="2100-01-01T00:00Z")
    assert cleanup.prune() == 1
    row = Resend.objects.get()
    assert (row.delivery_id, row.repeats) == (second.pk, None)
    Delivery.objects.filter(pk=second.pk).update(created_at=first.created_at)
    assert cleanup.prune() == 1
    assert not Resend.objects.exists()
    assert Delivery.objects.get() == third
    assert webhook_health.counter_discrepancies() == []


def test_calls_of_queue_changes_ask_nothing_about_it(django_assert_num_queries: Any) -> None:
    world = make.world()
    hook = make.webhook(world)
    for _ in range(5):
        creation.create(make.purchase(world), world.as_distributor)
    with django_assert_num_queries(3) as asked:
        pks = list(Delivery.objects.values_list("pk", flat=True))
        assert len(claims.take(pks, make.AT)) == 5
    assert not any("webhooks_resend" in query["sql"] for query in asked)
    for _ in range(2):
        fan_out.trigger(hook)
    with django_assert_num_queries(4):
        pks = list(Delivery.objects.filter(state="waiting").values_list("pk", flat=True))
        assert len(claims.take(pks, make.AT)) == 2


def test_what_it_would_send_can_be_shown() -> None:
    attempt = triggered(make.world(), headers={"X-Env": "lab"})
    found = resend.sent_request(attempt)
    assert found.headers == {"X-Env": "lab"}
    assert json.loads(json.dumps(resend.content_of(found))) == found.payload
    assert "exp" not in found.payload and found.body == ""


def test_whoever_disables_the_webhook_meanwhile_leaves_nothing_waiting() -> None:
    world = make.world()
    attempt = triggered(world)
    together(
        lambda: resend.create_resend(attempt),
        lambda: resend.create_resend(attempt, {"headers": {"X-Try": "1"}}),
        lambda: actions.edit(attempt.webhook_id, world.vendor_user, {"active": False}),
    )
    assert not Delivery.objects.filter(state="waiting").exists()
    assert Resend.objects.count() == Delivery.objects.count() - 1
