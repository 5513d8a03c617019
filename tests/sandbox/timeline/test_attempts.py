"""Which attempt an API call is linked to, and how sure that is."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from sandbox.models import ApiCall, TimelineEntry
from sandbox.timeline import attempts, call_storage, timeline
from sandbox.timeline.attempts import Caller
from sandbox.timeline.timeline import Entry
from tests import make
from tests.make import AT, Catalog
from tests.portal import delivery_rows
from tests.portal.delivery_rows import delivery
from tests.sandbox import recorded
from webhooks.models import Delivery, Webhook

pytestmark = pytest.mark.django_db
PK, OTHER = "PR-1111-2222-3333-001", "PR-4444-5555-6666-001"


def second(n: float) -> datetime:
    return AT + timedelta(seconds=n)


def finished(row: Delivery, start: float, end: float, outcome: str = "success") -> None:
    attempt = delivery_rows.attempt(row, outcome, started_at=second(start), finished_at=second(end))
    row.state = "delivered" if outcome == "success" else "waiting"
    row.save()
    field = "last_success" if outcome == "success" else "last_failure"
    Webhook.objects.filter(pk=row.webhook_id).update(**{field: attempt})


def in_flight(row: Delivery, start: float) -> Delivery:
    row.state, row.started_at = "calling", second(start)
    row.save()
    return row


def calls_at(
    hook: Webhook, at: float, *objects: str, account: str = "", real: float | None = None
) -> Caller:
    """A call at a platform time, which is real time unless `real` says otherwise."""
    started = second(at if real is None else real)
    return Caller(account or hook.account_id, second(at), frozenset(objects), started)


def link(hook: Webhook, at: float, *objects: str) -> tuple[int, int, str] | None:
    [found] = attempts.find_links([calls_at(hook, at, *objects)])
    return (found.delivery, found.attempt, found.certainty) if found else None


def test_without_attempts_there_is_no_link(hook: Webhook) -> None:
    assert attempts.find_links([]) == []
    assert link(hook, 1) is None
    delivery(hook, PK, state="waiting")
    assert link(hook, 1, PK) is None


def test_only_attempt_is_certain(hook: Webhook) -> None:
    row = delivery(hook, PK)
    in_flight(row, 0)
    assert link(hook, 1) == (row.pk, 1, "certain")
    finished(row, 0, 2)
    assert link(hook, 1) == link(hook, 500, OTHER) == (row.pk, 1, "certain")


def test_attempt_about_the_object_is_certain(hook: Webhook) -> None:
    first, last = delivery(hook, PK), delivery(hook, OTHER)
    finished(first, 0, 1)
    in_flight(last, 1)
    assert link(hook, 2, PK) == (first.pk, 1, "certain")
    assert link(hook, 2, OTHER) == (last.pk, 1, "certain")
    assert link(hook, 2) == (last.pk, 1, "likely")


def test_attempt_in_flight_at_that_time_is_likely_else_the_latest(hook: Webhook) -> None:
    slow, quick = delivery(hook, PK), delivery(hook, OTHER)
    finished(slow, 0, 10)
    finished(quick, 2, 3)
    assert link(hook, 1) == (slow.pk, 1, "certain")  # the other one started later
    assert link(hook, 5) == (slow.pk, 1, "likely")
    assert link(hook, 11) == (quick.pk, 1, "likely")


def test_retry_of_the_object_is_the_one_in_flight_else_the_latest(hook: Webhook) -> None:
    row = delivery(hook, PK)
    finished(row, 0, 1, "failure")
    finished(row, 300, 301, "failure")
    assert link(hook, 302, PK) == (row.pk, 2, "certain")
    assert link(hook, 150, PK) == (row.pk, 1, "certain")
    in_flight(row, 302)
    assert link(hook, 303, PK) == (row.pk, 3, "certain")


def test_attempts_before_the_processing_timeout_or_after_the_call_are_none(
    hook: Webhook, settings: Any
) -> None:
    settings.SIM_PROCESSING_TIMEOUT = 100
    row = delivery(hook, PK)
    finished(row, 0, 1)
    assert link(hook, 100, PK) == (row.pk, 1, "certain")
    assert link(hook, 100.5, PK) is None
    assert link(hook, -2, PK) is None


def test_moment_of_a_move_s_end_is_tolerated(hook: Webhook) -> None:
    row = delivery(hook, PK)
    finished(row, 10, 10)
    assert link(hook, 9.5, PK) == (row.pk, 1, "certain")


def test_other_accounts_and_deleted_webhooks_have_no_part(hook: Webhook, catalog: Catalog) -> None:
    theirs = make.webhook(catalog, n=2, account=catalog.provider)
    finished(delivery(theirs, PK), 0, 1)
    gone = make.webhook(catalog, n=3, deleted_at=AT)
    in_flight(delivery(gone, PK), 0)
    assert link(hook, 2, PK) is None
    assert link(theirs, 2, PK) is not None


def test_frozen_clock_prefers_what_is_really_in_flight(hook: Webhook) -> None:
    done, calling = delivery(hook, PK), delivery(hook, OTHER)
    in_flight(calling, 0)
    finished(done, 0, 0)
    assert link(hook, 0) == (calling.pk, 1, "likely")


def test_statements_do_not_depend_on_the_number_of_calls(hook: Webhook) -> None:
    for n in range(30):
        finished(delivery(hook, f"PR-1111-2222-3333-{n:03d}"), n, n + 1)
    counts = []
    for size in (1, 100):
        calls = [calls_at(hook, 50, f"PR-1111-2222-3333-{n % 30:03d}") for n in range(size)]
        with CaptureQueriesContext(
            connection,
        ) as queries:
            links = attempts.find_links(calls)
        assert all(each and each.certainty == "certain" for each in links)
        counts.append(len(queries))
    assert counts == [1, 1]


def test_statements_use_indexes(hook: Webhook) -> None:
    finished(delivery(hook, PK), 0, 1)
    executed: list[tuple[str, Any]] = []

    def record(execute: Any, sql: str, params: Any, *rest: Any) -> Any:
        executed.append((sql, params))
        return execute(sql, params, *rest)

    with connection.execute_wrapper(record):
        link(hook, 2, PK)
        link(hook, 2, OTHER)
    assert len(executed) == 3
    for sql, params in executed:
        assert scans(sql, params) == []


def scans(sql: str, params: Any) -> list[str]:
    """Return the lines of the query plan that read a whole table."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # The tables are so small here that a scan would be the cheapest plan.
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute(f"EXPLAIN {sql}", params)
            return [row[0] for row in cursor.fetchall() if "Seq Scan" in row[0]]
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}", params)
        lines = [row[3] for row in cursor.fetchall()]
    # Subqueries are limited to a few rows, and the partial index has what is in flight.
    return [
        line
        for line in lines
        if line.startswith("SCAN ")
        and not line.endswith("delivery_calling")
        and line != "SCAN recent"
        and "subquery" not in line
    ]


def store(catalog: Catalog, path: str, **more: Any) -> ApiCall:
    fields = {"started": second(2).timestamp(), "account": catalog.vendor.pk, **more}
    call_storage.store([recorded.call(path, **fields)])
    return ApiCall.objects.latest("pk")


def test_link_is_stored_with_the_call_and_its_entry(hook: Webhook, catalog: Catalog) -> None:
    row = delivery(hook, PK)
    in_flight(row, 1)
    call = store(catalog, f"/public/v1/requests/{PK}/approve")
    assert (call.webhook_id, call.delivery_id, call.attempt) == (hook.pk, row.pk, 1)
    assert call.link == "certain"
    entry = TimelineEntry.objects.get()
    assert (entry.webhook_id, entry.delivery_id, entry.attempt) == (hook.pk, row.pk, 1)
    assert (entry.object_id, entry.data["link"]) == (PK, "certain")


@pytest.mark.parametrize("more", [{"actor": ApiCall.TEST}, {"account": None}])
def test_calls_of_a_test_or_without_account_are_not_linked(
    hook: Webhook, catalog: Catalog, more: dict[str, Any]
) -> None:
    in_flight(delivery(hook, PK), 1)
    call = store(catalog, f"/public/v1/requests/{PK}/approve", **more)
    assert (call.delivery_id, call.attempt, call.link) == (None, None, "")


@pytest.mark.parametrize("objects", [(PK,), ()], ids=["by object", "by time"])
def test_call_in_frozen_time_is_not_linked_to_the_attempt_that_it_caused(
    hook: Webhook, objects: tuple[str, ...]
) -> None:
    first, caused = delivery(hook, PK), in_flight(delivery(hook, PK), 10)
    finished(first, 10, 10)
    timeline.append(
        [
            Entry(
                timeline.ATTEMPT_STARTED, second(10), hook.pk, row.pk, 1, PK, real_at=second(real)
            )
            for row, real in ((first, 1), (caused, 3))
        ]
    )
    calls = [calls_at(hook, 10, *objects, real=real) for real in (2, 4)]
    links = [each and each.delivery for each in attempts.find_links(calls)]
    assert links == [first.pk, caused.pk]


def test_batch_links_each_call_by_itself(hook: Webhook, catalog: Catalog) -> None:
    other = make.webhook(catalog, n=2, account=catalog.provider)
    own, theirs = in_flight(delivery(hook, PK), 1), in_flight(delivery(other, PK), 1)
    callers = [
        calls_at(hook, at, account=account)
        for account, at in itertools.product((hook.account_id, other.account_id), (2, -5))
    ]
    found = [each and each.delivery for each in attempts.find_links(callers)]
    assert found == [own.pk, None, theirs.pk, None]
