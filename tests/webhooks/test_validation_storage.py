"""A validation merges a response only when its attempt is recorded, and it never hangs."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import DataError, InterfaceError, OperationalError, ProgrammingError

from requests_queue import event_loops
from requests_queue.queues.fulfillment.models import Request
from tests.engines import lost_results
from tests.handlers import handler
from tests.make import Catalog
from tests.webhooks.breaking import ALWAYS, break_
from tests.webhooks.validating import (  # noqa: F401  (fixtures)
    called_validator,
    catalog,
    draft,
    refused,
    row,
    validate,
    validator,
    validator_response,
    value_errors,
)
from webhooks import states
from webhooks.delivery import attempt, record, validators
from webhooks.models import Attempt, Delivery

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("sound_counters"),
]
COMPLAINT = validator_response(region={"value_error": "No."})


ERRORS = [OperationalError("away"), InterfaceError("closed"), ProgrammingError("no such column")]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_short_outage_of_the_database_loses_no_response(
    catalog: Catalog, row: Request, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_(monkeypatch, record, "record", error, times=2)
    with called_validator(catalog, COMPLAINT) as (served, _):
        assert validate(catalog, row)
    assert value_errors(row) == {"region": "No."}
    assert Attempt.objects.get().outcome == "success"
    assert len(served.received) == 1


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_response_whose_attempt_is_not_stored_is_not_merged(
    catalog: Catalog, row: Request, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validators, "_STORE", 0.1)
    with handler(COMPLAINT) as served, monkeypatch.context() as patch:
        validator(catalog, served.url)
        break_(patch, record, "record", error, ALWAYS)
        with pytest.raises(OperationalError):
            validate(catalog, row)
    assert value_errors(row) == {}
    # A worker records it once the lease has expired.
    Delivery.objects.update(lease=1.0)
    assert record.record(lost_results()) == ["settled"]
    assert Attempt.objects.get().outcome == "unknown"


def test_response_that_cannot_be_stored_is_not_merged(
    catalog: Catalog, row: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = attempt.attempt_row
    with handler(COMPLAINT) as served:
        first = validator(catalog, f"{served.url}1")
        second = validator(catalog, f"{served.url}2", n=2)

        def row_(one: attempt.RecordedAttempt, *shared: Any) -> Any:
            result = one.result
            if result.claim.webhook.id == second.pk and result.outcome == states.SUCCESS:
                raise DataError("a value that cannot be stored")
            return real(one, *shared)

        monkeypatch.setattr(attempt, "attempt_row", row_)
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


def test_defect_in_reading_a_response_is_recorded_as_failure(
    catalog: Catalog, row: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_(monkeypatch, validators, "_json", RuntimeError("a defect"), ALWAYS)
    with called_validator(catalog, COMPLAINT):
        [message] = refused(catalog, row)
    assert message == "Internal error: the response could not be processed. See the server's log."
    assert Attempt.objects.get().outcome == "failure"
    assert set(Delivery.objects.values_list("state", flat=True)) == {"failed"}


def test_invalid_proxy_prevents_start_without_blocking_callers(
    catalog: Catalog, row: Request, settings: Any
) -> None:
    settings.SIM_HTTP_PROXY = "socks5://user:hidden-password@127.0.0.1:1080"
    with pytest.raises(
        event_loops.StartFailed, match="SIM_HTTP_PROXY: The proxy must be"
    ) as failed:
        validators.start()
    with called_validator(catalog, COMPLAINT):
        [message] = refused(catalog, row)
        assert message == "The validator could not be called: see the server's log."
        attempt = Attempt.objects.get()
        assert "SIM_HTTP_PROXY" in attempt.error
        assert "hidden-password" not in attempt.error + str(failed.value)
        # With a valid setting, validations work.
        settings.SIM_HTTP_PROXY = ""
        validators.start()
        assert validate(catalog, row)


def test_client_that_does_not_start_does_not_block_callers(
    catalog: Catalog, row: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    with called_validator(catalog, COMPLAINT):
        with monkeypatch.context() as patch:
            break_(patch, event_loops, "new_loop_factory", RuntimeError("no loop"), ALWAYS)
            assert len(refused(catalog, row)) == 1
        assert validate(catalog, row)
