"""Respond when a future is done: by the web server without a thread, otherwise by waiting.

See `connect_sim.server.deferred`, which this package does not import.
"""

from __future__ import annotations

from concurrent.futures import Future
from typing import NamedTuple

from django.http import HttpRequest, HttpResponse

KEY = "connect_sim.deferred"


class Result(NamedTuple):
    """The response of a future."""

    status: int
    content_type: str
    body: bytes


def respond(
    request: HttpRequest, future: Future[Result], *, needs_client: bool = False
) -> HttpResponse:
    """Return the response, or a placeholder that the web server replaces later.

    With `needs_client` the wait ends with 400 if the client closes its side of the connection.
    """
    deferral = request.META.get(KEY)
    if deferral is not None and not future.done():
        deferral.future, deferral.needs_client = future, needs_client
        return HttpResponse(content_type="application/json")
    result = future.result()
    return HttpResponse(result.body, result.content_type, result.status)
