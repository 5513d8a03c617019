"""A request to a handler, its response, and its failure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from webhooks.http.transmission import Transmission


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Request:
    """One HTTP request, equal to itself only; the repr has no headers, which contain the token."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None
    # None: at once.
    transmission: Transmission | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP response; the body as received, up to the read cap."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    truncated: bool


class RequestFailed(Exception):
    """A request without a complete response; the text says why and what to do.

    `response` is what had arrived by then, for display only: its status doesn't decide anything.
    `public_message` is for readers who may not see the handler's address, `error_class` is one of
    http_errors.ERROR_CLASSES.
    """

    def __init__(
        self,
        message: str,
        response: Response | None = None,
        *,
        error_class: str,
        public_message: str = "",
    ) -> None:
        super().__init__(message)
        self.response = response
        self.public_message = public_message or message
        self.error_class = error_class
