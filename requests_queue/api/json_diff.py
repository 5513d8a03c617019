"""The difference between two JSON values, such as an object and a validator's response.

What the second value leaves out is no difference: a response may be as little as one parameter.
No ORM, no Django.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

ROWS = 200  # differences that are kept; the others are counted
PATH = 200  # characters of a path that are shown
VALUE = 160  # characters of a value that are shown


class ItemId(NamedTuple):
    """A step into a list whose items have ids."""

    id: str


# A key of an object, an item by its id, or an index where the items have none.
Step = str | ItemId | int
Steps = tuple[Step, ...]
# The path to the container, and the last step; None is the root. All parts of a container share the
# path to it: a copy for each would cost the square of the depth.
_Path: TypeAlias = "tuple[_Path, Step] | None"


class _Nothing:
    def __repr__(self) -> str:
        return "NOTHING"


# In place of a missing value; null is a value.
NOTHING: Any = _Nothing()


@dataclass(frozen=True, slots=True)
class DiffRow:
    """One difference: its path, the value sent and the value received."""

    steps: Steps
    sent: Any
    received: Any

    @property
    def path(self) -> str:
        """Return the path, such as `asset.params[region].value_error`; the root is `.`."""
        return shorten("".join(map(_step, self.steps)).removeprefix(".") or ".", PATH)

    @property
    def is_long(self) -> bool:
        """Whether one of its values is shortened."""
        values = (self.sent, self.received)
        return any(len(format_value(value, VALUE + 1)) > VALUE for value in values)


@dataclass(slots=True)
class JsonDiff:
    """All differences, in the order of the sent value."""

    rows: list[DiffRow] = field(default_factory=list)
    # How many more differences there are, and how many parts the response leaves out.
    more: int = 0
    left_out: int = 0
    limit: int = ROWS

    def add(self, row: DiffRow) -> None:
        """Add a difference; beyond the limit it is only counted."""
        if len(self.rows) < self.limit:
            self.rows.append(row)
        else:
            self.more += 1


def compare(sent: Any, received: Any, *, with_removed: bool = False, limit: int = ROWS) -> JsonDiff:
    """Return how `received` differs from `sent`, both as `json.loads` returns them.

    `with_removed`: what the second value leaves out is a difference, too.
    """
    diff = JsonDiff(limit=limit)
    # A stack rather than recursion: JSON may be nested deeper than Python's recursion limit.
    todo: list[tuple[_Path, Any, Any]] = [(None, sent, received)]
    while todo:
        path, old, new = todo.pop()
        parts = _parts(old, new)
        if parts is None:
            if not _same(old, new):
                diff.add(DiffRow(_steps(path), old, new))
            continue
        olds, news = parts
        diff.left_out += sum(step not in news for step in olds)
        steps = [step for step in olds if with_removed or step in news]
        steps += [step for step in news if step not in olds]
        todo += [
            ((path, step), olds.get(step, NOTHING), news.get(step, NOTHING))
            for step in reversed(steps)
        ]
    return diff


def format_value(value: Any, limit: int = VALUE) -> str:
    """Return a value as JSON, shortened; empty if it is missing."""
    if value is NOTHING:
        return ""
    pieces: list[str] = []
    length = 0
    # Piece by piece, so that a large or deep value is not encoded to its end.
    for piece in json.JSONEncoder(ensure_ascii=False).iterencode(value):
        pieces.append(piece)
        length += len(piece)
        if length > limit:
            break
    return shorten("".join(pieces), limit)


def shorten(text: str, limit: int) -> str:
    """Return the first `limit` characters of a text, with an ellipsis if it was longer."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _steps(path: _Path) -> Steps:
    steps: list[Step] = []
    while path is not None:
        path, step = path
        steps.append(step)
    return tuple(reversed(steps))


def _step(step: Step) -> str:
    match step:
        case ItemId(pk):
            return f"[{pk}]"
        case int():
            return f"[{step}]"
    return f".{step}"


def _parts(old: Any, new: Any) -> tuple[Mapping[Any, Any], Mapping[Any, Any]] | None:
    """Return the parts of two containers by their steps, or None for values compared as a whole."""
    if isinstance(old, dict) and isinstance(new, dict):
        return old, new
    if not isinstance(old, list) or not isinstance(new, list):
        return None
    by_id = _by_id(old), _by_id(new)
    if by_id[0] is not None and by_id[1] is not None:
        return by_id[0], by_id[1]
    return (dict(enumerate(old)), dict(enumerate(new))) if len(old) == len(new) else None


def _by_id(entries: list[Any]) -> dict[ItemId, Any] | None:
    """Return the items by id, or None if an id is missing or not unique."""
    by_id: dict[ItemId, Any] = {}
    for entry in entries:
        pk = entry.get("id") if isinstance(entry, dict) else None
        if not isinstance(pk, str) or ItemId(pk) in by_id:
            return None
        by_id[ItemId(pk)] = entry
    return by_id


def _same(old: Any, new: Any) -> bool:
    """Whether two values that are compared as a whole are the same JSON."""
    if isinstance(old, dict | list) or isinstance(new, dict | list):
        return False
    # Compare as JSON: `1 == True` in Python.
    return isinstance(old, bool) == isinstance(new, bool) and bool(old == new)
