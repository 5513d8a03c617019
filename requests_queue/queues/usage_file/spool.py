"""Rows of a sheet in a temporary file, because in memory they take far more than the upload."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

from requests_queue.queues.usage_file import limits

Cells = dict[str, Any]
_BATCH = 100


class Rows:
    """(row number, cells by column) pairs in order; may be iterated several times.

    Unpickling is safe: only this process can write the file.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._file = tempfile.SpooledTemporaryFile(max_size=4 * limits.MIB)  # noqa: SIM115
        self._batch: list[tuple[int, list[Any]]] = []
        self._count = 0

    def add(self, number: int, values: list[Any]) -> None:
        """Add a row, its values in the order of the names."""
        self._count += 1
        self._batch.append((number, values))
        if len(self._batch) >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        self._file.seek(0, 2)
        pickle.dump(self._batch, self._file, pickle.HIGHEST_PROTOCOL)
        self._batch = []

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[tuple[int, Cells]]:
        if self._batch:
            self._flush()
        at = 0
        while True:
            self._file.seek(at)
            try:
                batch = pickle.load(self._file)
            except EOFError:
                return
            at = self._file.tell()
            for number, values in batch:
                yield number, dict(zip(self._names, values, strict=False))
