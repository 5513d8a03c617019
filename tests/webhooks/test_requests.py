"""Requests and fan-out: event modes, methods, payload, headers."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
from django.db import transaction

from requests_queue.queues import transitions
from requests_queue.queues.fulfillment.models import Request
from tests import make
from tests.engines import move_clock, running, settled, until
from tests.handlers import ReceivedRequest, handler
from webhooks import actions, states, webhook_health
from webhooks.delivery import claim, fan_out, record
from webhooks.delivery.attempt import AttemptResult
from webhooks.delivery.request import format_timestamp
from webhooks.models import Attempt, Delivery, Event, Webhook

pytestmark = pytest.mark.django_db(transaction=True)


def one_call(catalog: make.Catalog, **webhook: Any) -> tuple[Webhook, ReceivedRequest]:
    """Make one purchase for one webhook; return the request that its handler received."""
    path = webhook.pop("path", "")
    with handler() as served:
        hook = make.webhook(catalog, served.url + path, **webhook)
        make.order(catalog)
        with running():
            request = served.next()
            until(settled, "delivered")
    return hook, request


def token_claims(
    hook: Webhook, request: ReceivedRequest, header: str = "Authentication"
) -> dict[str, Any]:
    token = request.headers[header].removeprefix("Bearer ")
    claims: dict[str, Any] = jwt.decode(
        token, hook.jwt_secret, algorithms=["HS256"], options={"verify_exp": False}
    )
    return claims


def delivery_states() -> list[tuple[str, int]]:
    rows = Delivery.objects.order_by("pk")
    return [(row.state, row.events.count()) for row in rows]


def test_each_event_has_its_own_delivery() -> None:
    catalog = make.catalog()
    with handler() as served:
        make.webhook(catalog, served.url)
        make.order(catalog, 5)
        assert delivery_states() == [("waiting", 1)] * 5
        with running():
            until(settled, "delivered")
        assert len(served.received) == 5


def test_coalesce_joins_events_to_one_pending_delivery(settings: Any) -> None:
    settings.SIM_EVENT_MODE = "coalesce"
    catalog = make.catalog()
    with handler() as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog, 5)
        assert delivery_states() == [("waiting", 5)]
        with running():
            until(settled, "delivered")
        assert len(served.received) == 1
    hook.refresh_from_db()
    assert (hook.events, hook.triggers) == (5, 1)
    assert webhook_health.counter_discrepancies() == []


def test_coalesce_joins_events_during_a_request_to_one_more_delivery(settings: Any) -> None:
    settings.SIM_EVENT_MODE = "coalesce"
    settings.SIM_MAX_IN_FLIGHT = 1
    catalog = make.catalog()
    with handler(None) as served:
        make.webhook(catalog, served.url)
        make.order(catalog)
        with running() as [engine]:
            served.next()
            make.order(catalog, 4)
            engine.wake()
            assert delivery_states() == [("calling", 1), ("waiting", 4)]
            served.release.set()
            until(settled, "delivered")
        assert len(served.received) == 2
    assert webhook_health.counter_discrepancies() == []


def test_coalesce_merges_failed_and_pending_deliveries(settings: Any) -> None:
    settings.SIM_EVENT_MODE = "coalesce"
    catalog = make.catalog()
    hook = make.webhook(catalog)
    make.order(catalog)
    [first] = claim.claim(10).claims
    make.order(catalog, 2)
    record.record([AttemptResult(first, states.FAILURE, 1)])
    # The older one remains, with the events of both.
    assert delivery_states() == [("waiting", 3)]
    assert Delivery.objects.get().pk == first.delivery_id
    # Two in flight fail together: one stays pending, the other is shown as cancelled.
    actions.edit(hook.pk, catalog.vendor_user, {"data": {"gate": "open"}})
    [again] = claim.claim(10).claims
    make.order(catalog)
    [second] = claim.claim(10).claims
    record.record([AttemptResult(c, states.FAILURE, 1) for c in (again, second)])
    assert delivery_states() == [("waiting", 4), ("cancelled", 0)]
    assert webhook_health.counter_discrepancies() == []


def test_coalesce_keeps_webhooks_apart(settings: Any) -> None:
    settings.SIM_EVENT_MODE = "coalesce"
    catalog = make.catalog()
    for n in (1, 2, 3):
        make.webhook(catalog, n=n)
    make.order(catalog, 2)
    claimed = claim.claim(10).claims
    make.order(catalog, 2)
    record.record([AttemptResult(c, states.FAILURE, 1) for c in claimed[:2]])
    record.record([AttemptResult(claimed[2], states.SUCCESS, 1)])
    for hook in Webhook.objects.all():
        assert hook.deliveries.filter(state="waiting").count() == 1
        assert sum(d.events.count() for d in hook.deliveries.all()) == 4


@pytest.mark.parametrize(
    ("mode", "names"),
    [
        ("both", {"Authentication", "Authorization"}),
        ("authentication", {"Authentication"}),
        ("authorization", {"Authorization"}),
    ],
)
def test_token_is_in_the_configured_headers(mode: str, names: set[str], settings: Any) -> None:
    settings.SIM_JWT_HEADER = mode
    hook, request = one_call(make.catalog())
    sent = {name for name in request.headers if name.lower() in ("authentication", "authorization")}
    assert sent == names
    for name in names:
        assert request.headers[name].startswith("Bearer ")
        assert token_claims(hook, request, name)["webhook_id"] == hook.pk
    # The stored headers have no token.
    stored = Attempt.objects.get().request_headers
    assert {stored[name] for name in names} == {"Bearer (decoded below)"}


@pytest.mark.parametrize(
    ("form", "expected"), [("plural", "fulfillment_requests"), ("singular", "fulfillment_request")]
)
def test_object_class_has_the_configured_form(form: str, expected: str, settings: Any) -> None:
    settings.SIM_OBJECT_CLASS_FORM = form
    hook, request = one_call(make.catalog())
    assert request.json["object_class"] == token_claims(hook, request)["object_class"] == expected


def test_body_equals_claims_without_exp(settings: Any) -> None:
    settings.SIM_PROCESSING_TIMEOUT = 450
    data = {"tenant": "lab-1", "nested": {"ü": [1, None, "☃"]}}
    catalog = make.catalog()
    hook, request = one_call(catalog, data=data)
    signed = token_claims(hook, request)
    exp = signed.pop("exp")
    assert request.json == signed
    assert (
        list(request.json)
        == list(signed)
        == [
            "webhook_id",
            "webhook_name",
            "object_class",
            "account_id",
            "product_id",
            "api_url",
            "triggered_at",
            "last_success_at",
            "last_failure_at",
            "processing_timeout",
            "data",
        ]
    )
    assert request.json["data"] == data
    assert (request.json["account_id"], request.json["product_id"]) == (
        catalog.vendor.pk,
        catalog.product.pk,
    )
    assert request.json["webhook_name"] == hook.label
    attempt = Attempt.objects.get()
    assert request.json["triggered_at"] == format_timestamp(attempt.started_at)
    assert exp == int(attempt.started_at.timestamp()) + 450
    assert jwt.get_unverified_header(request.token) == {"typ": "JWT", "alg": "HS256"}
    assert attempt.claims == {**signed, "exp": exp}
    assert attempt.request_body.encode() == request.body
    assert "jwt_secret" not in request.body.decode() and hook.jwt_secret not in str(attempt.claims)


def test_get_has_same_headers_without_body_and_data() -> None:
    catalog = make.catalog()
    more = {"headers": {"X-Env": "lab"}, "data": {"tenant": "lab-1"}}
    hook, request = one_call(catalog, http_method="GET", path="hook", **more)
    assert (request.method, request.path, request.body) == ("GET", "/hook", b"")
    assert "Content-Length" not in request.headers and "Content-Type" not in request.headers
    assert request.headers["X-Env"] == "lab"
    assert request.headers["Authorization"] == request.headers["Authentication"]
    signed = token_claims(hook, request)
    assert signed["data"] == {}
    assert signed["webhook_id"] == hook.pk and signed["exp"]
    attempt = Attempt.objects.get()
    assert (attempt.method, attempt.request_body) == ("GET", "")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_query_string_is_sent_unchanged(method: str) -> None:
    query = "a/b?x=1+2&y=%2F%2f&empty=&flag&z=a%20b,c;d"
    _, request = one_call(make.catalog(), http_method=method, path=query)
    assert request.path == f"/{query}"


def test_custom_headers_are_sent_except_reserved_ones() -> None:
    custom = {"X-Env": "lab", "Content-Type": "application/x-lab", "authorization": "Basic eA=="}
    hook, request = one_call(make.catalog(), headers=custom)
    assert request.headers["X-Env"] == "lab"
    assert request.headers["Content-Type"] == "application/x-lab"
    names = [name for name in request.headers if name.lower() == "authorization"]
    assert len(names) == 1
    assert token_claims(hook, request, names[0])["webhook_id"] == hook.pk


def test_payload_has_times_of_last_success_and_failure() -> None:
    catalog = make.catalog()
    responses = iter([200, 500, 200, 200])
    with handler(lambda request: next(responses)) as served:
        hook = make.webhook(catalog, served.url)
        with running() as [engine]:
            for n in range(4):
                if n:
                    move_clock(400)
                if n != 2:
                    make.order(catalog)
                engine.wake()
                served.next()
                until(lambda n=n: Attempt.objects.count() == n + 1, f"call {n + 1}")
        times = [
            (one.json["last_success_at"], one.json["last_failure_at"]) for one in served.received
        ]
    ended = [format_timestamp(a.finished_at) for a in Attempt.objects.order_by("pk")]
    assert times == [
        (None, None),
        (ended[0], None),
        (ended[0], ended[1]),
        (ended[2], ended[1]),
    ]
    hook.refresh_from_db()
    assert (hook.last_success_id, hook.last_failure_id) == tuple(
        Attempt.objects.order_by("pk").values_list("pk", flat=True)[i] for i in (3, 1)
    )


def test_each_request_is_signed_with_the_current_secret() -> None:
    catalog = make.catalog()
    responses = iter([500, 200])
    with handler(lambda request: next(responses)) as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog)
        with running() as [engine]:
            first = served.next()
            until(lambda: Attempt.objects.exists(), "the failure")
            actions.edit(hook.pk, catalog.vendor_user, {"jwt_secret": "JWT-" + "new" * 12})
            engine.wake()
            second = served.next()
            until(settled, "delivered")
    assert token_claims(hook, first)["webhook_id"] == hook.pk
    with pytest.raises(jwt.InvalidSignatureError):
        token_claims(hook, second)
    hook.refresh_from_db()
    assert token_claims(hook, second)["webhook_id"] == hook.pk


def test_disabled_webhook_counts_nothing_and_enabling_starts_healthy() -> None:
    catalog = make.catalog()
    with handler() as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog, 2)
        actions.edit(hook.pk, catalog.vendor_user, {"active": False})
        assert delivery_states() == [("cancelled", 1), ("cancelled", 1)]
        make.order(catalog, 2)
        hook.refresh_from_db()
        assert hook.events == Event.objects.count() == 2
        actions.edit(hook.pk, catalog.vendor_user, {"active": True})
        make.order(catalog)
        with running():
            until(settled, "delivered")
        assert len(served.received) == 1
    assert webhook_health.counter_discrepancies() == []


def test_disabling_and_enabling_clears_backoff_and_cancels_pending_deliveries() -> None:
    catalog = make.catalog()
    hook = make.webhook(catalog)
    make.order(catalog, 2)
    record.record([AttemptResult(c, states.FAILURE, 1) for c in claim.claim(10).claims])
    Webhook.objects.update(out_of_order=True, earliest_possible_trigger=None, round=10)
    for active in (False, True):
        actions.edit(hook.pk, catalog.vendor_user, {"active": active})
    hook.refresh_from_db()
    assert (hook.round, hook.out_of_order, hook.earliest_possible_trigger) == (0, False, None)
    assert [state for state, _ in delivery_states()] == ["cancelled", "cancelled"]


def test_event_reaches_webhooks_of_both_parties() -> None:
    catalog, stranger = make.catalog(), make.catalog("2")
    vendors = [make.webhook(catalog, n=n) for n in (1, 2)]
    providers = [make.webhook(catalog, n=3, account=catalog.provider)]
    others = [
        make.webhook(catalog, n=4, account=stranger.vendor),
        make.webhook(catalog, n=5, account=stranger.provider),
        make.webhook(catalog, n=6, product=stranger.product),
        make.webhook(catalog, n=7, object_class="tier_config_request"),
        make.webhook(catalog, n=8, type="validator"),
        make.webhook(catalog, n=9, active=False),
        make.webhook(stranger, n=10),
    ]
    row = make.order(catalog)
    transitions.move(Request, row.pk, "approve", catalog.as_vendor, {})
    for hook in Webhook.objects.all():
        assert hook.events == hook.deliveries.count() == (2 if hook in vendors + providers else 0)
    assert len(others) == 7
    moves = Event.objects.filter(webhook=providers[0]).order_by("pk")
    assert list(moves.values_list("object_id", "status_from", "status_to")) == [
        (row.pk, "", "pending"),
        (row.pk, "pending", "approved"),
    ]


def test_number_of_statements_is_independent_of_number_of_webhooks(
    django_assert_max_num_queries: Any,
) -> None:
    catalog = make.catalog()
    one = make.webhook(catalog)
    change = transitions.Change(
        "fulfillment_request",
        "PR-1",
        catalog.product.pk,
        (catalog.vendor.pk,),
        None,
        "pending",
        make.AT,
    )
    for more in (0, 200):
        Webhook.objects.bulk_create(
            Webhook(
                pk=f"WH-9-{n}",
                label="",
                object_class=one.object_class,
                product=one.product,
                external_url="http://127.0.0.1:9/",
                jwt_secret="s",
                account=one.account,
                created_at=make.AT,
            )
            for n in range(more)
        )
        with transaction.atomic(), django_assert_max_num_queries(6):
            fan_out.record(change)
    assert Delivery.objects.count() == 202


def test_drafts_create_no_events() -> None:
    catalog = make.catalog(capabilities={"cart": {"validation": True}})
    hook = make.webhook(catalog)
    row = make.order(catalog, status="draft")
    assert row.status == "draft"
    hook.refresh_from_db()
    assert (hook.events, hook.last_event) == (0, None)
    transitions.move(Request, row.pk, "purchase", catalog.as_distributor)
    event = Event.objects.get()
    assert (event.status_from, event.status_to) == ("draft", "pending")


def test_rolled_back_change_creates_no_event() -> None:
    catalog = make.catalog()
    hook = make.webhook(catalog)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        make.order(catalog)
        _ = 1 / 0
    hook.refresh_from_db()
    assert hook.events == 0
    assert not Request.objects.exists() and not Delivery.objects.exists()


def test_response_is_stored() -> None:
    catalog = make.catalog()
    with handler((503, b"x" * 70_000 + b"\x00")) as served:
        hook = make.webhook(catalog, served.url)
        make.order(catalog)
        with running():
            until(lambda: Attempt.objects.exists(), "recorded")
    attempt = Attempt.objects.get()
    assert (attempt.status_code, len(attempt.response_body), attempt.truncated) == (
        503,
        65536,
        True,
    )
    assert ["Content-Length", "70001"] in attempt.response_headers
    hook.refresh_from_db()
    assert hook.last_failure == attempt


def test_secret_that_cannot_sign_fails_only_its_own_attempt() -> None:
    catalog = make.catalog()
    with handler() as served:
        broken = make.webhook(catalog, served.url, jwt_secret="ssh-rsa AAAAB3NzaC1yc2EAAAADAQAB")
        make.webhook(catalog, served.url, n=2)
        make.order(catalog)
        with running():
            until(lambda: Attempt.objects.count() == 2, "both recorded")
        assert len(served.received) == 1
    attempt = Attempt.objects.get(webhook=broken)
    assert attempt.outcome == "failure" and "cannot sign" in attempt.error
