"""The rows of runs: one at a time, with their progress, ended once, and kept by a reset."""

from __future__ import annotations

import io

import pytest

from checks.model import Outcome
from checks.options import lease_note, snapshot_base, snapshot_before
from checks.outputs import events
from requests_queue.db.sql import DatabaseTime
from requests_queue.errors import Conflict
from sandbox import check_runs
from sandbox.models import CheckRun
from sandbox.world import gate, snapshots
from tests import make
from tests.api import Caller
from tests.background import concurrently
from tests.sandbox import worlds
from tests.unit.checks import reports
from webhooks.models import Webhook

pytestmark = pytest.mark.django_db(transaction=True)

FINISHED = check_runs.Ending(CheckRun.FINISHED, "{}", 0)


def hook() -> Webhook:
    return make.webhook(make.catalog("1"))


def begin(row: Webhook) -> CheckRun:
    return check_runs.begin(row, {}, "alice")


@pytest.fixture
def run(saved: worlds.Rows, vendor: Caller) -> CheckRun:
    """A run on the demo data."""
    worlds.webhook(vendor, "http://127.0.0.1:9/")
    return begin(Webhook.objects.get())


def state_of(run: CheckRun) -> str:
    return CheckRun.objects.values_list("state", flat=True).get(pk=run.pk)


def test_one_of_several_concurrent_starts_succeeds() -> None:
    row = hook()
    outcomes = concurrently(*[lambda: begin(row)] * 4)
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 3
    assert CheckRun.objects.count() == 1


def test_run_that_has_ended_makes_room_and_ends_once() -> None:
    row = hook()
    first = begin(row)
    assert check_runs.end(first.pk, {}, FINISHED)
    assert not check_runs.end(first.pk, {}, check_runs.Ending(CheckRun.FAILED))
    assert not check_runs.cancel(first.pk) and check_runs.keep(first.pk, {"checks": []})
    second = begin(row)
    assert not check_runs.keep(second.pk, {"checks": ["a"]})
    assert check_runs.cancel(second.pk) and check_runs.keep(second.pk, {"checks": ["a"]})
    assert (state_of(first), state_of(second)) == ("finished", "running")


def test_last_runs_of_each_webhook_are_kept() -> None:
    row, other = hook(), make.webhook(make.catalog("2"), n=2)
    check_runs.end(begin(other).pk, {}, FINISHED)
    for _ in range(check_runs.KEPT + 2):
        last = begin(row)
        check_runs.end(last.pk, {}, FINISHED)
    kept = CheckRun.objects.filter(webhook_id=row.pk)
    assert (kept.count(), kept.order_by("-pk")[0]) == (check_runs.KEPT, last)
    assert CheckRun.objects.filter(webhook_id=other.pk).exists()


def test_run_without_a_sign_of_life_is_lost() -> None:
    run = begin(hook())
    assert not check_runs.has_lost() and check_runs.end_lost() == []
    CheckRun.objects.update(expires=DatabaseTime() - 1)
    assert check_runs.has_lost()
    assert check_runs.end_lost() == [run] and check_runs.end_lost() == []
    assert CheckRun.objects.get(pk=run.pk).error == check_runs.STOPPED
    assert not check_runs.end(run.pk, {}, FINISHED)


def test_restart_restores_the_sandbox(run: CheckRun, distributor: Caller) -> None:
    before, lease = worlds.contents(), gate.take_lease(note=lease_note(run.name))
    snapshots.save(snapshot_before(run.name), patience=0)
    worlds.purchase(distributor)
    snapshots.save(snapshot_base(run.name), patience=0)
    check_runs.recover(is_alone=True, patience=0)
    assert worlds.differing(before, worlds.contents()) == {}
    assert lease and gate.current_lease() is None
    assert [each.name for each in snapshots.all_snapshots()] == [snapshots.SEED]
    run.refresh_from_db()
    assert (run.state, run.error) == ("failed", f"{check_runs.STOPPED} {check_runs.RESTORED}")


def test_sandbox_that_cannot_be_restored_is_named(
    run: CheckRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate.take_lease(note=lease_note(run.name))
    snapshots.save(snapshot_before(run.name), patience=0)
    monkeypatch.setattr(snapshots, "is_usable", lambda snapshot: False)
    text = check_runs.restore(run.name, patience=0)
    assert text.endswith(f" snapshot restore {snapshot_before(run.name)}")
    assert snapshot_before(run.name) in [each.name for each in snapshots.all_snapshots()]
    assert gate.current_lease() is None


@pytest.mark.parametrize("is_held", [True, False])
def test_run_that_has_lost_its_lease_is_not_undone(
    run: CheckRun, distributor: Caller, is_held: bool
) -> None:
    snapshots.save(snapshot_before(run.name), patience=0)
    gate.take_lease(0, note=lease_note(run.name))
    other = gate.take_lease(note="somebody else")
    assert other
    if not is_held:
        gate.release_lease(other.id)
    pk = worlds.purchase(distributor)
    before = worlds.contents()
    assert check_runs.restore(run.name, patience=0) == ""
    assert worlds.differing(before, worlds.contents()) == {} and pk
    assert snapshot_before(run.name) in [each.name for each in snapshots.all_snapshots()]
    assert (gate.current_lease() is not None) == is_held


def test_runs_outlive_a_reset(run: CheckRun) -> None:
    snapshots.reset(patience=0)
    assert state_of(run) == "running" and not Webhook.objects.exists()


def test_progress_follows_from_the_events() -> None:
    out, checks = io.StringIO(), [reports.check("auth.control"), reports.check("auth.garbage")]
    stream = events.Stream(checks, False, out)
    stream.started(checks[0])
    stream.started(checks[1])
    stream.ended(reports.result(Outcome.PASS, checks[0]))
    state: check_runs.Progress = {}
    for line in out.getvalue().splitlines():
        event = events.read(line)
        assert event is not None
        state = check_runs.apply(state, event)
    assert (state["checks"], state["running"]) == (["auth.control", "auth.garbage"], [checks[1].id])
    (only,) = state["results"]
    assert (only["check"], only["mark"], only["seconds"]) == ("auth.control", "pass", 0.25)
    assert check_runs.apply(state, {"event": events.REPORT, "report": {}}) == state
