"""What a validator's answer has otherwise than what its handler was sent: pure, no ORM, no Django.

What the answer leaves out is no difference: an answer may be as little as one parameter.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

ROWS = 200  # differences that are kept; the others are counted
PATH = 200  # characters of a path that are shown
VALUE = 160  # characters of a value that are shown


class ItemId(NamedTuple):
    """A step into a list whose entries have ids."""

    id: str


# A key of an object, an entry by its id, or a position where the entries have none.
Step = str | ItemId | int
Steps = tuple[Step, ...]


class _Nothing:
    def __repr__(self) -> str:
        return "NOTHING"


# In place of a value that isn't there, which null is.
NOTHING: Any = _Nothing()


@dataclass(frozen=True, slots=True)
class DiffRow:
    """One difference: where it is, what was sent there, and what came back."""

    steps: Steps
    sent: Any
    got: Any

    @property
    def path(self) -> str:
        """Return where it is, `asset.params[region].value_error`; the whole is `.`."""
        return shorten("".join(map(_step, self.steps)).removeprefix(".") or ".", PATH)

    @property
    def is_long(self) -> bool:
        """Whether something of it is shown shortened."""
        return any(len(format_value(value, VALUE + 1)) > VALUE for value in (self.sent, self.got))


@dataclass(slots=True)
class JsonDiff:
    """All differences, in the order of what was sent."""

    rows: list[DiffRow] = field(default_factory=list)
    # How many more there are than the rows, and how many parts the answer leaves out.
    more: int = 0
    left_out: int = 0

    def add(self, row: DiffRow) -> None:
        """Keep a difference, or count it where there are many."""
        if len(self.rows) < ROWS:
            self.rows.append(row)
        else:
            self.more += 1


def compare(sent: Any, got: Any) -> JsonDiff:
    """Return what `got` has otherwise than `sent`, both as `json.loads` returns them."""
    found = JsonDiff()
    # A stack rather than recursion: JSON may be nested deeper than functions can be.
    todo: list[tuple[Steps, Any, Any]] = [((), sent, got)]
    while todo:
        steps, old, new = todo.pop()
        parts = _parts(old, new)
        if parts is None:
            if not _same(old, new):
                found.add(DiffRow(steps, old, new))
            continue
        olds, news = parts
        found.left_out += sum(step not in news for step in olds)
        both = [step for step in olds if step in news] + [s for s in news if s not in olds]
        todo += [((*steps, s), olds.get(s, NOTHING), news[s]) for s in reversed(both)]
    return found


def format_value(value: Any, limit: int = VALUE) -> str:
    """Return a value as JSON, shortened; empty where there is none."""
    if value is NOTHING:
        return ""
    pieces: list[str] = []
    length = 0
    # Piece by piece, so that what is large or deep is not read to its end.
    for piece in json.JSONEncoder(ensure_ascii=False).iterencode(value):
        pieces.append(piece)
        length += len(piece)
        if length > limit:
            break
    return shorten("".join(pieces), limit)


def shorten(text: str, limit: int) -> str:
    """Return a text of `limit` characters at most, an ellipsis at its end where more was there."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _step(step: Step) -> str:
    match step:
        case ItemId(pk):
            return f"[{pk}]"
        case int():
            return f"[{step}]"
    return f".{step}"


def _parts(old: Any, new: Any) -> tuple[Mapping[Any, Any], Mapping[Any, Any]] | None:
    """Return the parts of two values that are compared part by part, by their steps."""
    if isinstance(old, dict) and isinstance(new, dict):
        return old, new
    if not isinstance(old, list) or not isinstance(new, list):
        return None
    by_id = _by_id(old), _by_id(new)
    if by_id[0] is not None and by_id[1] is not None:
        return by_id[0], by_id[1]
    if len(old) == len(new):
        return dict(enumerate(old)), dict(enumerate(new))
    return None


def _by_id(entries: list[Any]) -> dict[ItemId, Any] | None:
    """Return the entries by their ids, None where one has none or shares it with another."""
    found: dict[ItemId, Any] = {}
    for entry in entries:
        pk = entry.get("id") if isinstance(entry, dict) else None
        if not isinstance(pk, str) or ItemId(pk) in found:
            return None
        found[ItemId(pk)] = entry
    return found


def _same(old: Any, new: Any) -> bool:
    """Whether two values that aren't compared part by part are the same JSON."""
    if isinstance(old, dict | list) or isinstance(new, dict | list):
        return False
    # To Python true is 1.
    return isinstance(old, bool) == isinstance(new, bool) and bool(old == new)
