"""Restore the sandbox where a run could not: its process was killed, or the sandbox stopped."""

from __future__ import annotations

import threading

from django.conf import settings
from django.db import DatabaseError, connection

from checks.options import lease_note, snapshot_base, snapshot_before
from requests_queue.errors import Missing, Refused
from sandbox.check_runs import runs
from sandbox.models import CheckRun
from sandbox.world import gate, leases, snapshots

_LEASE = 60.0  # seconds for which a restore may take
RESTORED = "The sandbox was restored as it was before the run."


def restore(name: str, patience: float = gate.PATIENCE) -> str:
    """Undo what a run has left behind; return a sentence about it, empty if there is nothing.

    A run that has lost its lease has left that to the next run: others have used the sandbox.
    """
    if not leases.renew_noted(lease_note(name), _LEASE):
        return ""
    try:
        return _restore(name, patience)
    finally:
        leases.release_noted(lease_note(name))


def _restore(name: str, patience: float) -> str:
    before, text = snapshot_before(name), ""
    stored = {snapshot.name for snapshot in snapshots.all_snapshots()}
    if before in stored:
        try:
            snapshots.restore(before, patience)
        except (Refused, Missing, DatabaseError):
            command = f"{settings.PROGRAM} snapshot restore {before}"
            return f"The sandbox is not as it was before the run. Restore it: {command}"
        text = RESTORED
    for left in stored & {before, snapshot_base(name)}:
        _delete(left)
    return text


def _delete(name: str) -> None:
    try:
        snapshots.delete(name)
    except Refused:
        # Its file cannot be deleted; the user sees it in the list of snapshots.
        return


def recover(*, is_alone: bool = False, patience: float = gate.PATIENCE) -> None:
    """End the runs whose process is gone, and restore the sandbox.

    `is_alone` says that no other process may have one: at the start, before requests are served.
    """
    for run in runs.end_lost(is_alone=is_alone):
        if text := restore(run.name, patience):
            row = CheckRun.objects.filter(pk=run.pk, state=CheckRun.FAILED)
            row.update(error=f"{runs.STOPPED} {text}")


def recover_later() -> None:
    """Recover in a thread, if there is anything to do: a restore waits for the caller's request."""
    if runs.has_lost():
        threading.Thread(target=_recover_in_thread, name="check-recovery", daemon=True).start()


def _recover_in_thread() -> None:
    try:
        recover()
    finally:
        connection.close()
