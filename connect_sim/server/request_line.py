"""Escaping of bytes in the request line that clients send raw and the parser refuses."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_UNESCAPED = re.compile(rb"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\xff]")


class RequestLine:
    """The line of the current request, received in any number of chunks."""

    def __init__(self) -> None:
        self._received, self._is_open = b"", True

    def escape(self, data: bytes, begun: bool) -> bytes:
        """Return the received data with raw bytes of the line escaped for the parser."""
        if not self._is_open:
            return data
        if not begun:
            # A request may be preceded by empty lines.
            data = data.lstrip(b"\r\n")
        end = data.find(b"\n")
        line = data if end < 0 else data[:end]
        self._received += line
        self._is_open = end < 0
        if not _UNESCAPED.search(line):
            return data
        rest = b"" if end < 0 else data[end:]
        return _UNESCAPED.sub(lambda match: b"%%%02X" % match[0][0], line) + rest

    def target(self, parsed: bytes) -> tuple[bytes, bytes]:
        """Return path and query as received; `parsed` is the parser's target."""
        line, self._received = self._received, b""
        parts = line.split(b" ") if _UNESCAPED.search(line) else []
        return _split(parts[1] if len(parts) > 1 else parsed)

    def reset(self) -> None:
        """Start the next request."""
        self._received, self._is_open = b"", True


def _split(target: bytes) -> tuple[bytes, bytes]:
    """Return path and query of a request target, which may be an absolute URL."""
    if not target.startswith(b"/"):
        try:
            parts = urlsplit(target)
        except ValueError:
            return target, b""
        return parts.path, parts.query
    path, _, query = target.partition(b"#")[0].partition(b"?")
    return path, query
