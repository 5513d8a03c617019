"""Places in the timeline for entries that are written after later ones: those of API calls.

A call is stored off the thread of its request, but its entry comes before those of what changes
after it. So while a call is not stored, what is written next leaves an id free for it.

Only on SQLite, which has one writer: the order of ids is that of transactions there. A transaction
that is rolled back takes back the ids that it has left free: a place is valid only if its id is at
most the last one that the table has given. Both are compared with the write lock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence


class Place:
    """Where an entry belongs; `id` is None while nothing has been written after it."""

    __slots__ = ("id",)

    def __init__(self) -> None:
        self.id: int | None = None


# Those of entries that are not committed yet, in order.
_places: dict[Place, None] = {}
_guard = threading.Lock()


def _write_nothing() -> None:
    pass


# Writes the entries that are expected, unless they are being written: set by their owner.
writer: Callable[[], object] = _write_nothing


def expect(place: Place) -> None:
    """Keep a place free until `forget`: its entry will be written."""
    with _guard:
        _places[place] = None


def forget(places: Iterable[Place]) -> None:
    """Forget places: their entries are committed, or will never be written."""
    with _guard:
        for place in places:
            _places.pop(place, None)


def clear() -> None:
    """Forget all places."""
    with _guard:
        _places.clear()


def are_expected() -> bool:
    return bool(_places)


def reserve(last: int) -> int:
    """Give the places without a valid id the ones after `last`; return how many.

    Call with the write lock, `last` being the last id that the table has given.
    """
    count = 0
    with _guard:
        for place in _places:
            if place.id is None or place.id > last:
                count += 1
                place.id = last + count
    return count


def take(places: Sequence[Place], last: int) -> list[int | None]:
    """Return the valid ids of places whose entries are written now, None for a new id.

    Call with the write lock, `last` being the last id that the table has given.
    """
    with _guard:
        for place in _places:
            if place.id is not None and place.id > last:
                place.id = None
    return [place.id for place in places]


def first() -> int | None:
    """Return the first id that is reserved: entries after it are not read yet."""
    with _guard:
        return min((place.id for place in _places if place.id is not None), default=None)
