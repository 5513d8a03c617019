"""Bodies of requests and responses as readable text.

Bodies come from other programs: control characters are escaped, bytes that are not text as well,
and a page shows a limited part.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from requests_queue.api.json_validation import parse_json
from requests_queue.safe_text import visible

SHOWN = 12_000  # characters of a body on a page, unless the full body is requested
FULL = 400_000
_INFLATED = 64 * 1024
_MAX_INDENT = 30  # levels of JSON that are indented

# The last string may be cut off.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{},:]|[^\s\[\]{},:"]+')
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_CHARSET = re.compile(r"charset\s*=\s*\"?([\w.:-]+)", re.IGNORECASE)
_ENCODINGS = ("utf-8", "us-ascii", "iso-8859-1", "windows-1252", "utf-16", "utf-16le", "utf-16be")


@dataclass(slots=True)
class Body:
    """The text of a body, notes about its decoding, and how much is left out."""

    text: str = ""
    size: int = 0
    notes: list[str] = field(default_factory=list)
    is_formatted: bool = False
    more: int = 0  # characters that are not shown

    @property
    def caption(self) -> str:
        """Its size, and whether it is shown as it is."""
        return f"{format_size(self.size)}{', JSON, formatted' if self.is_formatted else ''}"


def format_size(count: int) -> str:
    """Return a number of bytes as `512 bytes`, `1.5 KiB` or `2 MiB`."""
    if count < 1024:
        return "1 byte" if count == 1 else f"{count} bytes"
    return f"{count / 1024:.3g} KiB" if count < 1024**2 else f"{count / 1024**2:.3g} MiB"


def escape_controls(text: str) -> str:
    r"""Return the text with control characters as `\x1b`, and bidirectional overrides visible.

    Not as Unicode control pictures: many fonts lack them.
    """
    text = text.replace("\r\n", "\n")
    return visible(_CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text))


def read(
    raw: bytes, headers: Iterable[tuple[str, str]], *, as_sent: bool, full: bool, cut: bool = False
) -> Body:
    """Return a body; JSON is formatted unless `as_sent`. With `cut`, the rest was not stored."""
    by_name = {name.lower(): value for name, value in headers}
    body = Body(size=len(raw))
    if cut:
        body.notes.append(f"Only the first {len(raw):,} bytes are stored.")
    raw = _inflated(raw, by_name.get("content-encoding", ""), body.notes)
    text = _decoded(raw, by_name.get("content-type", ""), body.notes)
    limit = FULL if full else SHOWN
    # The beginning of JSON can't be parsed, but its tokens can be formatted.
    is_cut_json = cut and "json" in by_name.get("content-type", "").lower()
    if not as_sent and (text[:1] in ("{", "[") if is_cut_json else _is_json(text)):
        body.is_formatted = True
        text = formatted(text, limit + 1_000)
    text = escape_controls(text)
    body.text, body.more = text[:limit], max(0, len(text) - limit)
    return body


def formatted(text: str, limit: int = FULL) -> str:
    """Return JSON with line breaks; beyond the limit it is left as it is.

    Formats tokens instead of parsed values, which keeps duplicate keys and how numbers are written.
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
        token = match[0]
        if token in "]}":
            depth -= 1
            yield ("" if opened else _line(depth)) + token, match.end()
            opened = False
            continue
        lead = _line(depth) if opened else ""
        opened = token in "[{"
        depth += opened
        after = _line(depth) if token == "," else " " if token == ":" else ""
        yield lead + token + after, match.end()


def _line(depth: int) -> str:
    return "\n" + "  " * min(max(depth, 0), _MAX_INDENT)


def _is_json(text: str) -> bool:
    if text.lstrip()[:1] not in ("{", "["):
        return False
    try:
        parse_json(text)
    except (ValueError, RecursionError):
        return False
    return True


def _inflated(raw: bytes, encoding: str, notes: list[str]) -> bytes:
    """Return a decompressed body up to a limit: a small one may expand to gigabytes."""
    encoding = encoding.strip().lower()
    if encoding not in ("gzip", "x-gzip", "deflate") or not raw:
        return raw
    reader = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        inflated = reader.decompress(raw, _INFLATED)
    except zlib.error:
        notes.append(f"Content-Encoding is {encoding}, but the body cannot be decompressed.")
        return raw
    notes.append(f"Decompressed ({encoding}).")
    if reader.unconsumed_tail:
        notes.append(f"Only the first {_INFLATED:,} bytes are decompressed.")
    return inflated


def _decoded(raw: bytes, content_type: str, notes: list[str]) -> str:
    match = _CHARSET.search(content_type)
    charset = match[1].lower() if match else "utf-8"
    encoding = charset if charset in _ENCODINGS else "utf-8"
    if encoding != charset:
        notes.append(f"Unknown charset {escape_controls(charset[:40])}: decoded as UTF-8.")
    text = raw.decode(encoding, "backslashreplace")
    try:
        raw.decode(encoding)
    except UnicodeDecodeError:
        notes.append(f"Not valid {encoding.upper()}: other bytes are shown as \\xNN.")
    if _CONTROL.search(text.replace("\r\n", "\n")):
        notes.append("Control characters are shown as \\xNN.")
    return text
