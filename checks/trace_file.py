"""Traces of failures as files: `*.connect-sim-trace`, a zip with a JSON file for each part.

What the parts have is in `trace.schema.json`, by which they are read: the file may come from
anywhere. The sandbox makes them (`POST /sandbox/trace-file`) for tests and checks. No Django.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

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
MAX_DEPTH = 200  # the sandbox stores at most 60 levels of JSON, which are parts of others
_LARGEST = 2**63
LONGEST = 32 * 1024  # characters of a text

Json = dict[str, Any]
_TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "null": type(None),
}


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
    path.parent.mkdir(parents=True, exist_ok=True)
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
    if _is_deep(value):
        return "a value is nested too deeply"
    root = schema()["$defs"][definition] if definition else schema()
    return next((f"{place or 'it'} {text}" for place, text in _problems(value, root, "")), "")


def _is_deep(value: Any) -> bool:
    """Return whether a value is nested deeper than recursion can follow."""
    # A stack rather than recursion, for that reason.
    todo = [(value, 0)]
    while todo:
        each, depth = todo.pop()
        if depth > MAX_DEPTH:
            return True
        if isinstance(each, dict | list):
            parts = each.values() if isinstance(each, dict) else each
            todo += [(part, depth + 1) for part in parts]
    return False


@cache
def schema() -> Any:
    """Return the JSON Schema of the content."""
    return json.loads(SCHEMA.read_text(encoding="utf-8"))


def _problems(value: Any, rule: Json, place: str) -> Iterator[tuple[str, str]]:
    """Yield where a value is not as a schema says, by the keywords that the file uses."""
    if "$ref" in rule:
        rule = schema()["$defs"][rule["$ref"].rpartition("/")[2]]
    kinds = rule.get("type", [])
    names = [kinds] if isinstance(kinds, str) else kinds
    # To Python, true is an integer.
    if names and (isinstance(value, bool) or not isinstance(value, tuple(map(_type, names)))):
        yield place, "has the wrong type"
        return
    if isinstance(value, int | float) and abs(value) >= _LARGEST:
        yield place, "is too large"
    if "const" in rule and value != rule["const"]:
        yield place, "has the wrong value"
    if "enum" in rule and value not in rule["enum"]:
        yield place, "has the wrong value"
    if rule.get("format") == "date-time" and not _is_moment(value):
        yield place, "is no moment"
    if isinstance(value, list):
        for number, each in enumerate(value):
            yield from _problems(each, rule.get("items", {}), f"{place}[{number}]")
    if isinstance(value, dict):
        for name in rule.get("required", ()):
            if name not in value:
                yield f"{place}.{name}".lstrip("."), "is missing"
        known, other = rule.get("properties", {}), rule.get("additionalProperties", {})
        for name, each in value.items():
            if found := known.get(name, other):
                yield from _problems(each, found, f"{place}.{name[:40]}".lstrip("."))


def _type(name: str) -> Any:
    return _TYPES[name]


def _is_moment(text: str) -> bool:
    try:
        at = datetime.fromisoformat(text)
        return at.tzinfo is not None and at.astimezone(UTC) is not None
    except (ValueError, OverflowError):
        # In UTC, it may be before the year 1.
        return False
