"""The request line with bytes that clients send unescaped, and the parser refuses."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_UNESCAPED = re.compile(rb"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\xff]")


class RequestLine:
    """The line of the request that is being received, however many pieces it comes in."""

    def __init__(self) -> None:
        self._received, self._is_open = b"", True

    def escape(self, data: bytes, begun: bool) -> bytes:
        """Return what was received, with the line's unescaped bytes escaped for the parser."""
        if not self._is_open:
            return data
        if not begun:
            # Empty lines may come before a request.
            data = data.lstrip(b"\r\n")
        end = data.find(b"\n")
        line = data if end < 0 else data[:end]
        self._received += line
        self._is_open = end < 0
        if not _UNESCAPED.search(line):
            return data
        rest = b"" if end < 0 else data[end:]
        return _UNESCAPED.sub(lambda found: b"%%%02X" % found[0][0], line) + rest

    def target(self, parsed: bytes) -> tuple[bytes, bytes]:
        """Return path and query as they were received; `parsed` is what the parser has found."""
        line, self._received = self._received, b""
        parts = line.split(b" ") if _UNESCAPED.search(line) else []
        return _split(parts[1] if len(parts) > 1 else parsed)

    def reset(self) -> None:
        """Start with the next request's line."""
        self._received, self._is_open = b"", True


def _split(target: bytes) -> tuple[bytes, bytes]:
    """Return path and query of a request target, an absolute one included."""
    if not target.startswith(b"/"):
        try:
            parts = urlsplit(target)
        except ValueError:
            return target, b""
        return parts.path, parts.query
    path, _, query = target.partition(b"#")[0].partition(b"?")
    return path, query
