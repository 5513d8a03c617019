"""Reset and snapshots: save the world under a name, and go back to it or to the demo data.

The demo data's snapshot (SEED) is saved by the sandbox's start. If it is missing or of another
version, a reset empties the world, creates the demo data and saves it.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from django.db import DatabaseError, connection, models

from extensions import dispatch
from extensions.signals import wake
from requests_queue import clock, seed, topics
from requests_queue.catalog.models import Configuration, Parameter
from requests_queue.db.encryption import EncryptedJSONField, EncryptedTextField
from requests_queue.errors import Conflict, Invalid, Missing, Refused
from requests_queue.models import Clock
from requests_queue.redaction import MASK
from requests_queue.suggestions import did_you_mean
from sandbox.models import TimelineEntry
from sandbox.timeline import timeline
from sandbox.timeline.call_storage import without_passwords
from sandbox.timeline.timeline import Entry
from sandbox.world import gate, snapshot_storage, tables
from sandbox.world.snapshot_storage import Damaged, Snapshot
from webhooks.delivery import claim, wakeup

logger = logging.getLogger(__name__)

SEED, PRESENT = "seed", "now"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
RESET, RESTORED = "reset", "restored"
MAX_OBJECTS = 1000  # that an answer lists
MAX_TEXT = 200  # characters of a value

_SECRET_FIELDS = ("password", "stored_action_secret", "form_code")
# Of password parameters, and of what is configured for them.
_PASSWORD_FIELDS = ("default", "value", "structured_value")
# Contents of requests, which may have secrets in any place.
_CONTENT_FIELDS = ("body", "payload", "request_body", "response_body", "content")
_PRESENT_SCHEMA = {"sqlite": "main", "postgresql": "public"}


@dataclass(frozen=True, slots=True)
class Replacement:
    """Result of a reset or restore: platform time, duration (ms), what it didn't wait for.

    What happens afterwards is in the timeline after the cursor.
    """

    now: datetime
    took_ms: int
    unsettled: list[str]
    cursor: str


def reset(patience: float = gate.PATIENCE, settle: float | None = None) -> Replacement:
    """Go back to the demo data; wait for handlers for at most `patience` seconds.

    `settle` replaces their settle times (seconds). Raises gate.Busy, or DatabaseError; the world is
    unchanged then.
    """
    return tables.in_own_thread(partial(_replace, SEED, RESET, patience, settle))


def restore(name: str, patience: float = gate.PATIENCE, settle: float | None = None) -> Replacement:
    """Go back to a snapshot; raises Missing, Conflict (unusable), and what `reset` raises."""
    check_name(name)
    return tables.in_own_thread(partial(_replace, name, RESTORED, patience, settle))


def save(name: str, *, replace: bool = False, patience: float = gate.PATIENCE) -> Snapshot:
    """Save the world under a name; raises Invalid, snapshot_storage.Exists, gate.Busy."""
    check_name(name, new=True)
    with file_errors():
        return tables.in_own_thread(partial(_save_quietly, name, replace, patience))


def save_seed() -> None:
    """Save the world as what a reset goes back to; before the sandbox serves requests."""
    with file_errors():
        tables.in_own_thread(partial(_save, SEED, True))


def all_snapshots() -> list[Snapshot]:
    return tables.in_own_thread(lambda: snapshot_storage.current().all())


def delete(name: str) -> None:
    """Delete a snapshot; raises Missing."""
    check_name(name, new=True)
    with file_errors():
        if not tables.in_own_thread(lambda: snapshot_storage.current().delete(name)):
            raise _missing(name, all_snapshots())


def _missing(name: str, others: Iterable[Snapshot]) -> Missing:
    return Missing(name, did_you_mean(name, (each.name for each in others)))


def is_usable(snapshot: Snapshot) -> bool:
    """Return whether this version can restore a snapshot."""
    return snapshot.version == tables.fingerprint()


def usable(name: str) -> Snapshot:
    """Return a snapshot; raises Missing, Damaged, Conflict (saved by another version)."""
    snapshot = snapshot_storage.current().get(name)
    if snapshot is None:
        raise _missing(name, snapshot_storage.current().all())
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
def file_errors() -> Iterator[None]:
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
    snapshot = Snapshot(name, created, clock.now().isoformat(), tables.fingerprint())
    snapshot_storage.current().create(snapshot, tables.copy_out, replace=replace)
    return snapshot


def _replace(name: str, action: str, patience: float, settle: float | None) -> Replacement:
    if action == RESTORED:
        # Before anything waits.
        usable(name)
    with gate.closed(patience, settle) as unsettled:
        began = time.monotonic()
        now = _replace_rows(name, action)
        tables.world_replaced.send_robust(sender=None)
        took = time.monotonic() - began
        cursor = str(timeline.now())
    # Deliveries of the snapshot may be due, and runners connect again.
    wakeup.send()
    wake.send(sender=None)
    return Replacement(now, round(took * 1000), unsettled, cursor)


def _replace_rows(name: str, action: str) -> datetime:
    """Replace the world in one transaction; return the new platform time."""
    try:
        snapshot = usable(name)
        storage = snapshot_storage.current()
        with storage.opened(name, "snapshot") as schema, tables.locked():
            generation = clock.read().generation
            notes = _notes()
            tables.replace(schema)
            # Of processes that have lost these claims by the replacement.
            claim.expire_leases()
            now = _begin_time(name, action, snapshot, generation + 1, notes)
            dispatch.hand_back_all()
            return now
    except (Missing, Conflict):
        if action == RESTORED:
            raise
    return _seed_anew()


def _seed_anew() -> datetime:
    """Empty the world, create the demo data and save it, with users and their keys kept."""
    with tables.locked():
        generation = clock.read().generation
        notes = _notes()
        tables.replace(None)
        seed.run(lambda line: None)
        tables.delete_users_without_account()
        now = _begin_time(SEED, RESET, None, generation + 1, notes)
    try:
        with file_errors():
            _save(SEED, True)
    except (Refused, DatabaseError):
        logger.warning("The demo data could not be saved: the next reset creates it again.")
    return now


def _notes() -> dict[str, Any]:
    """Return what the entry of a reset has about the data that it replaces."""
    # What fails is logged, and does not keep anybody from a reset.
    answers: list[Any] = tables.world_replacing.send_robust(sender=None)
    notes = [answer for _, answer in answers if not isinstance(answer, Exception)]
    return {name: value for each in notes for name, value in each.items()}


def _begin_time(
    name: str,
    action: str,
    snapshot: Snapshot | None,
    generation: int,
    notes: Mapping[str, Any],
) -> datetime:
    """Set the clock and write the timeline; return the platform time.

    `notes` are about what was there before.

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
    data = {"action": action, "snapshot": name, **notes}
    timeline.append([Entry(timeline.RESET, now, data=data)])
    topics.announce(None, topics.EVERYTHING)
    return now


@dataclass(slots=True)
class Diff:
    """Objects of `b` that `a` lacks, the reverse, and those that differ, with their fields."""

    added: list[dict[str, Any]] = field(default_factory=list)
    removed: list[dict[str, Any]] = field(default_factory=list)
    changed: list[dict[str, Any]] = field(default_factory=list)
    truncated: bool = False

    @property
    def left(self) -> int:
        """Return how many more objects the answer may list."""
        return MAX_OBJECTS - len(self.added) - len(self.removed) - len(self.changed)


def compare(a: str, b: str) -> Diff:
    """Compare two snapshots by name, PRESENT for the present; raises what `usable` raises."""
    return tables.in_own_thread(partial(_compare, a, b))


def _compare(a: str, b: str) -> Diff:
    with ExitStack() as stack:
        schemas = [_schema(stack, name, alias) for name, alias in ((a, "first"), (b, "second"))]
        diff = Diff()
        for model in tables.world_models():
            _compare_table(diff, model, *schemas)
        return diff


def _schema(stack: ExitStack, name: str, alias: str) -> str:
    if name == PRESENT:
        return _PRESENT_SCHEMA[connection.vendor]
    check_name(name)
    usable(name)
    schema: str = stack.enter_context(snapshot_storage.current().opened(name, alias))
    return schema


def _compare_table(diff: Diff, model: type[models.Model], first: str, second: str) -> None:
    columns = tables.names(tables.columns_of(model))
    key = tables.key_of(model)
    a, b = tables.table(model, first), tables.table(model, second)
    missing = f"SELECT {key} FROM {b} EXCEPT SELECT {key} FROM {a} ORDER BY 1"
    for pk in _keys(diff, missing):
        diff.added.append(_object(model, pk))
    different = f"SELECT {columns} FROM {a} EXCEPT SELECT {columns} FROM {b}"
    for pk in _keys(diff, f"SELECT {key} FROM ({different}) d ORDER BY 1"):
        before, after = _row(model, a, pk), _row(model, b, pk)
        if after is None:
            diff.removed.append(_object(model, pk))
        elif before is not None and (fields := _fields(before, after)):
            diff.changed.append({**_object(model, pk), "fields": fields})


def _keys(diff: Diff, select: str) -> list[Any]:
    """Return the keys that a statement selects, as many as the answer may list."""
    if diff.truncated:
        return []
    with connection.cursor() as cursor:
        cursor.execute(f"{select} LIMIT {diff.left + 1}")
        keys = [pk for (pk,) in cursor.fetchall()]
    if len(keys) > diff.left:
        diff.truncated = True
    return keys[: diff.left]


def _row(model: type[models.Model], table: str, pk: Any) -> models.Model | None:
    columns = tables.names(tables.columns_of(model))
    key = tables.key_of(model)
    rows = model._base_manager.raw(f"SELECT {columns} FROM {table} WHERE {key} = %s", [pk])
    return next(iter(rows), None)


def _object(model: type[models.Model], pk: Any) -> dict[str, Any]:
    return {"type": model._meta.label_lower, "id": str(pk)}


def _fields(before: models.Model, after: models.Model) -> dict[str, Any]:
    """Return the fields that differ: `{"status": {"a": "pending", "b": "approved"}}`."""
    masked = _PASSWORD_FIELDS if any(map(_may_be_password, (before, after))) else ()
    fields = {}
    for column in tables.stored_fields(type(before)):
        old, new = (getattr(row, column.attname) for row in (before, after))
        if old != new:
            fields[column.name] = {
                "a": _shown(column, old, masked),
                "b": _shown(column, new, masked),
            }
    return fields


def _may_be_password(row: models.Model) -> bool:
    """Return whether a row is a password parameter, or the value of one, or of none that exists."""
    if isinstance(row, Configuration):
        ordinary = Parameter.objects.exclude(type="password")
        return not ordinary.filter(pk=row.parameter_id).exists()
    return isinstance(row, Parameter) and row.type == "password"


def _shown(column: models.Field[Any, Any], value: Any, masked: Collection[str]) -> Any:
    """Return a value as JSON, without secrets, and not longer than MAX_TEXT."""
    if value in (None, ""):
        return value
    is_secret = isinstance(column, EncryptedTextField | EncryptedJSONField)
    if is_secret or column.name in (*_SECRET_FIELDS, *masked):
        return MASK
    if column.name in _CONTENT_FIELDS or isinstance(value, bytes | memoryview):
        return f"({len(value)} long)"
    if isinstance(value, datetime):
        return timeline.format_time(value)
    if isinstance(value, list | dict):
        text = without_passwords(json.dumps(value, ensure_ascii=False, default=str))
        return json.loads(text) if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"
    if isinstance(value, bool | int | float):
        return value
    text = str(value)
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"
