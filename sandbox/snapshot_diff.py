"""What differs between two snapshots, or a snapshot and the present: objects, field by field."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from django.db import connection, models

from requests_queue.encryption import EncryptedJSONField, EncryptedTextField
from sandbox import snapshot_storage, snapshots, timeline, world

MAX_OBJECTS = 1000  # that an answer lists
MAX_TEXT = 200  # characters of a value
MASK = "***"

_SECRET_FIELDS = ("password", "stored_action_secret", "form_code")
# Contents of requests, which may have secrets in any place.
_CONTENT_FIELDS = ("body", "payload", "request_body", "response_body", "content")
_PRESENT_SCHEMA = {"sqlite": "main", "postgresql": "public"}


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
    return world.in_own_thread(partial(_compare, a, b))


def _compare(a: str, b: str) -> Diff:
    with ExitStack() as stack:
        schemas = [_schema(stack, name, alias) for name, alias in ((a, "first"), (b, "second"))]
        diff = Diff()
        for model in world.world_models():
            _compare_table(diff, model, *schemas)
        return diff


def _schema(stack: ExitStack, name: str, alias: str) -> str:
    if name == snapshots.PRESENT:
        return _PRESENT_SCHEMA[connection.vendor]
    snapshots.check_name(name)
    snapshots.usable(name)
    schema: str = stack.enter_context(snapshot_storage.current().opened(name, alias))
    return schema


def _compare_table(diff: Diff, model: type[models.Model], first: str, second: str) -> None:
    columns = world.names(world.columns_of(model))
    key = world.key_of(model)
    a, b = world.table(model, first), world.table(model, second)
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
    columns = world.names(world.columns_of(model))
    key = world.key_of(model)
    rows = model._base_manager.raw(f"SELECT {columns} FROM {table} WHERE {key} = %s", [pk])
    return next(iter(rows), None)


def _object(model: type[models.Model], pk: Any) -> dict[str, Any]:
    return {"type": model._meta.label_lower, "id": str(pk)}


def _fields(before: models.Model, after: models.Model) -> dict[str, Any]:
    """Return the fields that differ: `{"status": {"a": "pending", "b": "approved"}}`."""
    found = {}
    for column in before._meta.local_concrete_fields:
        if column.generated:
            continue
        old, new = (getattr(row, column.attname) for row in (before, after))
        if old != new:
            found[column.name] = {"a": _shown(column, old), "b": _shown(column, new)}
    return found


def _shown(column: models.Field[Any, Any], value: Any) -> Any:
    """Return a value as JSON, without secrets, and not longer than MAX_TEXT."""
    if value in (None, ""):
        return value
    is_secret = isinstance(column, EncryptedTextField | EncryptedJSONField)
    if is_secret or column.name in _SECRET_FIELDS:
        return MASK
    if column.name in _CONTENT_FIELDS or isinstance(value, bytes | memoryview):
        return f"({len(value)} long)"
    if isinstance(value, datetime):
        return timeline.format_time(value)
    if isinstance(value, list | dict):
        masked = _without_passwords(value)
        text = json.dumps(masked, ensure_ascii=False, default=str)
        return masked if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"
    if isinstance(value, bool | int | float):
        return value
    text = str(value)
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"


def _without_passwords(value: Any) -> Any:
    """Return JSON in which the values of password parameters are masked."""
    if isinstance(value, list):
        return [_without_passwords(each) for each in value]
    if not isinstance(value, dict):
        return value
    masked = {key: _without_passwords(each) for key, each in value.items()}
    if value.get("type") == "password":
        masked |= {key: MASK for key in ("value", "structured_value") if value.get(key)}
    return masked
