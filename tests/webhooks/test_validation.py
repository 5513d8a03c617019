"""Validators with a real handler: what is sent, counted, stored and merged."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from typing import Any

import jwt
import pytest
from django.db import connection, transaction

from requests_queue import clock
from requests_queue.errors import ActionNotAllowed
from requests_queue.queues.fulfillment.models import Request
from tests.engines import settled, until
from tests.handlers import ReceivedRequest, Response, handler
from tests.make import AT, Catalog
from tests.webhooks.claimed import counted
from tests.webhooks.validating import (  # noqa: F401  (fixtures)
    asking,
    called_validator,
    catalog,
    draft,
    hanging_validator,
    recorded,
    refused,
    row,
    states,
    validate,
    validator,
    validator_response,
    value_errors,
)
from webhooks import actions
from webhooks.models import Attempt, Delivery, Event, Webhook

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("sound_counters"),
]

WRONG: list[tuple[Response, str]] = [
    ((200, b"<html>"), "Handler returned HTTP 200, but the body is not JSON"),
    ((200, b""), "Handler returned HTTP 200, but the body is empty"),
    ((204, b""), "Handler returned HTTP 204, but the body is empty"),
    ((200, b"[1]"), "Handler returned HTTP 200, but the body is not an object"),
    ((200, b'{"id": "PR-0"}'), "the body is another object: its id is 'PR-0'"),
    ((200, b'{"asset": {"params": 7}}'), "its params are a number, not a list"),
    ((200, b'{"asset": {"params": [{"id": "plan", "value_error": 7}]}}'), "Parameter plan:"),
    ((200, b'{"a": NaN}'), "NaN is not JSON"),
    ((200, b'{"a": "\\u0000"}'), "cannot be used"),
    ((200, b"[" * 50_000), "nested too deep"),
    ((200, b"\xff\xfe\x00"), "cannot be used"),
    ((500, b"{}"), "Handler returned HTTP 500 (expected 2xx)."),
    ((400, b"{}"), "Handler returned HTTP 400 (expected 2xx)."),
    ((302, b""), "Handler returned HTTP 302"),
]  # fmt: skip


# -- what is sent


def test_whole_object_is_sent_by_signed_post(catalog: Catalog) -> None:
    with called_validator(
        catalog, validator_response(), data={"tenant": 1}, headers={"X-Env": "lab"}
    ) as (served, hook):
        row = draft(catalog, region="mars")
        assert validate(catalog, row)
        request = served.next()
    assert (request.method, request.json["id"], request.json["status"]) == ("POST", row.pk, "draft")
    assert request.json["asset"]["items"][0]["quantity"] == "5"
    assert [p["value"] for p in request.json["asset"]["params"]] == ["mars", ""]
    claims = jwt.decode(
        request.token, hook.jwt_secret, algorithms=["HS256"], options={"verify_exp": False}
    )
    assert (claims["webhook_id"], claims["data"]) == (hook.pk, {"tenant": 1})
    assert request.headers["Authorization"] == request.headers["Authentication"]
    assert (request.headers["X-Env"], request.headers["Content-Type"]) == (
        "lab",
        "application/json",
    )


def test_object_has_keys_as_assumed(catalog: Catalog, settings: Any) -> None:
    row = draft(catalog)
    with called_validator(catalog, lambda request: (200, request.body)) as (served, _):
        validate(catalog, row)
        keys = list(served.next().json)
        settings.SIM_UNKNOWN_KEYS, settings.SIM_KEY_ORDER = "present", "reversed"
        # The echoed object is valid with them.
        validate(catalog, row)
        assert list(served.next().json) == ["x_unknown", *reversed(keys)]


def test_stored_get_is_sent_as_post(catalog: Catalog) -> None:
    with called_validator(catalog, validator_response(), http_method="GET") as (served, hook):
        validate(catalog, draft(catalog))
        assert served.next().method == "POST"
    tried = Attempt.objects.get(webhook=hook)
    assert tried.method == "POST" and json.loads(tried.request_body)["id"]


# -- what is counted and stored


def test_success_is_counted_and_merged(catalog: Catalog) -> None:
    with called_validator(
        catalog, validator_response(region={"value": "eu", "value_error": "Not offered"})
    ) as (served, hook):
        row = draft(catalog, region="mars")
        before = clock.now()
        assert validate(catalog, row)
    assert counted(hook) == (1, 1, 1, 0, 0)
    assert recorded(hook) == [("validated in draft", "delivered", "success")]
    tried = Attempt.objects.get()
    assert (hook.last_success, hook.last_failure) == (tried, None)
    assert hook.last_event is not None and hook.last_event >= before.replace(microsecond=0)
    assert (tried.number, tried.status_code, tried.error, tried.truncated) == (1, 200, "", False)
    assert tried.why == "Merged: region (value, value_error)."
    assert (tried.url, tried.delivery.attempts) == (served.url, 1)
    assert before <= tried.started_at <= tried.finished_at <= clock.now()
    assert 0 <= tried.duration < 10_000
    assert json.loads(tried.request_body)["id"] == row.pk
    assert Event.objects.get().object_id == row.pk
    assert (tried.delivery.claim, tried.delivery.lease) == (None, None)
    assert value_errors(row) == {"region": "Not offered"} and row.params[0]["value"] == "eu"


def test_ignored_parts_of_parameter_are_named(catalog: Catalog, row: Request) -> None:
    ignored = {"value_error": "No", "title": "Other", "type": "text", "phase": None, "new": None}
    rules = {"required": True, "min_length": 3, "meta": None}
    with called_validator(catalog, validator_response(region={**ignored, "constraints": rules})):
        assert validate(catalog, row)
    assert Attempt.objects.get().why == (
        "Merged: region (value_error, constraints). Ignored: title of region, phase of region, "
        "constraints.min_length of region."
    )
    assert row.params[0]["title"] == "region" and value_errors(row) == {"region": "No"}


@pytest.mark.parametrize(("response", "message"), WRONG, ids=[message for _, message in WRONG])
def test_failure_is_counted_and_merges_nothing(
    catalog: Catalog, response: Response, message: str
) -> None:
    with called_validator(catalog, response) as (_, hook):
        row = draft(catalog, region="mars")
        before = Request.objects.filter(pk=row.pk).values().get()
        [error] = refused(catalog, row, {"asset": {"params": [{"id": "region", "value": "eu"}]}})
    assert message in error
    assert counted(hook) == (1, 1, 0, 1, 1)
    assert recorded(hook) == [("validated in draft", "failed", "failure")]
    tried = Attempt.objects.get()
    assert (hook.last_failure, hook.last_success) == (tried, None)
    assert isinstance(response, tuple) and bytes(tried.response_body) == response[1]
    assert tried.status_code == response[0] and message.partition(";")[0] in tried.error
    assert "validators are called once" in tried.why
    assert Request.objects.filter(pk=row.pk).values().get() == before


def test_failure_of_validator_changes_no_backoff(
    catalog: Catalog, row: Request, settings: Any
) -> None:
    settings.SIM_FAILURE_LIMIT = 1
    ends = clock.shown(clock.now() + timedelta(hours=1))
    backing_off = {"earliest_possible_trigger": ends, "gate_closed_at": AT, "round": 3}
    with handler(500) as served:
        hooks = [
            validator(catalog, served.url, 1),
            validator(catalog, served.url, 2, **backing_off),
            validator(catalog, served.url, 3, out_of_order=True, round=10),
        ]
        backoffs = Webhook.objects.order_by("pk").values("out_of_order", *backing_off)
        before = list(backoffs)
        for _ in range(2):
            assert len(refused(catalog, row)) == 3
    assert [counted(hook) for hook in hooks] == [(2, 2, 0, 2, 2)] * 3
    assert list(backoffs.all()) == before


def test_large_response_is_merged_fully_and_stored_up_to_64_kib(
    catalog: Catalog, row: Request
) -> None:
    large = json.dumps(
        {"filler": "x" * 3 * 2**20, "asset": {"params": [{"id": "plan", "value_error": "No"}]}}
    ).encode()
    with called_validator(catalog, (200, large)):
        assert validate(catalog, row)
    tried = Attempt.objects.get()
    assert (bytes(tried.response_body), tried.truncated) == (large[:65536], True)
    assert tried.outcome == "success" and value_errors(row) == {"plan": "No"}


def test_response_over_4_mib_is_failure(catalog: Catalog) -> None:
    with called_validator(catalog, (200, b"{" + b" " * 4 * 2**20 + b"}")):
        [error] = refused(catalog, draft(catalog))
    assert error == "Handler returned HTTP 200, but the body is longer than 4 MiB."
    tried = Attempt.objects.get()
    assert (len(tried.response_body), tried.truncated) == (65536, True)


def test_error_of_invalid_response_is_short(catalog: Catalog, row: Request) -> None:
    many = [{"id": f"unknown-{n}"} for n in range(20_000)]
    twice = [{"id": "plan"}] * 20_000
    bodies = iter([many, twice])
    with called_validator(
        catalog,
        lambda request: (
            200,
            json.dumps({"params": [], "asset": {"params": next(bodies)}}).encode(),
        ),
    ):
        validate(catalog, row)
        [error] = refused(catalog, row)
    right, wrong = Attempt.objects.order_by("pk")
    assert right.why.startswith("No parameter was changed. Ignored: unknown parameter unknown-0")
    assert "Parameter plan occurs twice." in wrong.error and wrong.error.endswith("…")
    assert max(map(len, (right.why, wrong.error, error))) <= 1000


# -- which validators are called


def test_nothing_is_sent_without_a_validator(catalog: Catalog, row: Request) -> None:
    with handler(500) as served:
        hooks = [
            validator(catalog, served.url, 1, active=False),
            validator(catalog, served.url, 2, type="inquiring_validator"),
            validator(catalog, served.url, 3, type="event"),
            validator(catalog, served.url, 4, object_class="tier_config_request"),
            validator(catalog, served.url, 5, account=catalog.provider),
        ]
        assert not validate(catalog, row)
        catalog.product.capabilities = {"cart": {"validation": False}}
        catalog.product.save()
        validator(catalog, served.url, 6)
        assert not validate(catalog, row)
    assert served.received == [] and states() == []
    assert [counted(hook)[0] for hook in hooks] == [0] * 5


def test_two_validators_run_concurrently_and_merge_in_order(catalog: Catalog, row: Request) -> None:
    both = threading.Barrier(2)

    def responding(text: str) -> Any:
        def at_the_same_time(request: ReceivedRequest) -> Response:
            both.wait(10)
            return validator_response(region={"value_error": text}, plan={"value_error": "Same"})

        return at_the_same_time

    with handler(responding("First")) as one, handler(responding("Second")) as two:
        # The younger one has the lower id.
        younger = validator(catalog, two.url, 1, created_at=AT + timedelta(seconds=1))
        older = validator(catalog, one.url, 2)
        assert validate(catalog, row)
    assert value_errors(row) == {"region": "Second", "plan": "Same"}
    assert counted(older) == counted(younger) == (1, 1, 1, 0, 0)


def test_failure_of_one_validator_merges_nothing(catalog: Catalog, row: Request) -> None:
    with handler(validator_response(region={"value_error": "No"})) as good, handler(503) as bad:
        hooks = validator(catalog, good.url, 1), validator(catalog, bad.url, 2)
        assert refused(catalog, row) == ["Handler returned HTTP 503 (expected 2xx)."]
    assert value_errors(row) == {}
    assert [counted(hook) for hook in hooks] == [(1, 1, 1, 0, 0), (1, 1, 0, 1, 1)]
    assert states() == ["delivered", "failed"]
    why = Attempt.objects.get(webhook=hooks[0]).why
    assert why == "Nothing is merged: another validator of the request failed."


# -- changes during a validation


def test_no_transaction_is_held_during_the_request(catalog: Catalog, row: Request) -> None:
    with called_validator(catalog, None) as (served, _):
        background = asking(served, catalog, row)
        # Another writer: on SQLite it would wait for an open transaction.
        with transaction.atomic():
            assert Webhook.objects.update(description="written meanwhile") == 1
            assert Request.objects.filter(pk=row.pk).update(note="and this") == 1
        assert states() == ["calling"]
        assert not background.ended.is_set()
        served.release.set()
        assert background.result() is True
    assert Request.objects.get(pk=row.pk).note == "and this"


def test_connection_is_closed_before_the_request(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    from webhooks.delivery import validators

    real, connections = validators.send, []

    def send(calls: Any) -> Any:
        connections.append((connection.connection, connection.in_atomic_block))
        return real(calls)

    monkeypatch.setattr(validators, "send", send)
    with called_validator(catalog, validator_response()):
        validate(catalog, draft(catalog))
    assert connections == [(None, False)]


def test_validation_inside_a_transaction_is_refused(catalog: Catalog, row: Request) -> None:
    with (
        called_validator(catalog) as (served, _),
        pytest.raises(RuntimeError, match="durable"),
        transaction.atomic(),
    ):
        validate(catalog, row)
    assert served.received == [] and states() == []


@pytest.mark.parametrize(
    ("response", "counts"),
    [(validator_response(), (1, 1, 1, 0, 0)), (500, (1, 1, 0, 1, 1))],
    ids=["success", "failure"],
)
def test_disabled_during_validation(
    catalog: Catalog, row: Request, response: Response, counts: tuple[int, ...]
) -> None:
    with hanging_validator(catalog, response) as (served, hook):
        background = asking(served, catalog, row)
        actions.edit(hook.pk, catalog.vendor_user, {"active": False})
        served.release.set()
        until(background.ended.is_set, "the validation")
    assert counted(hook) == counts
    assert states() == ["cancelled"]


def test_deleted_during_validation(catalog: Catalog, row: Request) -> None:
    with called_validator(catalog, None) as (served, hook):
        background = asking(served, catalog, row)
        actions.delete(hook.pk)
        served.release.set()
        assert background.result() is True
    assert not Attempt.objects.exists() and not Delivery.objects.exists()


def test_edited_during_validation(catalog: Catalog, row: Request) -> None:
    with called_validator(catalog, None) as (served, hook):
        background = asking(served, catalog, row)
        actions.edit(hook.pk, catalog.vendor_user, {"external_url": "http://127.0.0.1:9/new"})
        served.release.set()
        assert background.result() is True
    assert counted(hook) == (1, 1, 1, 0, 0)
    assert Attempt.objects.get().url == served.url
    assert settled()


def test_late_response_is_noted_in_its_attempt(catalog: Catalog, row: Request) -> None:
    with hanging_validator(catalog, validator_response(region={"value_error": "No"})) as (
        served,
        _,
    ):
        background = asking(served, catalog, row)
        Request.objects.filter(pk=row.pk).update(status="pending")
        served.release.set()
        with pytest.raises(ActionNotAllowed, match="was too late"):
            background.result()
    assert value_errors(row) == {}
    tried = Attempt.objects.get()
    assert tried.outcome == "success"
    assert tried.why.startswith(f"Nothing is merged: {row.pk} became pending during its validation")
