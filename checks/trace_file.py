"""Traces of failures as files: `*.connect-sim-trace`, a zip with a JSON file for each part.

What the parts have is in `trace.schema.json`, by which they are read: the file may come from
anywhere. The sandbox makes them (`POST /sandbox/trace-file`) for tests and checks. No Django.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from checks import json_schema
from requests_queue import whole_files
from requests_queue.redaction import Redaction

FORMAT = 1
# Of the documents of this format. Other programs may rely on it: a new format has its own number.
SCHEMA = Path(__file__).with_name("trace.schema.json")
SUFFIX = ".connect-sim-trace"
PARTS = ("trace", "timeline", "deliveries", "calls", "state")
MAX_FILE = 16 * 1024 * 1024  # bytes
MAX_UNPACKED = 24 * 1024 * 1024  # bytes of all parts
# Bytes of JSON that the rows of a part may have, so that a file is within the limits.
MAX_ROWS = 3 * 1024 * 1024
LONGEST = 32 * 1024  # characters of a text

Json = dict[str, Any]


class BadTrace(ValueError):
    """A file is no trace that can be read; the message is one sentence."""


def pack(content: Mapping[str, Any]) -> bytes:
    """Return the file of all parts."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in PARTS:
            # The time is fixed: the same content is the same file.
            member = zipfile.ZipInfo(f"{name}.json")
            member.compress_type, member.external_attr = zipfile.ZIP_DEFLATED, 0o600 << 16
            archive.writestr(member, _encoded(content[name]))
    return file.getvalue()


def newest(rows: Iterable[Any]) -> list[Any]:
    """Return the first of these rows, the newest first, that a file has room for.

    Long texts in them are cut.
    """
    kept, size = [], 0
    for row in map(_cut, rows):
        size += len(_encoded(row))
        if size > MAX_ROWS:
            break
        kept.append(row)
    return kept


def _cut(value: Any) -> Any:
    """Return a value whose texts are not too long."""
    if isinstance(value, dict):
        return {name: _cut(each) for name, each in value.items()}
    if isinstance(value, list):
        return list(map(_cut, value))
    if isinstance(value, str) and len(value) > LONGEST:
        return f"{value[:LONGEST]}… ({len(value)} characters)"
    return value


def _encoded(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")


def save(data: bytes, path: Path) -> None:
    """Write a file that only its owner may read, and create its folder; raises OSError."""
    with suppress(FileExistsError):
        path.parent.mkdir(parents=True)
        # Git ignores the new folder, so that `check prove` takes no trace for a change.
        (path.parent / ".gitignore").write_text("*\n")
    whole_files.write(path, data)


def without_secrets(data: bytes, secrets: Collection[str]) -> bytes:
    """Return a file in whose texts these secrets are replaced; raises BadTrace."""
    return pack(Redaction(secrets).value(unpack(data)))


def read(path: Path) -> bytes:
    """Return the content of a file, which is a trace; raises BadTrace, OSError."""
    with path.open("rb") as file:
        # It may be a device, which has no size.
        data = file.read(MAX_FILE + 1)
    unpack(data)
    return data


def load(path: Path) -> Json:
    """Return all parts of a file by name; raises BadTrace, OSError."""
    with path.open("rb") as file:
        return unpack(file.read(MAX_FILE + 1))


def unpack(data: bytes) -> Json:
    """Return all parts of a file's content by name; raises BadTrace."""
    if len(data) > MAX_FILE:
        raise BadTrace(f"It is too large: a trace has at most {MAX_FILE // 1024**2} MiB.")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            left, content = MAX_UNPACKED, {}
            for name in PARTS:
                text, left = _member(archive, name, left)
                content[name] = _decoded(text, name)
                if name == "trace":
                    _check_format(content[name])
    except BadTrace:
        raise
    except Exception:
        # zipfile raises errors of many classes for an archive that is damaged.
        raise BadTrace("It is not a trace, or damaged: its archive cannot be read.") from None
    if found := problem(content):
        raise BadTrace(f"It is damaged: {found}.")
    return content


def _member(archive: zipfile.ZipFile, name: str, left: int) -> tuple[bytes, int]:
    """Return the content of a part, and how many bytes the others may have."""
    member = archive.getinfo(f"{name}.json")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise BadTrace("It is not a trace: its archive is compressed by another method.")
    with archive.open(member) as file:
        # Read within the limit: what the archive says of the size may be wrong.
        text = file.read(left + 1)
    if len(text) > left:
        raise BadTrace(f"It is too large: unpacked, it has at most {MAX_UNPACKED // 1024**2} MiB.")
    return text, left - len(text)


def _decoded(text: bytes, name: str) -> Any:
    try:
        return json.loads(text.decode(), parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError):
        raise BadTrace(f"It is damaged: {name}.json is not valid JSON.") from None


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _finite(text: str) -> float:
    """Return a number; raises ValueError for one that Python reads as infinity: `1e400`."""
    if not math.isfinite(number := float(text)):
        raise ValueError(text)
    return number


def _check_format(trace: Any) -> None:
    found = trace.get("format") if isinstance(trace, dict) else None
    if type(found) is not int or found < 1:
        raise BadTrace("It is damaged: trace.json has no format.")
    if found != FORMAT:
        raise BadTrace(
            f"It has format {found}, and this version of Connect Sim reads format {FORMAT}. "
            "Use the version that has written it, or a newer one."
        )


def problem(value: Any, definition: str = "") -> str:
    """Return in which point a value is not as the schema, or a definition in it, says; or ""."""
    return json_schema.problem(value, schema(), definition)


@cache
def schema() -> Any:
    """Return the JSON Schema of the content."""
    return json.loads(SCHEMA.read_text(encoding="utf-8"))
