"""Retention of deliveries: exactly what the policy keeps remains, while everything else goes on."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from hypothesis import example, given
from hypothesis import strategies as st

from portal.models import BulkResend
from requests_queue import clock
from requests_queue.db import retention
from tests import make, patched_time
from tests.background import Background, concurrently
from tests.engines import running, until
from tests.handlers import handler
from tests.hypothesis_profiles import examples
from tests.old_deliveries import count_rows, fill
from tests.pruned import prune, prune_all, small_steps
from tests.webhooks.claimed import finish
from webhooks import cleanup, pruning, states, webhook_health
from webhooks.delivery import fan_out
from webhooks.models import Attempt, ClearedBackoff, Delivery, Event, Webhook

DAY = 24 * 3600
AGES = (0, 60, 20 * 60, 2 * DAY, 10 * DAY, 40 * DAY)  # seconds; none near a limit
BIG = ("webhooks_delivery", "webhooks_attempt", "webhooks_event")


class Crash(BaseException):
    """The process is killed."""


@dataclass(frozen=True)
class Made:
    """A delivery to make: webhook, state, age, the ages and outcomes of its attempts, its events,
    and whether a running job refers to it."""

    webhook: int
    state: str
    age: int
    attempts: tuple[tuple[int, str], ...]
    events: int
    in_job: bool


@st.composite
def made(draw: st.DrawFn) -> list[Made]:
    # Ids grow with the time of the creation.
    ages = sorted(draw(st.lists(st.sampled_from(AGES), max_size=14)), reverse=True)
    return [
        Made(
            draw(st.integers(0, 1)),
            draw(st.sampled_from(states.STATES)),
            age,
            tuple(
                (
                    draw(st.sampled_from([a for a in AGES if a <= age])),
                    draw(st.sampled_from(states.OUTCOMES)),
                )
                for _ in range(draw(st.integers(0, 2)))
            ),
            draw(st.integers(0, 3)),
            draw(st.integers(0, 9)) == 0,
        )
        for age in ages
    ]


def insert(rows: Sequence[Made], hooks: Sequence[Webhook], now: datetime) -> list[Delivery]:
    """Insert the deliveries, with the counters and pointers of their webhooks."""

    def ago(seconds: float) -> datetime:
        return now - timedelta(seconds=seconds)

    deliveries = Delivery.objects.bulk_create(
        Delivery(
            webhook=hooks[row.webhook],
            state=row.state,
            created_at=ago(row.age),
            attempts=len(row.attempts),
        )
        for row in rows
    )
    for row, delivery in zip(rows, deliveries, strict=True):
        hook = hooks[row.webhook]
        Event.objects.bulk_create(
            Event(webhook=hook, delivery=delivery, at=delivery.created_at)
            for _ in range(row.events)
        )
        for number, (age, outcome) in enumerate(row.attempts, 1):
            attempt = Attempt.objects.create(
                webhook=hook,
                delivery=delivery,
                number=number,
                outcome=outcome,
                duration=1,
                started_at=ago(age),
                finished_at=ago(age),
                method="POST",
                url="http://127.0.0.1/",
            )
            pointer = {states.SUCCESS: "last_success", states.FAILURE: "last_failure"}.get(outcome)
            if pointer:
                Webhook.objects.filter(pk=hook.pk).update(**{pointer: attempt})
    for hook in hooks:
        count_rows(hook)
    jobs = [pk.pk for row, pk in zip(rows, deliveries, strict=True) if row.in_job]
    running_job(hooks[0], [0, *jobs], position=1)
    return deliveries


def running_job(hook: Webhook, deliveries: Sequence[int], position: int = 0) -> BulkResend:
    return BulkResend.objects.create(
        account=hook.account,
        key=uuid.uuid4(),
        state=BulkResend.RUNNING,
        created_at=make.AT,
        page="/",
        deliveries=list(deliveries),
        total=len(deliveries),
        position=position,
    )


def expected(
    rows: Sequence[Made],
    deliveries: Sequence[Delivery],
    hooks: Sequence[Webhook],
    days: int,
    count: int,
) -> set[int]:
    """Return the deliveries that the policy keeps, as docs/retention.md has it."""
    pointed = set()
    for hook in hooks:
        hook.refresh_from_db()
        pointed |= {a.delivery_id for a in (hook.last_success, hook.last_failure) if a}
    newest: dict[int, int] = {0: 0, 1: 0}
    kept = set()
    for row, delivery in reversed(list(zip(rows, deliveries, strict=True))):
        newest[row.webhook] += 1
        is_beyond = count and newest[row.webhook] > count
        ended = min([age for age, _ in row.attempts], default=row.age)
        is_old = days and ended > days * DAY
        is_busy = row.state in ("waiting", "calling") or row.in_job or delivery.pk in pointed
        if is_busy or ended < 600 or not (is_old or is_beyond):
            kept.add(delivery.pk)
    return kept


by_age = partial(example, days=30, count=0, step=7, read=5)
OLD, NEWER = 40 * DAY, 10 * DAY


@pytest.mark.django_db
@examples(25)
# The last success and the last failure of a webhook are kept, that of a cancelled delivery too.
@by_age(rows=[Made(0, "delivered", OLD, ((OLD, states.SUCCESS),), 1, False)])
@by_age(
    rows=[
        Made(0, "cancelled", OLD, ((OLD, states.FAILURE),), 1, False),
        Made(0, "delivered", NEWER, ((NEWER, states.SUCCESS),), 1, False),
    ]
)
# Deliveries that are not finished are kept, and cancelled ones without attempts removed.
@by_age(rows=[Made(0, state, OLD, (), 1, False) for state in states.STATES])
# The age counts from the last attempt.
@by_age(
    rows=[
        Made(0, "delivered", OLD, ((OLD, states.FAILURE), (NEWER, states.SUCCESS)), 1, False),
        Made(0, "delivered", NEWER, ((NEWER, states.FAILURE), (60, states.SUCCESS)), 1, False),
    ]
)
@given(
    rows=made(),
    days=st.sampled_from([0, 1, 30]),
    count=st.sampled_from([0, 1, 3]),
    step=st.integers(1, 7),
    read=st.integers(1, 5),
)
def test_exactly_what_the_policy_keeps_remains(
    rows: list[Made], days: int, count: int, step: int, read: int
) -> None:
    with (
        rolled_back(),
        pytest.MonkeyPatch.context() as patch,
        override_settings(SIM_KEEP_DAYS=days, SIM_KEEP_DELIVERIES=count),
    ):
        small_steps(patch, step)
        patch.setattr(pruning, "READ", read)
        patch.setattr(pruning, "_COUNTED", 2)
        catalog = make.catalog()
        hooks = [make.webhook(catalog), make.webhook(catalog, n=2)]
        deliveries = insert(rows, hooks, clock.now())
        kept = expected(rows, deliveries, hooks, days, count)
        before = counters()
        counted = retention.run(dry_run=True, pause=lambda seconds: None).removed
        assert Delivery.objects.count() == len(rows)
        removed = prune_all()
        assert +counted == +removed
        assert set(Delivery.objects.values_list("pk", flat=True)) == kept
        for model in (Attempt, Event):
            assert set(model.objects.values_list("delivery", flat=True)) <= kept
        assert counters() == before
        assert webhook_health.counter_discrepancies() == []
        assert not prune()


def counters() -> list[Any]:
    names = (
        "pk",
        "events",
        "triggers",
        "success_triggers",
        "failure_triggers",
        "failure_since_last_success",
        "last_success",
        "last_failure",
    )
    return list(Webhook.objects.order_by("pk").values_list(*names))


@contextmanager
def rolled_back() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.fixture
def catalog(transactional_db: None) -> make.Catalog:
    return make.catalog()


def remaining() -> list[int]:
    return [model.objects.count() for model in (Delivery, Attempt, Event)]


def test_running_job_keeps_what_it_is_to_send(
    hook: Webhook, catalog: make.Catalog, settings: Any
) -> None:
    fill([hook], 3)
    first, second, third = Delivery.objects.order_by("pk").values_list("pk", flat=True)
    job = running_job(hook, [first, second], position=1)
    assert prune() == 2
    assert [row.pk for row in Delivery.objects.all()] == [second]
    BulkResend.objects.filter(pk=job.pk).update(state=BulkResend.CANCELLED)
    assert prune() == 1 and third > second


def test_killed_run_leaves_nothing_half_done(
    hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_steps(monkeypatch, 9)
    fill([hook], 10)

    def crash(*_: Any, **__: Any) -> Any:
        raise Crash

    def crash_late(execute: Any, sql: str, *args: Any) -> Any:
        # In the middle of a step, after attempts and events have been deleted.
        return crash() if sql.startswith('DELETE FROM "webhooks_delivery"') else execute(sql, *args)

    with connection.execute_wrapper(crash_late), pytest.raises(Crash):
        prune()
    assert remaining() == [10, 10, 10]
    with pytest.raises(Crash):
        # Between two steps.
        retention.run(pause=crash)
    assert remaining() == [7, 7, 7]
    assert webhook_health.counter_discrepancies() == []
    assert prune() == 7 and remaining() == [0, 0, 0]
    assert webhook_health.counter_discrepancies() == []


def test_concurrent_runs_remove_each_row_once(
    catalog: make.Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_steps(monkeypatch, 10)
    hooks = [make.webhook(catalog), make.webhook(catalog, n=2)]
    fill(hooks, 60)
    counts = concurrently(prune_all, prune_all, prune_all)
    left = prune_all()
    assert sum(each["deliveries"] for each in (*counts, left)) == 120
    assert sum(each["attempts"] for each in (*counts, left)) == 120
    assert remaining() == [0, 0, 0]
    assert webhook_health.counter_discrepancies() == []


def test_run_continues_where_its_time_ended(
    catalog: make.Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_steps(monkeypatch, 30)
    fill([make.webhook(catalog, n=n) for n in (1, 2, 3)], 20)
    position, removed, runs = None, 0, 0
    while not runs or position is not None:
        with monkeypatch.context() as patch:
            # The time of each run ends after its first step.
            ticks = iter([0.0, 0.0, 0.0, *[99.0] * 9])
            patched_time.replace(patch, retention, monotonic=lambda ticks=ticks: next(ticks))
            result = retention.run(1.0, position, pause=lambda seconds: None)
        position, removed, runs = result.position, removed + result.removed["deliveries"], runs + 1
        assert runs < 50
    assert removed == 60 and runs > 6


def test_requests_are_sent_and_recorded_during_a_step(
    catalog: make.Catalog, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    if connection.vendor != "postgresql":
        # SQLite has one writer at a time: there the others run between two steps.
        return
    fill([hook], 50)
    ended: list[Any] = []

    def deliver() -> list[Any]:
        make.order(catalog)
        return finish()

    def meanwhile(ids: Sequence[int], dry_run: bool) -> dict[str, int]:
        ended.extend(Background(deliver).result())
        return {}

    monkeypatch.setattr(pruning, "DEPENDENTS", [*pruning.DEPENDENTS, meanwhile])
    assert prune() == 50
    assert ended and webhook_health.counter_discrepancies() == []


def test_deliveries_go_on_between_steps(
    catalog: make.Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_steps(monkeypatch, 30)
    with handler() as served, running():
        hook = make.webhook(catalog, served.url)
        fill([hook], 40)

        def deliver(seconds: float) -> None:
            Background(lambda: fan_out.trigger(hook)).result()
            assert served.next()

        retention.run(pause=deliver)
        until(lambda: not Delivery.objects.exclude(state="delivered").exists(), "all are recorded")
    hook.refresh_from_db()
    assert hook.pruned_events == 40 and hook.events > 42
    assert webhook_health.counter_discrepancies() == []


def test_locked_rows_are_left_for_the_next_run(hook: Webhook) -> None:
    if connection.vendor != "postgresql":
        return
    fill([hook], 3)
    with transaction.atomic():
        second = Delivery.objects.order_by("pk")[1].pk
        held = Delivery.objects.select_for_update().get(pk=second)
        began = time.monotonic()
        assert Background(prune).result() == 2
        assert time.monotonic() - began < 10
        assert Delivery.objects.get() == held
    assert prune() == 1


def test_deleted_webhook_is_left_to_its_removal(hook: Webhook, catalog: make.Catalog) -> None:
    fill([hook], 3)
    Webhook.objects.update(deleted_at=make.AT)
    assert prune() == 0
    cleanup.remove_deleted(pause=lambda seconds: None)
    assert remaining() == [0, 0, 0] and not Webhook.with_deleted.exists()


def test_old_cleared_backoffs_are_pruned_with_what_they_explain(
    hook: Webhook, catalog: make.Catalog, settings: Any
) -> None:
    fill([hook], 2)
    attempt = Attempt.objects.earliest("delivery_id")
    for days in (301, 299):
        ClearedBackoff.objects.create(
            webhook=hook,
            at=make.AT - timedelta(days=days),
            cause="succeeded",
            failures=1,
            attempt=attempt,
            began_at=make.AT - timedelta(days=days + 2),
            was_out_of_order=False,
        )
    settings.SIM_KEEP_DAYS, settings.SIM_KEEP_DELIVERIES = 0, 1
    assert prune() == 1
    # That of 299 days ago explains the attempt that is left, which it refers to no more.
    assert [row.attempt for row in ClearedBackoff.objects.all()] == [None]
    Webhook.objects.update(last_success=None)
    settings.SIM_KEEP_DAYS = 30
    assert prune() == 1 and not ClearedBackoff.objects.exists()


def test_statements_use_indexes_at_size(
    catalog: make.Catalog,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
    analyze: Callable[[], None],
) -> None:
    small_steps(monkeypatch, 100)
    monkeypatch.setattr(pruning, "READ", 100)
    settings.SIM_KEEP_DAYS, settings.SIM_KEEP_DELIVERIES = 0, 7_850
    fill([make.webhook(catalog, n=n) for n in (1, 2)], 8_000)
    analyze()
    with CaptureQueriesContext(connection) as queries:
        assert prune() == 300
    plans = {query["sql"] for query in queries if re.match("SELECT|UPDATE|DELETE", query["sql"])}
    assert len(plans) > 30
    assert {line for sql in plans for line in scans(sql)} == set()


def scans(sql: str) -> list[str]:
    """Return the lines of the query plan that read a whole large table."""
    with connection.cursor() as cursor:
        explain = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
        cursor.execute(f"{explain} {sql.replace('%', '%%')}")
        lines = [str(row[-1]) for row in cursor.fetchall()]
    pattern = re.compile(rf"(Seq Scan on|SCAN) ({'|'.join(BIG)})\b")
    return [line for line in lines if pattern.search(line)]


def test_file_of_sqlite_does_not_grow(hook: Webhook) -> None:
    if connection.vendor != "sqlite":
        return
    pages = []
    for _ in range(4):
        fill([hook], 300, body=2000)
        prune()
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA page_count")
            pages.append(cursor.fetchone()[0])
    # The pages of removed rows are used again.
    assert pages[3] <= pages[1] * 1.02


def test_command_counts_and_then_removes(
    catalog: make.Catalog, hook: Webhook, settings: Any
) -> None:
    fill([hook], 12)

    def printed(*arguments: str) -> list[str]:
        output = StringIO()
        call_command("prune", *arguments, stdout=output)
        return output.getvalue().splitlines()

    rows = ["12 attempts", "12 deliveries", "12 events"]
    assert printed("--dry-run") == ["Would be removed:", *rows]
    assert remaining() == [12, 12, 12]
    assert printed() == rows
    assert printed() == printed("--dry-run") == ["Nothing to remove."]
    settings.SIM_KEEP_DAYS = 0
    fill([make.webhook(catalog, n=2)], 2)
    assert printed() == ["Nothing to remove."]


class Failing:
    """A kind of rows whose removal fails."""

    name = "failing rows"

    def step(self, position: str, rows: int, *, dry_run: bool) -> retention.Step:
        raise DatabaseError("database is locked")


def test_kind_that_fails_doesnt_keep_others(
    hook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    fill([hook], 2)
    retention.KINDS.insert(0, Failing())
    try:
        with pytest.raises(CommandError, match=r"Not finished: failing rows\."):
            call_command("prune", stdout=StringIO())
    finally:
        del retention.KINDS[0]
    assert "Pruning of failing rows failed" in caplog.text
    assert remaining() == [0, 0, 0]


def test_step_that_fails_until_the_time_is_over_is_reported(
    catalog: make.Catalog, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(retention, "_PAUSE", 1e12)
    pauses: list[float] = []
    result = retention.run(60, kinds=[Failing()], pause=pauses.append)
    assert (result.failed, pauses) == (["failing rows"], [])
    assert "Pruning of failing rows failed" in caplog.text


def test_step_that_cannot_get_a_lock_is_repeated(
    hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_steps(monkeypatch, 9)
    fill([hook], 6)
    errors = iter([True, True, False, True, False])

    def locked(ids: Sequence[int], dry_run: bool) -> dict[str, int]:
        if next(errors):
            raise DatabaseError("lock timeout")
        return {}

    monkeypatch.setattr(pruning, "DEPENDENTS", [*pruning.DEPENDENTS, locked])
    assert prune() == 6
    assert remaining() == [0, 0, 0] and webhook_health.counter_discrepancies() == []


def test_pruning_is_scheduled(settings: Any) -> None:
    from connect_sim.celery import app

    app.loader.import_default_modules()
    assert settings.CELERY_BEAT_SCHEDULE["prune"]["task"] in app.tasks
    names = {kind.name for kind in retention.KINDS}
    assert {"deliveries", "tasks of extensions", "API calls", "timeline entries"} <= names
