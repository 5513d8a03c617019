"""A validation merges a response only when its attempt is recorded, and it never hangs."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import DataError, InterfaceError, OperationalError, ProgrammingError

from requests_queue import event_loops
from requests_queue.queues.validation import ValidationRequest
from tests.engines import lost_results
from tests.handlers import handler
from tests.webhooks.validating import (
    draft,
    platform,
    refused,
    validate,
    validator,
    validator_response,
    value_errors,
)
from webhooks import states, webhook_health
from webhooks.delivery import attempt, record, validators
from webhooks.models import Attempt, Delivery

pytestmark = pytest.mark.django_db(transaction=True)
COMPLAINT = validator_response(region={"value_error": "No."})


def fails(monkeypatch: pytest.MonkeyPatch, error: Exception, times: int) -> None:
    """Record attempts after a number of errors."""
    real, remaining = record.record, iter(range(times))

    def record_(*args: Any, **more: Any) -> Any:
        if next(remaining, None) is not None:
            raise error
        return real(*args, **more)

    monkeypatch.setattr(record, "record", record_)


ERRORS = [OperationalError("away"), InterfaceError("closed"), ProgrammingError("no such column")]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_short_outage_of_the_database_loses_no_response(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = platform()
    fails(monkeypatch, error, times=2)
    with handler(COMPLAINT) as served:
        validator(catalog, served.url)
        row = draft(catalog)
        assert validate(catalog, row)
    assert value_errors(row) == {"region": "No."}
    assert Attempt.objects.get().outcome == "success"
    assert len(served.received) == 1
    assert webhook_health.counter_discrepancies() == []


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_response_whose_attempt_is_not_stored_is_not_merged(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validators, "_STORE", 0.1)
    catalog = platform()
    with handler(COMPLAINT) as served, monkeypatch.context() as patch:
        validator(catalog, served.url)
        row = draft(catalog)
        fails(patch, error, times=10**6)
        with pytest.raises(OperationalError):
            validate(catalog, row)
    assert value_errors(row) == {}
    # A worker records it once the lease has expired.
    Delivery.objects.update(lease=1.0)
    assert record.record(lost_results()) == ["settled"]
    assert Attempt.objects.get().outcome == "unknown"
    assert webhook_health.counter_discrepancies() == []


def test_response_that_cannot_be_stored_is_not_merged(monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = platform()
    real = attempt.attempt_row
    with handler(COMPLAINT) as served:
        first = validator(catalog, f"{served.url}1")
        second = validator(catalog, f"{served.url}2", n=2)

        def row_(one: attempt.RecordedAttempt, sent: Any) -> Any:
            result = one.result
            if result.claim.webhook.id == second.pk and result.outcome == states.SUCCESS:
                raise DataError("a value that cannot be stored")
            return real(one, sent)

        monkeypatch.setattr(attempt, "attempt_row", row_)
        row = draft(catalog)
        assert refused(catalog, row) == ["Validate again: a response could not be stored."]
    assert value_errors(row) == {}
    one, other = Attempt.objects.get(webhook=first), Attempt.objects.get(webhook=second)
    assert (one.outcome, one.why) == (
        "success",
        "Nothing is merged: a response could not be stored.",
    )
    assert (other.outcome, other.error) == (
        "failure",
        "The response could not be stored, so the attempt counts as a failure.",
    )
    assert webhook_health.counter_discrepancies() == []


def test_defect_in_reading_a_response_is_recorded_as_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    catalog = platform()

    def read(self: ValidationRequest) -> Any:
        raise RuntimeError("a defect")

    monkeypatch.setattr(validators, "_json", read)
    with handler(COMPLAINT) as served:
        validator(catalog, served.url)
        [message] = refused(catalog, draft(catalog))
    assert message == "Internal error: the response could not be processed. See the server's log."
    assert Attempt.objects.get().outcome == "failure"
    assert set(Delivery.objects.values_list("state", flat=True)) == {"failed"}


def test_invalid_proxy_prevents_start_without_blocking_callers(settings: Any) -> None:
    settings.SIM_HTTP_PROXY = "socks5://user:hidden-password@127.0.0.1:1080"
    with pytest.raises(
        event_loops.StartFailed, match="SIM_HTTP_PROXY: The proxy must be"
    ) as failed:
        validators.start()
    catalog = platform()
    with handler(COMPLAINT) as served:
        validator(catalog, served.url)
        row = draft(catalog)
        [message] = refused(catalog, row)
        assert message == "The validator could not be called: see the server's log."
        attempt = Attempt.objects.get()
        assert "SIM_HTTP_PROXY" in attempt.error
        assert "hidden-password" not in attempt.error + str(failed.value)
        # With a valid setting, validations work.
        settings.SIM_HTTP_PROXY = ""
        validators.start()
        assert validate(catalog, row)


def test_client_that_does_not_start_does_not_block_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Any:
        raise RuntimeError("no loop")

    catalog = platform()
    with handler(COMPLAINT) as served:
        validator(catalog, served.url)
        row = draft(catalog)
        with monkeypatch.context() as patch:
            patch.setattr(event_loops, "new_loop_factory", broken)
            assert len(refused(catalog, row)) == 1
        assert validate(catalog, row)
