"""The ordinals of a fault's requests, counted since it was armed.

A request is led to by keys, for instance webhook and delivery: each key has an ordinal among those
of its parent, and the request one among those of the last key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

from sandbox.models import FaultOrdinal

Keys = Sequence[str]

_CHUNK = 500  # SQLite takes 32,766 parameters


class Ordinals:
    """Counts requests of one fault in memory; use it with the fault's row locked, then save."""

    def __init__(self, fault_id: str, requests: Iterable[Keys]) -> None:
        self._fault_id = fault_id
        paths = list({path: None for keys in requests for path in _paths(keys)})
        self._rows: dict[str, FaultOrdinal] = {}
        for start in range(0, len(paths), _CHUNK):
            rows = FaultOrdinal.objects.filter(fault=fault_id, path__in=paths[start:][:_CHUNK])
            self._rows |= {row.path: row for row in rows}
        self._changed: set[str] = set()

    def count(self, keys: Keys) -> tuple[int, ...]:
        """Count a request, and return the ordinals of its keys and its own."""
        root, *paths = _paths(keys)
        parent, ordinals = self._row(root, None), []
        for path in paths:
            parent = self._row(path, parent)
            ordinals.append(parent.ordinal)
        return (*ordinals, self._increment(parent))

    def save(self) -> None:
        """Store what has changed."""
        changed = [self._rows[path] for path in self._changed]
        FaultOrdinal.objects.bulk_create([row for row in changed if row.pk is None])
        FaultOrdinal.objects.bulk_update(
            [row for row in changed if row.pk is not None], ["count"], batch_size=_CHUNK
        )
        self._changed.clear()

    def _row(self, path: str, parent: FaultOrdinal | None) -> FaultOrdinal:
        row = self._rows.get(path)
        if row is None:
            ordinal = self._increment(parent) if parent is not None else 0
            row = FaultOrdinal(fault_id=self._fault_id, path=path, ordinal=ordinal)
            self._rows[path] = row
            self._changed.add(path)
        return row

    def _increment(self, row: FaultOrdinal) -> int:
        row.count += 1
        self._changed.add(row.path)
        return row.count


def _paths(keys: Keys) -> Iterator[str]:
    """Yield the stored path of the fault itself and of each key.

    The path of a key is a hash, since a key has any length, and may have characters that PostgreSQL
    cannot store.
    """
    for end in range(len(keys) + 1):
        text = "\n".join(keys[:end])
        yield hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest() if text else ""
