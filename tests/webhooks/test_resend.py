"""Resends: what an attempt sent is sent again, unchanged or with changes."""

from __future__ import annotations

import json
from typing import Any

import jwt
import pytest

from portal.deliveries import changes_form
from portal.deliveries.changes_form import check_changes, sent_content
from requests_queue import clock
from requests_queue.errors import Invalid, Refused
from requests_queue.queues.fulfillment import creation
from tests import make
from tests.background import concurrently
from tests.engines import lost_results, move_clock, running, settled, until
from tests.handlers import ReceivedRequest, handler
from tests.make import Catalog
from tests.pruned import prune
from tests.webhooks import validating
from tests.webhooks.claimed import counted
from webhooks import actions, states, webhook_health
from webhooks.delivery import claim, fan_out, record, resend
from webhooks.delivery.attempt import AttemptResult, prepare
from webhooks.models import Attempt, Delivery, Event, Resend, Webhook

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("sound_counters"),
]


def verified_claims(request: ReceivedRequest, hook: Webhook) -> dict[str, Any]:
    """Return the verified claims of the request's token, without those that always change."""
    claims = jwt.decode(request.token, hook.jwt_secret, algorithms=["HS256"])
    assert claims.pop("exp")
    return claims


def call(outcome: str = states.SUCCESS) -> Attempt:
    """Make the first attempt that is due, with an outcome and without HTTP."""
    [claimed] = claim.claim(1).claims
    record.record([AttemptResult(claimed, outcome, 5, prepare(claimed))])
    return Attempt.objects.get(delivery=claimed.delivery_id, number=claimed.number)


def triggered(catalog: Catalog, outcome: str = states.SUCCESS, **fields: Any) -> Attempt:
    """Make a webhook and its first attempt."""
    fan_out.trigger(make.webhook(catalog, **fields))
    return call(outcome)


@pytest.fixture
def attempt(catalog: Catalog) -> Attempt:
    """Return the first attempt of a webhook."""
    return triggered(catalog)


def standing(hook: Webhook) -> tuple[Any, ...]:
    hook.refresh_from_db()
    return (hook.earliest_possible_trigger, hook.round, hook.out_of_order, hook.revision)


def test_resend_sends_same_content_signed_anew(catalog: make.Catalog) -> None:
    with handler() as served, running() as [engine]:
        hook = make.webhook(catalog, served.url, data={"tenant": "lab-1"}, headers={"X-Env": "lab"})
        creation.create(make.purchase(catalog), catalog.as_distributor)
        engine.wake()
        first = served.next()
        until(settled, "delivered")
        move_clock(3600)
        attempt = Attempt.objects.get()
        repeat = resend.create_resend(attempt)
        engine.wake()
        second = served.next()
        until(settled, "delivered again")
    assert verified_claims(second, hook) == second.json
    before, after = first.json, second.json
    assert after.pop("triggered_at") > before.pop("triggered_at")
    # In Connect's order, though the database doesn't keep it.
    assert list(after.items()) == list(before.items())
    assert (second.method, second.path) == (first.method, first.path)
    for name in ("X-Env", "Content-Type", "User-Agent"):
        assert second.headers[name] == first.headers[name]
    # An attempt is counted, but no event.
    assert counted(hook) == (1, 2, 2, 0, 0)
    assert Event.objects.count() == 1
    repeat.refresh_from_db()
    assert (repeat.state, repeat.resend.repeats_id) == ("delivered", attempt.delivery_id)


def test_changes_apply_to_that_request_only(catalog: make.Catalog) -> None:
    with handler() as served, handler() as other, running() as [engine]:
        hook = make.webhook(catalog, served.url, data={"tenant": "lab-1"})
        fan_out.trigger(hook)
        engine.wake()
        served.next()
        until(settled, "delivered")
        before = Webhook.objects.values("external_url", "headers", "data", "revision").get()
        content = {"webhook_id": "WH-9", "data": {"n": 1}, "processing_timeout": -60, "exp": 1}
        changes = {
            "external_url": f"{other.url}other",
            "headers": {"X-Try": "1"},
            "content": content,
        }
        repeat = changes_form.send_changed(Attempt.objects.get(), changes)
        engine.wake()
        request = other.next()
        until(settled, "delivered again")
    assert request.path == "/other" and request.headers["X-Try"] == "1"
    content.pop("exp")
    assert request.json == {**content, "triggered_at": request.json["triggered_at"]}
    # It had expired before it was sent, as requested.
    with pytest.raises(jwt.ExpiredSignatureError):
        jwt.decode(request.token, hook.jwt_secret, algorithms=["HS256"])
    assert Webhook.objects.values("external_url", "headers", "data", "revision").get() == before
    again = Attempt.objects.get(delivery=repeat)
    assert (again.url, again.request_headers["X-Try"]) == (f"{other.url}other", "1")
    assert served.calls.empty()


def test_get_has_payload_in_token_without_data(catalog: make.Catalog) -> None:
    attempt = triggered(catalog, data={"n": 1})
    changes_form.send_changed(attempt, {"http_method": "GET"})
    [claimed] = claim.claim(1).claims
    prepared = prepare(claimed)
    assert (prepared.request.method, prepared.request.body) == ("GET", None)
    assert json.loads(prepared.claims)["data"] == {}
    assert json.loads(prepared.claims)["webhook_id"] == attempt.webhook_id


@pytest.mark.parametrize("healthy", [True, False])
def test_failed_resend_changes_backoff_like_trigger_now(
    catalog: make.Catalog, healthy: bool
) -> None:
    attempt = triggered(catalog, states.SUCCESS if healthy else states.FAILURE)
    twin = triggered(catalog, states.SUCCESS if healthy else states.FAILURE, n=2)
    move_clock(1)
    resend.create_resend(attempt)
    call(states.FAILURE)
    fan_out.trigger(twin.webhook)
    call(states.FAILURE)
    gates = [standing(each.webhook)[1:3] for each in (attempt, twin)]
    assert gates == [(1, False), (1, False)]
    again = Delivery.objects.get(resend__repeats=attempt.delivery)
    assert (again.state, again.forced) == ("waiting", False)


def test_retry_of_resend_is_an_ordinary_request(catalog: make.Catalog, attempt: Attempt) -> None:
    resend.create_resend(attempt)
    call(states.FAILURE)
    actions.edit(attempt.webhook_id, catalog.vendor_user, {"external_url": "http://127.0.0.1:9/n"})
    assert call().url == "http://127.0.0.1:9/n"


@pytest.mark.parametrize("edited", [True, False])
@pytest.mark.parametrize("outcome", [states.SUCCESS, states.FAILURE, states.UNKNOWN])
def test_altered_resend_does_not_change_the_backoff(
    catalog: make.Catalog, edited: bool, outcome: str
) -> None:
    attempt = triggered(catalog, states.FAILURE)
    hook = attempt.webhook
    changes = {"external_url": "http://127.0.0.1:9/other"}
    if edited:
        actions.edit(hook.pk, catalog.vendor_user, {"data": {"n": 2}})
        fan_out.trigger(hook)
        call(states.FAILURE)
    before = standing(hook)
    assert before[0] is not None
    repeat = (
        resend.create_resend(attempt) if edited else changes_form.send_changed(attempt, changes)
    )
    again = call(outcome)
    assert standing(hook) == before
    repeat.refresh_from_db()
    assert repeat.state == ("delivered" if outcome == states.SUCCESS else "failed")
    assert "its backoff does not change" in again.why
    assert webhook_health.counter_discrepancies() == []
    # An altered request is altered when it is repeated too.
    resend.create_resend(again)
    call(states.FAILURE)
    assert standing(hook) == before


def test_attempt_of_lost_worker_records_its_url(attempt: Attempt) -> None:
    repeat = changes_form.send_changed(attempt, {"external_url": "http://127.0.0.1:9/other"})
    assert len(claim.claim(1).claims) == 1
    Delivery.objects.filter(pk=repeat.pk).update(lease=1.0)
    record.record(lost_results())
    lost = Attempt.objects.get(delivery=repeat)
    assert (lost.outcome, lost.url) == ("unknown", "http://127.0.0.1:9/other")
    with pytest.raises(Refused, match="was not recorded"):
        resend.create_resend(lost)


def test_resend_is_refused_for_disabled_webhook(catalog: make.Catalog, attempt: Attempt) -> None:
    actions.edit(attempt.webhook_id, catalog.vendor_user, {"active": False})
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
def test_changes_are_validated_like_webhook_fields(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Invalid, match=sentence.replace("(", "\\(")):
        check_changes(changes, "event", "")


def test_resend_to_forbidden_address_fails(attempt: Attempt) -> None:
    metadata = "http://169.254.169.254/latest/meta-data/"
    with pytest.raises(Invalid, match=r"external_url: .*link-local address"):
        check_changes({"external_url": metadata}, "event", attempt.url)
    # A stored URL that is forbidden now is refused when the request is sent.
    Attempt.objects.update(url=metadata)
    attempt.refresh_from_db()
    with running() as [engine]:
        changes_form.send_changed(attempt, {"external_url": metadata})
        engine.wake()
        until(settled, "refused")
    assert "cannot be called" in Attempt.objects.latest("pk").error


def test_resend_to_validator_repeats_object_and_merges_nothing() -> None:
    catalog = validating.platform()
    response = validating.validator_response(region={"value": "eu", "value_error": "No."})
    with handler(lambda request: response) as served, running() as [engine]:
        hook = validating.validator(catalog, served.url)
        row = validating.draft(catalog, region="us")
        validating.validate(catalog, row)
        first = served.next()
        before = Attempt.objects.get()
        row.refresh_from_db()
        params = row.params
        resend.create_resend(before)
        engine.wake()
        second = served.next()
        until(settled, "called again")
        with pytest.raises(Invalid, match="Validators are called by POST"):
            check_changes({"http_method": "GET"}, "validator", before.url)
        content = {**first.json, "note": "changed"}
        changes_form.send_changed(before, {"content": content})
        engine.wake()
        third = served.next()
        until(settled, "called with changes")
    assert second.body == first.body
    assert third.json == content
    assert verified_claims(third, hook)["webhook_id"] == hook.pk
    row.refresh_from_db()
    assert row.params == params
    assert Attempt.objects.latest("pk").response_body == before.response_body


def test_resend_is_pruned_with_its_own_delivery_only(attempt: Attempt) -> None:
    resend.create_resend(attempt), call()
    # The last success of the webhook is kept: the last of these.
    fan_out.trigger(attempt.webhook), call()
    first, second, third = Delivery.objects.order_by("pk")
    move_clock(40 * 86400)
    Delivery.objects.filter(pk=second.pk).update(created_at="2100-01-01T00:00Z")
    assert prune() == 1
    row = Resend.objects.get()
    assert (row.delivery_id, row.repeats) == (second.pk, None)
    Delivery.objects.filter(pk=second.pk).update(created_at=first.created_at)
    assert prune() == 1
    assert not Resend.objects.exists()
    assert Delivery.objects.get() == third


def test_claims_of_events_read_no_resends(
    catalog: make.Catalog, hook: Webhook, django_assert_num_queries: Any
) -> None:
    make.order(catalog, 5)
    count = 5
    with django_assert_num_queries(count) as queries:
        pks = list(Delivery.objects.values_list("pk", flat=True))
        assert len(claim.take(pks, clock.Reading(make.AT, 0))) == 5
    assert not any("webhooks_resend" in query["sql"] for query in queries)
    for _ in range(2):
        fan_out.trigger(hook)
    with django_assert_num_queries(count + 1):
        pks = list(Delivery.objects.filter(state="waiting").values_list("pk", flat=True))
        assert len(claim.take(pks, clock.Reading(make.AT, 0))) == 2


def test_sent_request_can_be_shown() -> None:
    attempt = triggered(make.catalog(), headers={"X-Env": "lab"})
    request = resend.sent_request(attempt)
    assert request.headers == {"X-Env": "lab"}
    assert json.loads(json.dumps(sent_content(request))) == request.payload
    assert "exp" not in request.payload and request.body == ""


def test_trace_context_is_of_one_request_only(catalog: make.Catalog) -> None:
    # In place of a header that the webhook has configured.
    fan_out.trigger(make.webhook(catalog, headers={"Traceparent": "own", "X-Env": "lab"}))
    [claimed] = claim.claim(1).claims
    prepared = prepare(claimed).with_header("traceparent", "of the request")
    for headers in (prepared.request.headers, prepared.headers):
        assert headers["traceparent"] == "of the request" and "Traceparent" not in headers
    record.record([AttemptResult(claimed, states.SUCCESS, 5, prepared)])
    attempt = Attempt.objects.get()
    assert attempt.request_headers["traceparent"] == "of the request"
    assert resend.sent_request(attempt).headers == {"X-Env": "lab"}


def test_disabling_during_resend_leaves_nothing_pending(
    catalog: make.Catalog, attempt: Attempt
) -> None:
    concurrently(
        lambda: resend.create_resend(attempt),
        lambda: changes_form.send_changed(attempt, {"headers": {"X-Try": "1"}}),
        lambda: actions.edit(attempt.webhook_id, catalog.vendor_user, {"active": False}),
    )
    assert not Delivery.objects.filter(state="waiting").exists()
    assert Resend.objects.count() == Delivery.objects.count() - 1
