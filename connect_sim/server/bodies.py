"""Request bodies, received completely before a thread is used, so slow ones block no thread."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Awaitable, Callable, MutableMapping
from typing import IO, Any

from django.conf import settings

# Allowance for the form fields around a file of the maximum size.
FORM = 64 * 1024
# Larger bodies are received only from clients that are allowed to send them.
LARGE = 64 * 1024
_IN_MEMORY = 512 * 1024

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class TooLarge(Exception):
    """The body is larger than SIM_MAX_BODY."""


class NotAllowed(Exception):
    """The client may not do what it asks for; the response has been sent."""


class Disconnected(Exception):
    """The client has disconnected."""


class Body:
    """A request body: in memory, or in a temporary file if it is large."""

    def __init__(self, scope: MutableMapping[str, Any]) -> None:
        self.size = 0
        self.file: IO[bytes] = io.BytesIO()
        self._declared, self._limit = 0, settings.SIM_MAX_BODY
        self.expects_continue = False
        for name, value in scope["headers"]:
            match name:
                case b"content-length":
                    self._declared = int(value)
                case b"transfer-encoding":
                    self._declared = LARGE
                case b"content-type" if value.lower().startswith(b"multipart/form-data"):
                    self._limit += FORM
                case b"expect":
                    self.expects_continue = value.lower() == b"100-continue"

    async def receive(self, receive: Receive, may_be_large: Callable[[], Awaitable[Any]]) -> None:
        """Receive the body; raises TooLarge, Disconnected, OSError, what `may_be_large` raises."""
        if self._declared > self._limit:
            raise TooLarge
        is_checked, more = False, self._declared > 0
        while more:
            if not is_checked and max(self.size, self._declared) > LARGE:
                is_checked = True
                await may_be_large()
            message = await receive()
            self.expects_continue = False
            if message["type"] == "http.disconnect":
                raise Disconnected
            more = message.get("more_body", False)
            self._write(message.get("body", b""))
        self.file.seek(0)

    def close(self) -> None:
        """Release the memory or the file."""
        self.file.close()

    def _write(self, chunk: bytes) -> None:
        self.size += len(chunk)
        if self.size > self._limit:
            raise TooLarge
        if self.size > _IN_MEMORY and isinstance(self.file, io.BytesIO):
            spooled = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `close`)
            spooled.write(self.file.getbuffer())
            self.file = spooled
        self.file.write(chunk)
