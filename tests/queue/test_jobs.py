"""The platform's jobs: a failing one does not stop others, and is shown until it succeeds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from requests_queue import clock, jobs
from requests_queue.catalog.models import Asset
from requests_queue.models import FailedJob
from requests_queue.queues.billing import due as billing
from requests_queue.queues.billing.models import BillingRequest, SubscriptionBilling
from requests_queue.queues.fulfillment.models import Request
from requests_queue.signals import collect_busy, collect_next_due, due_reached
from requests_queue.tasks import run_due
from sandbox.clock import moves
from tests import html, make
from tests.queue import builders
from tests.queue.platforms import Platform
from tests.signed_in import signed_in
from webhooks.models import Webhook

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def receiving(signal: Any, *receivers: Callable[..., Any]) -> Iterator[None]:
    for receiver in receivers:
        signal.connect(receiver)
    try:
        yield
    finally:
        for receiver in receivers:
            signal.disconnect(receiver)


@pytest.fixture(autouse=True)
def nothing_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_logged", {})
    monkeypatch.setattr(jobs, "QUIET", 0.0)


def broken(**kwargs: Any) -> None:
    raise ZeroDivisionError("a secret of the row")


def test_failing_job_does_not_stop_others(caplog: pytest.LogCaptureFixture) -> None:
    ran: list[str] = []
    before, after = (lambda name=name, **_: ran.append(name) for name in ("before", "after"))
    with receiving(due_reached, before, broken, after):
        for _ in range(3):
            run_due()
    assert ran == ["before", "after"] * 3
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    # One line per run, but only one traceback.
    assert [record.exc_info is not None for record in errors] == [True, False, False]
    assert all("test_jobs.broken failed" in record.getMessage() for record in errors)


def test_home_page_shows_a_failed_job_until_it_succeeds(catalog: make.Catalog) -> None:
    fails = True

    def sometimes(**kwargs: Any) -> None:
        if fails:
            broken()

    browser = signed_in(catalog.vendor_user)
    with receiving(due_reached, sometimes):
        run_due()
        since = FailedJob.objects.get().since
        run_due()
        for path in ("/", "/home/live/"):
            page = html.get(browser, path)
            failed = page.one("ul.jobs li")
            assert "ZeroDivisionError, 2 times since" in failed
            assert failed.one("time")["datetime"] == f"{since:%Y-%m-%dT%H:%M:%SZ}"
            assert "a secret of the row" not in page
        fails = False
        run_due()
    assert not html.get(browser, "/").all("ul.jobs")
    assert not FailedJob.objects.exists()


def test_a_job_that_succeeds_writes_nothing() -> None:
    run_due()
    with CaptureQueriesContext(connection) as queries:
        run_due()
    written = [query["sql"] for query in queries if "failedjob" in query["sql"]]
    assert len(written) == 1 and written[0].startswith("SELECT")


def test_database_error_leaves_no_broken_transaction() -> None:
    def halfway(**kwargs: Any) -> None:
        from django.db import transaction

        with transaction.atomic():
            FailedJob.objects.create(job="half-done", name="x", error="x", since=clock.now())
            connection.cursor().execute("SELECT nothing FROM of_the_kind")

    in_transaction: list[bool] = []

    def after(**kwargs: Any) -> None:
        in_transaction.append(connection.in_atomic_block)
        FailedJob.objects.count()

    with receiving(due_reached, halfway, after):
        run_due()
    assert in_transaction == [False]
    [row] = FailedJob.objects.all()
    assert row.error in ("OperationalError", "ProgrammingError")


@pytest.fixture
def platform(platform: Platform) -> Platform:
    # Without handlers there are no requests in flight to wait for.
    Webhook.objects.all().delete()
    return platform


def test_advancing_the_clock_continues_after_a_failing_job(platform: Platform) -> None:
    builders.subscription(platform)
    moments: list[Any] = []

    def due(now: Any, **kwargs: Any) -> Any:
        """A failing job stays due at the same time."""
        return first if now < first else None

    def run(now: Any, **kwargs: Any) -> None:
        if now >= first:
            moments.append(now)
            broken()

    first = clock.now() + timedelta(days=40)
    with receiving(collect_next_due, due), receiving(due_reached, run):
        response = platform.by["V"].post("/sandbox/clock/advance", {"by": "95d"})
    assert response.status == 200 and response.json["failed"] == [__name__]
    # The two months after it are billed at their own times.
    assert response.json["stops"] == 4
    assert BillingRequest.objects.count() == 3
    assert len(moments) == len(set(moments))
    assert FailedJob.objects.get().job == f"{__name__}.{run.__qualname__}"


@pytest.mark.parametrize("signal", [collect_next_due, collect_busy])
def test_advancing_the_clock_continues_without_a_jobs_next_due(
    platform: Platform, signal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moves, "PATIENCE", 0.1)
    builders.subscription(platform)
    with receiving(signal, broken):
        response = platform.by["V"].post("/sandbox/clock/advance", {"by": "40d"})
    assert response.status == 200 and response.json["stops"] == 1
    assert BillingRequest.objects.count() == 1
    assert FailedJob.objects.exists()


def test_failing_subscription_does_not_stop_billing_of_others(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    assets = [builders.subscription(platform) for _ in range(3)]
    jobs.run_due_jobs(clock.now())
    build = billing.creation.build

    def build_or_fail(asset: Asset, *args: Any) -> Any:
        if asset.pk == assets[1]:
            broken()
        return build(asset, *args)

    monkeypatch.setattr(billing.creation, "build", build_or_fail)
    now = clock.now() + timedelta(days=35)
    assert jobs.run_due_jobs(now) == ["Billing queue"]
    assert set(BillingRequest.objects.values_list("asset", flat=True)) == {assets[0], assets[2]}
    # The other subscription is rolled back as a whole: its period is still due.
    assert SubscriptionBilling.objects.get(asset=assets[1]).next_date < now
    monkeypatch.undo()
    assert jobs.run_due_jobs(now) == []
    assert BillingRequest.objects.filter(asset=assets[1]).count() == 1


def test_failing_order_does_not_stop_release_of_others(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = clock.shown(clock.now()) + timedelta(days=1)
    pks = [builders.create_order(platform, "purchase") for _ in range(2)]
    for pk in pks:
        platform.post("V", f"/requests/{pk}/schedule", {"planned_date": planned.isoformat()})
    draft = builders.request(platform, "draft")
    from requests_queue.queues.fulfillment import due

    move = due.transitions.move
    first = min(pks)

    def move_or_fail(model: Any, pk: str, *args: Any) -> Any:
        if pk == first:
            broken()
        return move(model, pk, *args)

    monkeypatch.setattr(due.transitions, "move", move_or_fail)
    assert "Fulfillment queue" in jobs.run_due_jobs(planned + timedelta(days=60))
    statuses = dict(Request.objects.filter(pk__in=pks).values_list("pk", "status"))
    assert statuses == {first: "scheduled", max(pks): "pending"}
    assert not Request.objects.filter(pk=draft).exists()


def test_unavailable_database_is_logged_in_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    from django.db import OperationalError

    def away(**kwargs: Any) -> None:
        raise OperationalError("server closed the connection unexpectedly\n\tmore of it")

    with receiving(due_reached, away):
        run_due()
    [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.exc_info is None and "\n" not in record.getMessage()
