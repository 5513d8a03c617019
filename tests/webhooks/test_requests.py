"""Requests and fan-out: event modes, methods, payload, headers."""

from __future__ import annotations

import json
from typing import Any

import jwt
import pytest
from django.db import connection, transaction

from requests_queue.queues import transitions
from requests_queue.queues.fulfillment.models import Request
from tests import make
from tests.engines import running, settled, until
from tests.handlers import ReceivedRequest, handler
from tests.webhooks.calling import called_webhook
from tests.webhooks.claimed import counted, finish
from webhooks import actions, states
from webhooks.delivery import claim, fan_out, record
from webhooks.delivery.attempt import AttemptResult, prepare
from webhooks.delivery.request import format_timestamp
from webhooks.http import errors
from webhooks.models import Attempt, Delivery, Event, Webhook

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("sound_counters"),
]


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


def test_each_event_has_its_own_delivery(catalog: make.Catalog, hook: Webhook) -> None:
    make.order(catalog, 5)
    assert delivery_states() == [("waiting", 1)] * 5
    assert len(finish()) == 5


def test_coalesce_joins_events_to_one_pending_delivery(
    catalog: make.Catalog, hook: Webhook, settings: Any
) -> None:
    settings.SIM_EVENT_MODE = "coalesce"
    make.order(catalog, 5)
    assert delivery_states() == [("waiting", 5)]
    assert len(finish()) == 1
    assert counted(hook) == (5, 1, 1, 0, 0)


def test_coalesce_joins_events_during_a_request_to_one_more_delivery(
    catalog: make.Catalog, hook: Webhook, settings: Any
) -> None:
    settings.SIM_EVENT_MODE = "coalesce"
    make.order(catalog)
    claimed = claim.claim(10).claims
    make.order(catalog, 4)
    assert delivery_states() == [("calling", 1), ("waiting", 4)]
    record.record([AttemptResult(one, states.SUCCESS, 1) for one in claimed])
    assert [len(finish()) for _ in range(2)] == [1, 0]


def test_coalesce_merges_failed_and_pending_deliveries(
    catalog: make.Catalog, hook: Webhook, settings: Any
) -> None:
    settings.SIM_EVENT_MODE = "coalesce"
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


def test_coalesce_keeps_webhooks_apart(catalog: make.Catalog, settings: Any) -> None:
    settings.SIM_EVENT_MODE = "coalesce"
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


def test_purchase_sends_a_signed_request(catalog: make.Catalog, settings: Any) -> None:
    settings.SIM_PROCESSING_TIMEOUT = 450
    data = {"tenant": "lab-1", "nested": {"ü": [1, None, "☃"]}}
    hook, request = one_call(catalog, data=data)
    attempt = Attempt.objects.get()
    signed = token_claims(hook, request)
    assert jwt.get_unverified_header(request.token) == {"typ": "JWT", "alg": "HS256"}
    assert attempt.claims == signed
    assert signed.pop("exp") == int(attempt.started_at.timestamp()) + 450
    assert attempt.request_body.encode() == request.body
    # In Connect's order.
    assert list(request.json.items()) == list(signed.items())
    assert list(signed.items()) == [
        ("webhook_id", hook.pk),
        ("webhook_name", hook.label),
        ("object_class", "fulfillment_requests"),
        ("account_id", catalog.vendor.pk),
        ("product_id", catalog.product.pk),
        ("api_url", settings.SIM_PUBLIC_URL + "/public/v1"),
        ("triggered_at", format_timestamp(attempt.started_at)),
        ("last_success_at", None),
        ("last_failure_at", None),
        ("processing_timeout", 450),
        ("data", data),
    ]
    assert request.headers["User-Agent"] == attempt.request_headers["User-Agent"] == "Connect-Sim"
    assert "jwt_secret" not in request.body.decode() and hook.jwt_secret not in str(attempt.claims)
    assert (attempt.status_code, attempt.delivery.state) == (200, "delivered")
    assert Event.objects.get().object_id == Request.objects.get().pk
    assert counted(hook) == (1, 1, 1, 0, 0)


QUERY = "a/b?x=1+2&y=%2F%2f&empty=&flag&z=a%20b,c;d"


def test_get_has_same_headers_without_body_and_data(catalog: make.Catalog) -> None:
    more = {"headers": {"X-Env": "lab"}, "data": {"tenant": "lab-1"}}
    hook, request = one_call(catalog, http_method="GET", path=QUERY, **more)
    assert (request.method, request.path, request.body) == ("GET", f"/{QUERY}", b"")
    assert not {"Content-Length", "Content-Type"} & request.headers.keys()
    assert request.headers["X-Env"] == "lab"
    assert request.headers["Authorization"] == request.headers["Authentication"]
    signed = token_claims(hook, request)
    assert (signed["data"], signed["webhook_id"]) == ({}, hook.pk) and signed["exp"]
    assert Attempt.objects.values_list("method", "request_body").get() == ("GET", "")


def test_custom_headers_are_sent_except_reserved_ones(catalog: make.Catalog) -> None:
    custom = {"X-Env": "lab", "Content-Type": "application/x-lab", "authorization": "Basic eA=="}
    hook, request = one_call(catalog, path=QUERY, headers=custom)
    assert request.path == f"/{QUERY}"
    assert request.headers["X-Env"] == "lab"
    assert request.headers["Content-Type"] == "application/x-lab"
    [name] = [name for name in request.headers if name.lower() == "authorization"]
    assert token_claims(hook, request, name)["webhook_id"] == hook.pk


def test_payload_has_times_of_last_success_and_failure(hook: Webhook) -> None:
    times = []
    for outcome in (states.SUCCESS, states.FAILURE, states.SUCCESS, states.SUCCESS):
        fan_out.trigger(hook)
        [one] = claim.claim(1).claims
        payload = json.loads(prepare(one).claims)
        times.append((payload["last_success_at"], payload["last_failure_at"]))
        record.record([AttemptResult(one, outcome, 1)])
    first, second, third, last = Attempt.objects.order_by("pk")
    ended = [format_timestamp(each.finished_at) for each in (first, second, third)]
    assert times == [
        (None, None),
        (ended[0], None),
        (ended[0], ended[1]),
        (ended[2], ended[1]),
    ]
    hook.refresh_from_db()
    assert (hook.last_success, hook.last_failure) == (last, second)


def test_each_request_is_signed_with_the_current_secret(
    catalog: make.Catalog, hook: Webhook
) -> None:
    for secret in (hook.jwt_secret, "JWT-" + "new" * 12):
        actions.edit(hook.pk, catalog.vendor_user, {"jwt_secret": secret})
        fan_out.trigger(hook)
        [one] = claim.claim(10).claims
        token = prepare(one).request.headers["Authentication"].removeprefix("Bearer ")
        assert jwt.decode(token, secret, algorithms=["HS256"])["webhook_id"] == hook.pk


def test_disabled_webhook_counts_nothing_and_enabling_starts_healthy(
    catalog: make.Catalog, hook: Webhook
) -> None:
    make.order(catalog, 2)
    actions.edit(hook.pk, catalog.vendor_user, {"active": False})
    make.order(catalog, 2)
    assert delivery_states() == [("cancelled", 1), ("cancelled", 1)]
    assert counted(hook)[0] == Event.objects.count() == 2
    actions.edit(hook.pk, catalog.vendor_user, {"active": True})
    make.order(catalog)
    assert len(finish()) == 1


def test_event_reaches_webhooks_of_both_parties(catalog: make.Catalog) -> None:
    stranger = make.catalog("2")
    listening = [
        make.webhook(catalog, n=1),
        make.webhook(catalog, n=2),
        make.webhook(catalog, n=3, account=catalog.provider),
    ]
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
    for count, hooks in ((2, listening), (0, others)):
        for hook in hooks:
            assert counted(hook)[0] == hook.deliveries.count() == count
    moves = Event.objects.filter(webhook=listening[2]).order_by("pk")
    assert list(moves.values_list("object_id", "status_from", "status_to")) == [
        (row.pk, "", "pending"),
        (row.pk, "pending", "approved"),
    ]


def test_number_of_statements_is_independent_of_number_of_webhooks(
    catalog: make.Catalog,
    django_assert_max_num_queries: Any,
) -> None:
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


def test_rolled_back_change_creates_no_event(catalog: make.Catalog, hook: Webhook) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        make.order(catalog)
        _ = 1 / 0
    hook.refresh_from_db()
    assert hook.events == 0
    assert not Request.objects.exists() and not Delivery.objects.exists()


def test_response_is_stored(catalog: make.Catalog) -> None:
    with called_webhook(catalog, (503, b"x" * 70000 + b"\x00")) as (_, hook), running():
        until(lambda: Attempt.objects.exists(), "recorded")
    attempt = Attempt.objects.get()
    assert (attempt.status_code, attempt.error_class, attempt.truncated) == (503, None, True)
    assert bytes(attempt.response_body) == b"x" * 65536
    assert ["Content-Length", "70001"] in attempt.response_headers
    hook.refresh_from_db()
    assert hook.last_failure == attempt


def test_secret_that_cannot_sign_fails_only_its_own_attempt(catalog: make.Catalog) -> None:
    with handler() as served:
        broken = make.webhook(catalog, served.url, jwt_secret="ssh-rsa AAAAB3NzaC1yc2EAAAADAQAB")
        make.webhook(catalog, served.url, n=2)
        make.order(catalog)
        with running():
            until(lambda: Attempt.objects.count() == 2, "both recorded")
        assert len(served.received) == 1
    attempt = Attempt.objects.get(webhook=broken)
    assert attempt.outcome == "failure" and "cannot sign" in attempt.error
    assert attempt.error_class == errors.REQUEST
    assert Attempt.objects.exclude(pk=attempt.pk).get().error_class is None


def test_class_of_an_error_is_stored(catalog: make.Catalog) -> None:
    hook = make.webhook(catalog, "http://127.0.0.1:9/")
    make.order(catalog)
    with running():
        until(lambda: Attempt.objects.exists(), "recorded")
    attempt = Attempt.objects.get(webhook=hook)
    assert (attempt.status_code, attempt.error_class) == (None, errors.CONNECT)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite's plan")
def test_webhooks_of_a_change_are_found_by_their_index(catalog: make.Catalog) -> None:
    executed: list[tuple[str, Any]] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        executed.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        make.order(catalog)
    [(sql, params)] = [each for each in executed if "AND object_class = " in each[0]]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}", params)
        plan = " ".join(row[3] for row in cursor.fetchall())
    index = "webhook_listening (object_class=? AND product_id=? AND type=? AND account_id=?)"
    assert f"USING INDEX {index}" in plan
