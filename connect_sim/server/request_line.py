"""What the parser does not do with a head: raw bytes of its line, its size, unknown methods."""

from __future__ import annotations

import re
from http import HTTPMethod
from urllib.parse import urlsplit

# Bytes of the request line and all headers.
MAX_HEAD = 256 * 1024
_END = b"\r\n\r\n"
_UNESCAPED = re.compile(rb"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\xff]")
_METHOD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+(?= |$)")
_LINE = re.compile(rb"\S+ (\S+) HTTP/1\.[01]\r?")


class Incomplete(Exception):
    """The rest of the request line decides."""


class RequestLine:
    """The line and the size of the current request's head, received in any number of chunks."""

    def __init__(self) -> None:
        self._received, self._is_open = b"", True
        # Bytes of the head before `_last`, which may be the beginning of its end.
        self._size, self._last = 0, b""

    def exceeds(self, data: bytes, begun: bool) -> bool:
        """Count received data; return whether the head that had `begun` before is too large.

        A single read is not larger than the limit, so neither is a head that it has completely.
        """
        data = self._last + data if begun else data
        size = self._size if begun else 0
        head, end, _ = data.partition(_END)
        rest = data.rpartition(_END)[2]
        self._last = rest[-3:]
        self._size = (0 if end else size) + len(rest) - len(self._last)
        return begun and size + len(head) + len(end) > MAX_HEAD

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

    def unknown_method(self) -> tuple[str, bytes] | None:
        """Return method and path, if the parser has refused the line for its method.

        Raises Incomplete as long as more of the line is needed.
        """
        method = _METHOD.match(self._received)
        if method is None or method[0].decode() in HTTPMethod.__members__:
            return None
        if self._is_open:
            raise Incomplete
        line = _LINE.fullmatch(self._received)
        return None if line is None else (method[0].decode(), _split(line[1])[0])

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
