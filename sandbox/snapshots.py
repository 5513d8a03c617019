"""Reset and snapshots: save the world under a name, and go back to it or to the demo data.

The demo data's snapshot (SEED) is saved by the sandbox's start. If it is missing or of another
version, a reset empties the world, creates the demo data and saves it.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from django.db import DatabaseError

from requests_queue import clock, seed
from requests_queue.errors import Conflict, Invalid, Missing, Refused
from requests_queue.models import Clock
from sandbox import announcements, gate, snapshot_storage, timeline, world
from sandbox.models import TimelineEntry
from sandbox.snapshot_storage import Damaged, Snapshot
from sandbox.timeline import Entry
from webhooks.delivery import claim, wakeup

logger = logging.getLogger(__name__)

SEED, PRESENT = "seed", "now"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
RESET, RESTORED = "reset", "restored"


@dataclass(frozen=True, slots=True)
class Replacement:
    """Result of a reset or restore: platform time, duration (ms), what it didn't wait for."""

    now: datetime
    took_ms: int
    unsettled: list[str]


def reset(patience: float = gate.PATIENCE) -> Replacement:
    """Go back to the demo data; wait for handlers for at most `patience` seconds.

    Raises gate.Busy, or DatabaseError; the world is unchanged then.
    """
    return world.in_own_thread(partial(_replace, SEED, RESET, patience))


def restore(name: str, patience: float = gate.PATIENCE) -> Replacement:
    """Go back to a snapshot; raises Missing, Conflict (unusable), and what `reset` raises."""
    check_name(name)
    return world.in_own_thread(partial(_replace, name, RESTORED, patience))


def save(name: str, *, replace: bool = False, patience: float = gate.PATIENCE) -> Snapshot:
    """Save the world under a name; raises Invalid, snapshot_storage.Exists, gate.Busy."""
    check_name(name, new=True)
    with _file_errors():
        return world.in_own_thread(partial(_save_quietly, name, replace, patience))


def save_seed() -> None:
    """Save the world as what a reset goes back to; before the sandbox serves requests."""
    with _file_errors():
        world.in_own_thread(partial(_save, SEED, True))


def all_snapshots() -> list[Snapshot]:
    return world.in_own_thread(lambda: snapshot_storage.current().all())


def delete(name: str) -> None:
    """Delete a snapshot; raises Missing."""
    check_name(name, new=True)
    with _file_errors():
        if not world.in_own_thread(lambda: snapshot_storage.current().delete(name)):
            raise Missing(name)


def is_usable(snapshot: Snapshot) -> bool:
    """Return whether this version can restore a snapshot."""
    return snapshot.version == world.fingerprint()


def usable(name: str) -> Snapshot:
    """Return a snapshot; raises Missing, Damaged, Conflict (saved by another version)."""
    snapshot = snapshot_storage.current().get(name)
    if snapshot is None:
        raise Missing(name)
    if not snapshot.version:
        raise Damaged(name)
    if not is_usable(snapshot):
        raise Conflict(
            "SNP_002",
            f"The snapshot {name} was saved by another version of the sandbox: delete it and save "
            "another.",
        )
    return snapshot


def check_name(name: str, *, new: bool = False) -> None:
    """Check a name, also whether it is reserved for what a `new` snapshot is; raises Invalid."""
    if not _NAME.fullmatch(name):
        raise Invalid(
            "name",
            "A name has up to 64 characters: a-z, 0-9, '.', '_' and '-', the first a-z or 0-9.",
        )
    if name == PRESENT or (new and name == SEED):
        raise Invalid("name", f"The name {name} is reserved.")


@contextmanager
def _file_errors() -> Iterator[None]:
    """Convert errors of files to a refusal (503)."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        text = f"The snapshot cannot be written or deleted: {reason}."
        raise Refused("SYS_503", text, status=503) from error


def _save_quietly(name: str, replace: bool, patience: float) -> Snapshot:
    with gate.closed(patience):
        return _save(name, replace)


def _save(name: str, replace: bool) -> Snapshot:
    created = datetime.now(UTC).isoformat()
    snapshot = Snapshot(name, created, clock.now().isoformat(), world.fingerprint())
    snapshot_storage.current().create(snapshot, world.copy_out, replace=replace)
    return snapshot


def _replace(name: str, action: str, patience: float) -> Replacement:
    if action == RESTORED:
        # Before anything waits.
        usable(name)
    with gate.closed(patience) as unsettled:
        began = time.monotonic()
        now = _replace_rows(name, action)
        world.world_replaced.send_robust(sender=None)
        took = time.monotonic() - began
    # Deliveries of the snapshot may be due.
    wakeup.send()
    return Replacement(now, round(took * 1000), unsettled)


def _replace_rows(name: str, action: str) -> datetime:
    """Replace the world in one transaction; return the new platform time."""
    try:
        snapshot = usable(name)
        storage = snapshot_storage.current()
        with storage.opened(name, "snapshot") as schema, world.locked():
            generation = clock.read().generation
            world.replace(schema)
            # Of processes that have lost these claims by the replacement.
            claim.expire_leases()
            return _begin_time(name, action, snapshot, generation + 1)
    except (Missing, Conflict):
        if action == RESTORED:
            raise
    return _seed_anew()


def _seed_anew() -> datetime:
    """Empty the world, create the demo data and save it, with users and their keys kept."""
    with world.locked():
        generation = clock.read().generation
        world.replace(None)
        seed.run(lambda line: None)
        world.delete_users_without_account()
        now = _begin_time(SEED, RESET, None, generation + 1)
    try:
        with _file_errors():
            _save(SEED, True)
    except (Refused, DatabaseError):
        logger.warning("The demo data could not be saved: the next reset creates it again.")
    return now


def _begin_time(name: str, action: str, snapshot: Snapshot | None, generation: int) -> datetime:
    """Set the clock and write the timeline; return the platform time.

    Platform time continues where the snapshot left it, but never before real time: a token would
    have expired for the handler when it is sent.
    """
    real = datetime.now(UTC)
    saved = datetime.fromisoformat(snapshot.now) if snapshot and action == RESTORED else real
    offset = max(saved - real, timedelta())
    # Other processes see by the generation that the data was replaced.
    Clock.objects.create(pk=1, offset=offset, generation=generation, replaced_at=real)
    now = real + offset
    # Of calls that have not ended, or are not stored: no reader waits for them.
    TimelineEntry.objects.filter(is_open=True).delete()
    timeline.append([Entry(timeline.RESET, now, data={"action": action, "snapshot": name})])
    announcements.announce_world()
    return now
