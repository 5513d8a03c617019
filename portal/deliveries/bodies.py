"""Bodies of requests and answers as text that does nothing: readable, whatever was sent.

What was written by others is never obeyed: controls become visible, what isn't text is escaped,
and a page shows so much of it as a person reads.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from requests_queue.safe_text import visible

SHOWN = 12_000  # characters of a body on a page, unless the whole is asked for
WHOLE = 400_000
_INFLATED = 64 * 1024
_DEEP = 30  # levels of JSON that are indented

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+')
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_CHARSET = re.compile(r"charset\s*=\s*\"?([\w.:-]+)", re.IGNORECASE)
_ENCODINGS = ("utf-8", "us-ascii", "iso-8859-1", "windows-1252", "utf-16", "utf-16le", "utf-16be")


@dataclass(slots=True)
class Body:
    """A body to be read: its text, what to know of it, and how much more there is."""

    text: str = ""
    size: int = 0
    notes: list[str] = field(default_factory=list)
    # Whether it is JSON that is shown with line breaks of ours.
    is_formatted: bool = False
    # Characters that aren't shown.
    more: int = 0


def harmless(text: str) -> str:
    """Return the text with control characters as `\\x1b`, and what reverses or hides it visible.

    Not as their pictures: many fonts have none.
    """
    shown = text.replace("\r\n", "\n")
    return visible(_CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", shown))


def read(
    raw: bytes, headers: Iterable[tuple[str, str]], *, as_sent: bool, whole: bool, cut: bool = False
) -> Body:
    """Return a body; JSON is formatted unless `as_sent`; `cut`: the rest was never stored."""
    found = {name.lower(): value for name, value in headers}
    body = Body(size=len(raw))
    if cut:
        body.notes.append(f"Only the first {len(raw):,} bytes are stored.")
    raw = _inflated(raw, found.get("content-encoding", ""), body.notes)
    text = _decoded(raw, found.get("content-type", ""), body.notes)
    limit = WHOLE if whole else SHOWN
    if not as_sent and _is_json(text):
        body.is_formatted = True
        text = formatted(text, limit + 1_000)
    shown = harmless(text)
    body.text, body.more = shown[:limit], max(0, len(shown) - limit)
    return body


def formatted(text: str, limit: int = WHOLE) -> str:
    """Return JSON with line breaks, every value as it was written; the rest beyond the limit as it
    came.

    By its marks alone: reading and writing it would lose doubled keys and how numbers were written.
    """
    pieces: list[str] = []
    length = 0
    for piece, end in _pieces(text):
        pieces.append(piece)
        length += len(piece)
        if length > limit:
            pieces.append(text[end:])
            break
    return "".join(pieces)


def _pieces(text: str) -> Iterator[tuple[str, int]]:
    depth, opened = 0, False
    for match in _TOKEN.finditer(text):
        mark = match[0]
        if mark in "]}":
            depth -= 1
            yield ("" if opened else _line(depth)) + mark, match.end()
            opened = False
            continue
        lead = _line(depth) if opened else ""
        opened = mark in "[{"
        depth += opened
        after = _line(depth) if mark == "," else " " if mark == ":" else ""
        yield lead + mark + after, match.end()


def _line(depth: int) -> str:
    return "\n" + "  " * min(max(depth, 0), _DEEP)


def _is_json(text: str) -> bool:
    if text.lstrip()[:1] not in ("{", "["):
        return False
    try:
        json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON.")


def _inflated(raw: bytes, encoding: str, notes: list[str]) -> bytes:
    """Return what was compressed, so much of it as may be read: a little may unpack to a lot."""
    encoding = encoding.strip().lower()
    if encoding not in ("gzip", "x-gzip", "deflate") or not raw:
        return raw
    reader = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        found = reader.decompress(raw, _INFLATED)
    except zlib.error:
        notes.append(f"It says that it is compressed ({encoding}), and isn't, or is broken.")
        return raw
    notes.append(f"It came compressed ({encoding}), and is shown unpacked.")
    if reader.unconsumed_tail:
        notes.append(f"Only the first {_INFLATED:,} bytes were unpacked.")
    return found


def _decoded(raw: bytes, content_type: str, notes: list[str]) -> str:
    match = _CHARSET.search(content_type)
    said = match[1].lower() if match else "utf-8"
    encoding = said if said in _ENCODINGS else "utf-8"
    if encoding != said:
        notes.append(f"It says that it is {harmless(said[:40])}, and is read as UTF-8.")
    text = raw.decode(encoding, "backslashreplace")
    try:
        raw.decode(encoding)
    except UnicodeDecodeError:
        notes.append(f"It isn't valid {encoding.upper()}: bytes that aren't are shown as \\xNN.")
    if _CONTROL.search(text.replace("\r\n", "\n")):
        notes.append("Control characters are shown as \\xNN.")
    return text
