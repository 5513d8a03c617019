"""Storing finished attempts: which are kept, isolated, replaced or released."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from django.db import (
    DataError,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
)

from requests_queue import clock
from tests import make
from tests.engines import lost_results
from webhooks import actions, states, webhook_health
from webhooks.delivery import attempt, claim, record
from webhooks.delivery.attempt import AttemptResult
from webhooks.delivery.claim import Claim
from webhooks.models import Attempt, Delivery, Webhook

pytestmark = pytest.mark.django_db(transaction=True)


def of_postgres(sqlstate: str) -> OperationalError:
    """Return an error like one of PostgreSQL's driver."""
    error = OperationalError("as PostgreSQL says it")
    error.__cause__ = type("Cause", (Exception,), {"sqlstate": sqlstate})()
    return error


TRANSIENT = [
    OperationalError("server closed the connection unexpectedly"),
    OperationalError("database is locked"),
    InterfaceError("connection already closed"),
    of_postgres("40P01"),
    of_postgres("40001"),
    of_postgres("55P03"),
    of_postgres("57P01"),
    of_postgres("53100"),
    ProgrammingError("relation does not exist"),
    InternalError("current transaction is aborted"),
    NotSupportedError("not supported"),
    MemoryError(),
]
OF_THE_ROW = [
    DataError("value too long"),
    IntegrityError("violates a constraint"),
    of_postgres("54000"),
    UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
    ValueError("embedded null byte"),
    OverflowError("int too large to convert"),
    TypeError("not JSON serializable"),
    KeyError("headers"),
    RuntimeError("a defect"),
    RecursionError(),
]


def name(error: BaseException) -> str:
    return f"{type(error).__name__} {getattr(error.__cause__, 'sqlstate', '')}".strip()


def claimed(count: int = 5) -> list[Claim]:
    """Return claimed deliveries of one webhook, in the order of their ids."""
    catalog = make.catalog()
    make.webhook(catalog)
    make.order(catalog, count)
    calls = claim.claim(100).claims
    assert len(calls) == count
    return calls


def succeeded(calls: Sequence[Claim]) -> list[AttemptResult]:
    return [AttemptResult(call, states.SUCCESS, 5) for call in calls]


def breaks(
    monkeypatch: pytest.MonkeyPatch, error: Exception, when: Callable[[AttemptResult], bool]
) -> None:
    """Raise an error for the rows of some attempts."""
    real = attempt.attempt_row

    def row(one: attempt.RecordedAttempt, *shared: Any) -> Any:
        if when(one.result):
            raise error
        return real(one, *shared)

    monkeypatch.setattr(attempt, "attempt_row", row)


def counted() -> tuple[int, int, int]:
    hook = Webhook.objects.get()
    assert webhook_health.counter_discrepancies() == []
    return hook.triggers, hook.success_triggers, hook.failure_triggers


@pytest.mark.parametrize("error", TRANSIENT, ids=name)
def test_transient_error_keeps_results_and_makes_no_failure(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished = succeeded(claimed())
    with monkeypatch.context() as patch:
        breaks(patch, error, lambda call: True)
        for _ in range(3):
            result = record.flush(finished)
            assert result.stored == ["kept"] * 5
            assert result.error is not None
    assert counted() == (0, 0, 0)
    assert record.flush(finished).stored == ["settled"] * 5
    assert counted() == (5, 5, 0)


@pytest.mark.parametrize("error", OF_THE_ROW, ids=name)
@pytest.mark.parametrize("at", [0, 2, 4])
def test_only_row_that_cannot_be_stored_becomes_failure(
    at: int, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = claimed()
    bad = calls[at].delivery_id
    breaks(
        monkeypatch,
        error,
        lambda call: call.claim.delivery_id == bad and call.outcome == states.SUCCESS,
    )
    stored = record.flush(succeeded(calls)).stored
    assert [str(one) for one in stored] == ["replaced" if n == at else "settled" for n in range(5)]
    assert counted() == (5, 4, 1)
    attempt = Attempt.objects.get(delivery=bad)
    assert (attempt.outcome, attempt.status_code) == ("failure", None)
    assert attempt.error == "The response could not be stored, so the attempt counts as a failure."
    assert Delivery.objects.get(pk=bad).state == "waiting"


@pytest.mark.parametrize("error", [DataError("x"), RuntimeError("x")], ids=name)
@pytest.mark.parametrize("at", [0, 2, 4])
def test_row_that_cannot_be_stored_in_any_form_is_released(
    at: int, error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    calls = claimed()
    bad = calls[at].delivery_id
    breaks(monkeypatch, error, lambda call: call.claim.delivery_id == bad)
    stored = record.flush(succeeded(calls)).stored
    assert [str(one) for one in stored] == ["released" if n == at else "settled" for n in range(5)]
    assert counted() == (4, 4, 0)
    row = Delivery.objects.get(pk=bad)
    assert (row.state, row.claim, row.lease, row.attempts) == ("waiting", None, None, 0)
    assert f"The attempt of delivery {bad}" in caplog.text
    # The request is not repeated in a loop.
    until = Webhook.objects.get().earliest_possible_trigger
    assert until is not None and (until - clock.now()).total_seconds() > 290
    assert claim.claim(10).claims == []


@pytest.mark.parametrize(
    "content",
    [
        {"error": "lone surrogate \ud800"},
        {"duration": 2**70},
        {"error": "lone surrogate \udfff", "duration": 2**40},
    ],
    ids=["surrogate", "duration", "both"],
)
def test_value_that_no_database_stores_becomes_failure(content: dict[str, Any]) -> None:
    first, second = succeeded(claimed(2))
    assert record.flush([replace(first, **content), second]).stored == ["replaced", "settled"]
    assert counted() == (2, 1, 1)


def test_address_that_no_database_stores_releases_its_delivery() -> None:
    first, second = claimed(2)
    settings = replace(first.webhook, external_url="http://127.0.0.1/\ud800")
    bad = replace(first, webhook=settings)
    assert record.flush(succeeded([bad, second])).stored == ["released", "settled"]
    assert counted() == (1, 1, 0)


def test_lost_attempt_that_cannot_be_stored_does_not_keep_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = claimed(3)
    breaks(monkeypatch, RuntimeError("x"), lambda call: call.claim.key == calls[1].key)
    Delivery.objects.update(lease=1.0)
    assert record.flush(lost_results()).stored == ["settled", "released", "settled"]
    assert list(Attempt.objects.values_list("outcome", flat=True)) == ["unknown", "unknown"]
    assert counted() == (2, 0, 0)
    assert set(Delivery.objects.values_list("state", flat=True)) == {"waiting"}
    assert claim.lost_claims() == []


def test_isolation_stores_the_others_while_one_row_fails_as_if_the_database_were_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = claimed()
    bad = calls[1].delivery_id
    with monkeypatch.context() as patch:
        breaks(patch, OperationalError("away"), lambda call: call.claim.delivery_id == bad)
        assert record.flush(succeeded(calls)).stored == ["kept"] * 5
        result = record.flush(succeeded(calls), isolate=True)
        assert result.stored == ["settled", "kept", "settled", "settled", "settled"]
        assert result.failed_alone == [1]
    assert record.flush(succeeded([calls[1]])).stored == ["settled"]
    assert counted() == (5, 5, 0)


def test_isolation_gives_up_when_many_rows_fail(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.SIM_MAX_IN_FLIGHT = 40
    finished = succeeded(claimed(40))
    tried: list[int] = []
    real = record.record

    def record_(calls: Sequence[AttemptResult], **more: Any) -> Any:
        tried.append(len(calls))
        return real(calls, **more)

    monkeypatch.setattr(record, "record", record_)
    breaks(monkeypatch, ProgrammingError("no such column"), lambda call: True)
    assert record.flush(finished).stored == ["kept"] * 40
    assert tried.count(1) == 10 and len(tried) < 40


def test_attempt_of_deleted_webhook_is_no_error() -> None:
    calls = claimed(2)
    actions.delete(calls[0].webhook.id)
    assert record.flush(succeeded(calls)).stored == ["dropped", "dropped"]
    assert not Attempt.objects.exists()


def test_commit_that_was_not_confirmed_is_recorded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    finished = succeeded(claimed(3))
    real = record.record

    def record_(calls: Sequence[AttemptResult], **more: Any) -> Any:
        real(calls, **more)
        raise OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as patch:
        patch.setattr(record, "record", record_)
        assert record.flush(finished).stored == ["kept"] * 3
    assert record.flush(finished).stored == ["dropped"] * 3
    assert Attempt.objects.count() == 3
    assert counted() == (3, 3, 0)
