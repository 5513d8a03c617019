"""The format of a snapshot's file: JSON lines, compressed by gzip (docs/sandbox-reset.md).

    {"format": "connect-sim-snapshot", "version": 1, …, "tables": {"catalog.Account": 1, …}}
    {"table": "catalog.Account", "columns": ["id", "name"]}
    ["VA-610-138", "Nimbus Inc"]
    {"end": "catalog.Account", "sha256": "…"}

Each digest is that of all lines before its own. No Django.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from typing import IO, Any, NoReturn

from requests_queue.errors import FieldError, Invalid, Refused
from requests_queue.time_format import LONGEST_SPAN

FORMAT, VERSION = "connect-sim-snapshot", 1
MIB = 1024 * 1024
MAX_PACKED = 20 * MIB  # bytes of a file, as the web server takes by default
MAX_UNPACKED = 256 * MIB  # bytes of its lines
MAX_LINE = 32 * MIB  # bytes of a row
MAX_ROWS = 500_000  # of all tables
# Of a row's JSON. Small values take a hundred times more memory than bytes of a file.
MAX_VALUES = 1_000_000
# Of the rows that are in memory at once, beside a single larger one.
BATCH_ROWS, BATCH_SIZE = 500, 4 * MIB

_SEPARATORS = (b",", b"[", b"{")
_IMPOSSIBLE = "times that are more than ten years apart, or of another century"
Row = list[Any]


def unreadable(text: str) -> Invalid:
    """Return the error of a file that cannot be imported."""
    return Invalid("file", text)


def too_large(text: str) -> Refused:
    """Return the error (413) of a file above a limit."""
    return Refused("REQ_413", FieldError("file", text), status=413)


@dataclass(frozen=True, slots=True)
class Manifest:
    """The first line: the snapshot's name and times, versions, and the number of rows by table.

    `secrets` has the accounts whose webhooks have their secrets in the file, `migrations` the
    newest ones by app, and `application` is the version of Connect Sim. Times in ISO 8601.
    """

    name: str
    created: str
    now: str
    application: str
    secrets: list[str]
    migrations: dict[str, list[str]]
    tables: dict[str, int]


class Writer:
    """Writes a file; raises Refused (409) if nobody could import it."""

    def __init__(self, file: IO[bytes], manifest: Manifest) -> None:
        # Without a time, the same snapshot is the same file.
        self._gzip = gzip.GzipFile("", "wb", fileobj=file, mtime=0)
        self._file, self._name = file, manifest.name
        self._digest = hashlib.sha256()
        self._size = 0
        if sum(manifest.tables.values()) > MAX_ROWS:
            self._refuse(f"more than {MAX_ROWS:,} rows")
        if not _are_possible(manifest.created, manifest.now):
            self._refuse(_IMPOSSIBLE)
        self._write({"format": FORMAT, "version": VERSION, **asdict(manifest)})

    def table(self, label: str, columns: list[str], rows: Iterable[Row]) -> None:
        """Write the rows of a table."""
        self._write({"table": label, "columns": columns})
        for row in rows:
            self._write(row)
        self._write({"end": label, "sha256": self._digest.hexdigest()})

    def finish(self) -> None:
        """Write what is left, and go back to the start of the file."""
        self._gzip.close()
        if self._file.tell() > MAX_PACKED:
            self._refuse(f"more than {MAX_PACKED // MIB} MiB")
        self._file.seek(0)

    def _write(self, value: Any) -> None:
        line = json.dumps(value, allow_nan=False, separators=(",", ":")).encode() + b"\n"
        self._size += len(line)
        if self._size > MAX_UNPACKED:
            self._refuse(f"more than {MAX_UNPACKED // MIB} MiB unpacked")
        if len(line) > MAX_LINE or _values(line) > MAX_VALUES:
            self._refuse(f"a row of more than {MAX_LINE // MIB} MiB or {MAX_VALUES:,} values")
        self._digest.update(line)
        self._gzip.write(line)

    def _refuse(self, what: str) -> NoReturn:
        text = f"The snapshot {self._name} cannot be a file: it has {what}."
        raise Refused("SNP_004", text, status=409)


def _values(line: bytes) -> int:
    """Return at least how many values JSON has."""
    return sum(map(line.count, _SEPARATORS))


class Reader:
    """Reads a file, and never more of it than its limits allow; raises Invalid, Refused (413)."""

    def __init__(self, file: IO[bytes]) -> None:
        file.seek(0, 2)
        if file.tell() > MAX_PACKED:
            raise too_large(f"The file is larger than {MAX_PACKED // MIB} MiB.")
        file.seek(0)
        self._gzip = gzip.GzipFile(fileobj=file, mode="rb")
        self._digest = hashlib.sha256()
        self._size = 0
        self.manifest = _manifest(self._first_line())

    def tables(self) -> Iterator[tuple[str, list[str], Iterator[list[Row]]]]:
        """Yield each table with its columns and its rows in batches, to be read to their end."""
        for label, count in self.manifest.tables.items():
            head = self._line()
            columns = head.get("columns") if isinstance(head, dict) else None
            if not isinstance(columns, list) or head != {"table": label, "columns": columns}:
                raise _damaged(f"the table {label} does not begin where it should")
            yield label, columns, self._rows(label, len(columns), count)
            digest = self._digest.hexdigest()
            if self._line() != {"end": label, "sha256": digest}:
                raise _damaged(f"the rows of {label} differ from their number or their digest")
        if self._read():
            raise _damaged("it goes on after its end")

    def _rows(self, label: str, width: int, count: int) -> Iterator[list[Row]]:
        batch: list[Row] = []
        start = self._size
        for number in range(1, count + 1):
            row = self._line()
            if not isinstance(row, list) or len(row) != width:
                raise _damaged(f"row {number} of {label} has not {width} values")
            batch.append(row)
            if number == count or len(batch) == BATCH_ROWS or self._size - start >= BATCH_SIZE:
                yield batch
                batch, start = [], self._size

    def _first_line(self) -> Any:
        try:
            return self._line()
        except Invalid:
            raise unreadable("The file is not a snapshot of Connect Sim.") from None

    def _line(self) -> Any:
        line = self._read()
        if not line.endswith(b"\n"):
            raise _damaged("it ends too early")
        self._digest.update(line)
        if _values(line) > MAX_VALUES:
            raise too_large(f"A row of the file has more than {MAX_VALUES:,} values.")
        try:
            return json.loads(line, parse_constant=_finite, parse_float=_finite)
        except (ValueError, RecursionError):
            raise _damaged("a line is not JSON") from None

    def _read(self) -> bytes:
        try:
            line = self._gzip.readline(MAX_LINE + 1)
        except (OSError, EOFError, zlib.error):
            raise _damaged("it cannot be unpacked to its end") from None
        self._size += len(line)
        if len(line) > MAX_LINE or self._size > MAX_UNPACKED:
            text = f"more than {MAX_UNPACKED // MIB} MiB, or a row of more than {MAX_LINE // MIB}"
            raise too_large(f"The file has {text} MiB when it is unpacked.")
        return line


def _damaged(reason: str) -> Invalid:
    return unreadable(f"The file is damaged: {reason}. Export the snapshot again.")


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError
    return number


def _manifest(line: Any) -> Manifest:
    """Return the first line, checked; raises Invalid, Refused (413)."""
    if not isinstance(line, dict) or line.get("format") != FORMAT:
        raise unreadable("The file is not a snapshot of Connect Sim.")
    version, application = line.get("version"), line.get("application")
    if type(version) is int and version > VERSION:
        raise newer(application)
    values: dict[str, Any] = {field.name: line.get(field.name) for field in fields(Manifest)}
    is_complete = (
        # True is 1 in Python.
        type(version) is int
        and version == VERSION
        and all(isinstance(values[name], str) for name in ("name", "application"))
        and all(_is_moment(values[name]) for name in ("created", "now"))
        and _are_texts(values["secrets"])
        and isinstance(values["migrations"], dict)
        and all(map(_are_texts, values["migrations"].values()))
        and isinstance(values["tables"], dict)
        and all(type(count) is int and count >= 0 for count in values["tables"].values())
    )
    if not is_complete:
        raise _damaged("its first line is incomplete")
    manifest = Manifest(**values)
    if not _are_possible(manifest.created, manifest.now):
        raise unreadable(f"The file has {_IMPOSSIBLE}.")
    if sum(manifest.tables.values()) > MAX_ROWS:
        raise too_large(f"The file has more than {MAX_ROWS:,} rows.")
    return manifest


def _is_moment(value: Any) -> bool:
    try:
        return datetime.fromisoformat(value).utcoffset() == timedelta()
    except (TypeError, ValueError):
        return False


def _are_possible(created: str, now: str) -> bool:
    """Return whether a clock can go on from these times: later ones overflow in calculations."""
    real = datetime.fromisoformat(created)
    return 2000 <= real.year < 2100 and abs(datetime.fromisoformat(now) - real) <= LONGEST_SPAN


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def newer(application: Any) -> Invalid:
    """Return the error of a file that a newer version has written."""
    version = f" ({application})" if isinstance(application, str) and len(application) < 40 else ""
    return unreadable(f"The file was written by a newer version of Connect Sim{version}: update.")
