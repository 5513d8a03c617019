"""The engine continues after an error in any of its parts, without lost or wrong results."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError, ProgrammingError

from connect_sim import celery
from portal.home import system_status as home
from requests_queue import clock, event_loops, heartbeats
from requests_queue.event_loops import SqlThread
from sandbox.clock import settling
from tests import make
from tests.engines import lost_results, move_clock, running, settled, until
from tests.handlers import handler
from tests.marks import nightly
from tests.webhooks.breaking import ALWAYS, Failing, break_
from tests.webhooks.calling import called_webhook
from tests.webhooks.claimed import counted
from webhooks import conf
from webhooks.delivery import attempt, claim, record, wakeup
from webhooks.delivery import engine as engine_module
from webhooks.delivery.engine import Engine, Poll, Poller, Window
from webhooks.models import Attempt, Delivery

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("sound_counters"),
]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the engine's pauses."""
    monkeypatch.setattr(engine_module, "TICK", 0.02)
    monkeypatch.setattr(engine_module, "RENEW", 0.02)
    monkeypatch.setattr(engine_module, "PATIENCE", 0.05)
    monkeypatch.setattr(engine_module, "PAUSES", (0.02,))
    monkeypatch.setattr(heartbeats, "_next", {})


def outcomes() -> list[str]:
    return list(Attempt.objects.order_by("pk").values_list("outcome", flat=True))


SQL_SEAMS: dict[str, tuple[Any, str]] = {
    "record": (record, "record"),
    "attempts": (record, "insert_attempts"),
    "row of an attempt": (attempt, "attempt_row"),
    "claim": (claim, "claim"),
    "lost attempts": (claim, "lost_claims"),
    "leases": (claim, "renew"),
    "schedule": (wakeup, "next_due"),
    "heartbeat": (heartbeats, "record"),
    "clock": (clock, "read"),
    "SQL thread": (SqlThread, "run"),
}
LOOP_SEAMS = [
    (Engine, "_tick"), (Engine, "_time_out"), (Window, "all_claims"),
]  # fmt: skip
ERRORS = [
    OperationalError("away"),
    RuntimeError("a defect"),
    *(
        nightly(error, reason="handled by the same lines")
        for error in (InterfaceError("closed"), ProgrammingError("no column"), MemoryError())
    ),
]


def of(error: BaseException) -> str:
    return type(error).__name__


@pytest.mark.parametrize("error", ERRORS, ids=of)
@pytest.mark.parametrize("seam", SQL_SEAMS)
def test_error_at_seam_to_the_database_loses_no_result(
    catalog: make.Catalog, seam: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    with called_webhook(catalog, orders=2) as (served, _):
        where, name = SQL_SEAMS[seam]
        is_row_error = seam in ("record", "attempts", "row of an attempt") and (
            isinstance(error, RuntimeError)
        )
        with monkeypatch.context() as patch:
            if where is clock:
                # Only a claim's call: orders read the same clock.
                calls = {"read": staticmethod(clock.read), "now": staticmethod(clock.now)}
                where = type("Clock", (), calls)
                patch.setattr(claim, "clock", where)
            failing = break_(patch, where, name, error)
            with running() as [engine]:
                assert failing.over.wait(10)
                if is_row_error:
                    until(lambda: not engine._window.all_claims(), "all recorded or released")
                    move_clock(400)
                    engine.wake()
                until(settled, "all delivered")
    if is_row_error:
        # It counts as an error of the row.
        assert set(Delivery.objects.values_list("state", flat=True)) == {"delivered"}
    else:
        assert len(served.received) == 2
        assert outcomes() == ["success", "success"]


@pytest.mark.parametrize("error", [*ERRORS, SystemExit("no thread ends by it")], ids=of)
@pytest.mark.parametrize("seam", LOOP_SEAMS, ids=lambda seam: seam[1])
def test_error_in_the_loop_leaves_requests_in_flight_and_results_alone(
    catalog: make.Catalog,
    seam: tuple[Any, str],
    error: BaseException,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with called_webhook(catalog, None) as (served, _), running() as [engine]:
        served.next()
        failing = break_(monkeypatch, *seam, error)
        engine.wake()
        assert failing.over.wait(10)
        served.release.set()
        make.order(catalog)
        engine.wake()
        drain(engine)
    if isinstance(error, Exception):
        assert outcomes() == ["success", "success"]
        assert len(served.received) == 2
    else:
        # The loop ended together with the requests in flight: their outcome is unknown.
        # After the second loss in a row it backs off, and the second order joins it.
        assert set(outcomes()) == {"success", "unknown"}


@pytest.mark.parametrize("error", [RuntimeError("a defect"), ValueError("x"), SystemExit()], ids=of)
@pytest.mark.parametrize(
    "seam",
    [(conf, "open_transport"), (event_loops, "new_loop_factory"), (Engine, "_main")],
    ids=lambda seam: seam[1],
)
def test_loop_that_ends_is_started_again(
    catalog: make.Catalog,
    seam: tuple[Any, str],
    error: BaseException,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with handler() as served, running() as [engine]:
        with monkeypatch.context() as patch:
            failing = break_(patch, *seam, error)
            end_loop(engine, patch)
            assert failing.over.wait(10)
        make.webhook(catalog, served.url)
        make.order(catalog)
        engine.wake()
        until(settled, "delivered by the new loop")
    assert outcomes() == ["success"]


def test_claims_of_a_poll_whose_loop_ended_are_not_lost(
    catalog: make.Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, ended = SqlThread.run, threading.Event()

    async def run(self: SqlThread, work: Any, *args: Any) -> Any:
        result = await real(self, work, *args)
        if getattr(result, "claims", None) and not ended.is_set():
            ended.set()
            raise SystemExit("the loop ends")
        return result

    monkeypatch.setattr(SqlThread, "run", run)
    with called_webhook(catalog, orders=3) as (served, _):
        with running():
            assert ended.wait(10)
            until(settled, "delivered by the new loop")
        assert len(served.received) == 3
    assert outcomes() == ["success"] * 3


def drain(engine: Engine) -> None:
    """Wait until all is delivered, moving the clock past backoffs while nothing is in flight."""

    def drained() -> bool:
        if settled():
            return True
        if not settling.unsettled(clock.now()):
            move_clock(3700)
            engine.wake()
        return False

    until(drained, "all delivered", 20)


def end_loop(engine: Engine, patch: pytest.MonkeyPatch) -> None:
    """End the engine's loop by an error that a tick doesn't handle."""
    break_(patch, Engine, "_tick", SystemExit("the loop ends"), times=1)
    engine.wake()


@pytest.mark.parametrize("error", [RuntimeError("x"), asyncio.CancelledError()])
def test_request_that_fails_in_the_program_is_recorded_as_failure(
    catalog: make.Catalog, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = Failing(attempt.InFlight.run, error, times=1)

    async def run(*args: Any) -> Any:
        return await failing(*args)

    monkeypatch.setattr(attempt.InFlight, "run", run)
    with called_webhook(catalog), running() as [engine]:
        until(lambda: Attempt.objects.exists(), "the attempt is recorded")
        # After a failure it backs off: move the clock for the next attempt.
        drain(engine)
        assert failing.over.wait(10)
    assert "success" in outcomes()


def test_failing_loop_is_logged_once_and_shown_until_it_works(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(engine_module, "CALM", 0.0)
    with running() as [engine]:
        until(lambda: worker().alive, "a sign of life")
        assert light().state == "good"
        failing = break_(monkeypatch, Engine, "_time_out", RuntimeError("secret text"), ALWAYS)
        until(lambda: worker().failing, "the page shows it")
        assert (light().state, light().label) == ("bad", "Failing")
        assert "The delivery engine's loop (RuntimeError)" in light().text
        assert "secret text" not in light().text
        failing.remaining = 0
        engine.wake()
        until(lambda: not worker().failing, "it is over")
        assert light().state == "good"
    logged = [r for r in caplog.records if engine_module.LOOP in r.getMessage()]
    assert [r.levelno for r in logged] == [logging.ERROR, logging.WARNING]
    assert logged[0].exc_info and "working again after" in logged[1].getMessage()
    assert heartbeats.by_kind() == {}


def test_engine_whose_loop_cannot_start_is_shown_and_can_be_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = Engine()
    engine.start()
    break_(monkeypatch, conf, "open_transport", RuntimeError("x"), times=ALWAYS)
    end_loop(engine, monkeypatch)
    until(lambda: worker().failing, "the page shows it")
    # Both work without a loop.
    engine.wake()
    engine.stop()
    assert not engine._thread.is_alive()
    assert heartbeats.by_kind() == {}


def worker() -> heartbeats.Summary:
    return heartbeats.by_kind().get(heartbeats.WORKER, heartbeats.Summary())


def light() -> home.Component:
    return next(light for light in home.components() if light.name == "Worker")


# -- results in memory


def test_results_are_stored_before_anything_is_claimed_or_reclaimed(
    catalog: make.Catalog,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(claim, "LEASE", 0.01)
    done: list[str] = []
    # The response is held until the database is down.
    with (
        called_webhook(catalog, None) as (served, _),
        monkeypatch.context() as patch,
        running() as [engine],
    ):
        served.next()
        away = OperationalError("away")
        failing = break_(patch, record, "record", away, times=ALWAYS)
        heartbeat = break_(patch, heartbeats, "record", away, times=ALWAYS)
        served.release.set()
        until(lambda: engine._poller._kept, "the result is kept")
        for where, name in ((claim, "claim"), (claim, "lost_claims")):
            real = getattr(where, name)

            def noted(*a: Any, real: Any = real, name: str = name, **more: Any) -> Any:
                done.append(name)
                return real(*a, **more)

            patch.setattr(where, name, noted)
        make.order(catalog)
        tries = failing.remaining
        until(lambda: failing.remaining < tries - 3, "the flush is tried")
        assert done == []
        failing.remaining = heartbeat.remaining = 0
        until(settled, "all delivered")
        until(lambda: set(done) == {"claim", "lost_claims"}, "both are done again")
    assert outcomes() == ["success", "success"]
    assert len(served.received) == 2


def test_patience_after_an_outage_counts_from_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others may renew their leases, also if the statement that succeeds has waited for long."""
    now, looked = [1000.0], list[float]()
    monkeypatch.setattr(engine_module, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def lost_claims(generation: int) -> list[claim.Claim]:
        looked.append(now[0])
        return []

    monkeypatch.setattr(claim, "lost_claims", lost_claims)
    poller = Poller(Window(), heartbeats.Problems(), 1, threading.Event())
    real = claim.claim

    def waits(*args: Any, **more: Any) -> claim.Batch:
        now[0] += 20
        return real(*args, **more)

    with monkeypatch.context() as patch:
        break_(patch, claim, "claim", OperationalError("database is locked"))
        assert poller.poll(Poll()).unavailable
        patch.setattr(claim, "claim", waits)
        poller.poll(Poll())
    assert not looked
    now[0] += engine_module.PATIENCE
    poller.poll(Poll())
    assert looked == now


def test_slots_are_held_by_results_that_are_not_stored(
    catalog: make.Catalog, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with handler() as served:
        # One delivery each: a single webhook doesn't get the last slots.
        for n in range(1, 11):
            make.webhook(catalog, served.url, n=n)
        make.order(catalog)
        with monkeypatch.context() as patch, running(slots=3) as [engine]:
            # They count as errors of the rows, so claims continue.
            failing = break_(patch, record, "insert_attempts", ProgrammingError("x"), times=ALWAYS)
            for _ in range(3):
                served.next()
            until(lambda: engine_module.SLOTS in caplog.text, "the bound is reached")
            assert len(engine._window.results) == 3
            tries = failing.remaining
            until(lambda: failing.remaining < tries - 10, "the flush is tried")
            assert len(served.received) == 3
            # Once, however often it is tried; later all slots may be taken for a moment again.
            assert caplog.text.count(f"{engine_module.SLOTS}: failing") == 1
            failing.remaining = 0
            until(settled, "all delivered")
    assert outcomes() == ["success"] * 10
    assert len(served.received) == 10
    assert caplog.text.count(f"{engine_module.STORING}: failing") == 1


def test_failing_row_does_not_block_other_webhooks(
    catalog: make.Catalog,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = attempt.attempt_row
    with handler() as served:
        bad = make.webhook(catalog, f"{served.url}bad")
        make.webhook(catalog, f"{served.url}good", n=2)

        def row(one: attempt.RecordedAttempt, *shared: Any) -> Any:
            if one.result.claim.webhook.id == bad.pk:
                raise OperationalError("as if the database were away")
            return real(one, *shared)

        with monkeypatch.context() as patch, running() as [engine]:
            patch.setattr(attempt, "attempt_row", row)
            for n in range(1, 4):
                make.order(catalog)
                engine.wake()
                until(lambda n=n: Attempt.objects.count() == n, "the other webhook's attempt")
            assert "Storing results" in engine._problems.summary()
            patch.undo()
            until(settled, "all delivered")
    assert outcomes() == ["success"] * 6
    assert len(served.received) == 6


def test_result_whose_claim_was_taken_over_is_recorded_as_extra_attempt(
    catalog: make.Catalog,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with called_webhook(catalog) as (served, hook):
        failing = break_(monkeypatch, record, "record", OperationalError("away"), times=ALWAYS)
        with running() as [engine]:
            served.next()
            until(lambda: engine._poller._kept, "the result is kept")
            # Another process, without the outage, records the claim as lost.
            Delivery.objects.update(lease=1.0)
            assert failing.real(lost_results()) == ["settled"]
            failing.remaining = 0
            until(lambda: settled() and len(outcomes()) == 3, "all recorded")
    assert sorted(outcomes()) == ["success", "success", "unknown"]
    assert Delivery.objects.values_list("state", "attempts").get() == ("delivered", 3)
    assert counted(hook) == (1, 3, 2, 0, 0)
    assert hook.earliest_possible_trigger is None


def test_stop_stores_results_that_were_kept(
    catalog: make.Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    with called_webhook(catalog) as (served, _):
        failing = break_(monkeypatch, record, "record", OperationalError("away"), times=ALWAYS)
        with running() as [engine]:
            served.next()
            until(lambda: engine._poller._kept, "the result is kept")
            stop = threading.Thread(target=engine.stop)
            stop.start()
            engine._stopping.wait(5)
            failing.remaining = 2
            stop.join(10)
    assert outcomes() == ["success"]
    assert settled()


def test_stop_logs_how_many_results_are_lost(
    catalog: make.Catalog, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(engine_module, "STORE", 0.1)
    break_(monkeypatch, record, "record", OperationalError("away"), times=ALWAYS)
    with called_webhook(catalog) as (served, _), running() as [engine]:
        served.next()
        until(lambda: engine._poller._kept, "the result is kept")
    assert "1 results are lost at the stop" in caplog.text


# -- a start that fails


@pytest.mark.parametrize(
    "proxy",
    ["socks5://127.0.0.1:1080", "http://", "127.0.0.1:3128", "http://127.0.0.1:99999", "http://[",
     "http://user:hidden-password@127.0.0.1:port"],
)  # fmt: skip
def test_start_with_wrong_proxy_is_an_error(proxy: str, settings: Any) -> None:
    settings.SIM_HTTP_PROXY = proxy
    with pytest.raises(event_loops.StartFailed) as failed:
        Engine().start()
    message = str(failed.value)
    assert message.startswith(
        "The delivery engine could not start. SIM_HTTP_PROXY: The proxy must be"
    )
    assert "hidden-password" not in message


@pytest.mark.parametrize("error", [RuntimeError("a defect"), OSError("x"), MemoryError()], ids=of)
@pytest.mark.parametrize(
    "seam", [(conf, "open_transport"), (event_loops, "new_loop_factory")], ids=lambda seam: seam[1]
)
def test_start_that_fails_is_an_error(
    seam: tuple[Any, str], error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_(monkeypatch, *seam, error, times=1)
    engine = Engine()
    with pytest.raises(event_loops.StartFailed, match="could not start"):
        engine.start()
    engine._thread.join(5)
    assert not engine._thread.is_alive()


def test_start_that_hangs_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_loops, "START_TIMEOUT", 0.1)
    release = threading.Event()
    monkeypatch.setattr(event_loops, "new_loop_factory", lambda: release.wait(10))
    engine = Engine()
    with pytest.raises(event_loops.StartFailed, match=r"did not start within 0\.1 s"):
        engine.start()
    release.set()


@pytest.fixture
def no_engine() -> Iterator[None]:
    assert engine_module._engine is None
    yield
    engine_module.stop()


def test_worker_exits_if_its_engine_cannot_start(settings: Any, no_engine: None) -> None:
    settings.SIM_HTTP_PROXY = "socks5://127.0.0.1:1080"
    with pytest.raises(SystemExit, match=r"The worker cannot start. The delivery engine could not"):
        celery.start_engine()


def test_engine_can_be_started_after_a_start_that_failed(settings: Any, no_engine: None) -> None:
    settings.SIM_HTTP_PROXY = "socks5://127.0.0.1:1080"
    for _ in range(2):
        with pytest.raises(event_loops.StartFailed):
            engine_module.start()
    settings.SIM_HTTP_PROXY = ""
    assert engine_module.start() is engine_module.start()
