"""Request bodies, received completely before a thread is used, so slow ones block no thread."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from typing import IO, Any

from django.conf import settings

from connect_sim.server import Receive, Scope
from connect_sim.server.deferred import ClientLeft

# Allowance for the form fields around a file of the maximum size.
FORM = 64 * 1024
# Larger bodies are received only from clients that are allowed to send them.
LARGE = 64 * 1024
PAUSE = 10.0  # seconds for which a client may send nothing, or be behind the average of RATE
RATE = 1024  # bytes per second
_IN_MEMORY = 512 * 1024


class TooLarge(Exception):
    """The body is larger than SIM_MAX_BODY."""


class TooSlow(Exception):
    """The client has not sent the body in time."""


class NotStored(Exception):
    """The body cannot be stored, for instance because the disk is full."""


class Body:
    """A request body: in memory, or in a temporary file if it is large."""

    def __init__(self, scope: Scope) -> None:
        self.size = 0
        self.file: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115
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

    async def receive(self, receive: Receive, ask: Callable[[], Awaitable[Any]]) -> None:
        """Receive the body; raises TooLarge, TooSlow, ClientLeft, NotStored.

        `ask` is awaited before more than LARGE bytes are received, and may raise an error.
        """
        if self._declared > self._limit:
            raise TooLarge
        loop = asyncio.get_running_loop()
        began, is_checked, more = loop.time(), False, self._declared > 0
        try:
            while more:
                if not is_checked and max(self.size, self._declared) > LARGE:
                    is_checked = True
                    await ask()
                    # The client may have waited for that: its average counts from now on.
                    began = loop.time() - self.size / RATE
                average = began + self.size / RATE
                async with asyncio.timeout_at(min(loop.time(), average) + PAUSE):
                    message = await receive()
                self.expects_continue = False
                if message["type"] == "http.disconnect":
                    raise ClientLeft
                more = message.get("more_body", False)
                self.size += len(message.get("body", b""))
                if self.size > self._limit:
                    raise TooLarge
                self.file.write(message.get("body", b""))
            self.file.seek(0)
        except TimeoutError:
            raise TooSlow from None
        except OSError as error:
            raise NotStored from error
