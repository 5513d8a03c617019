"""Faults of the API that change how the web server sends a response.

The work has been committed when they apply, except that of `reset_peer` and `drop`. See
`connect_sim.server.transmission`, which this package does not import.
"""

from __future__ import annotations

import logging
from concurrent.futures import Future
from typing import Any

from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse

from requests_queue.redaction import Redaction
from sandbox.faults import barriers, delays, paths
from sandbox.faults.firing import Firing

logger = logging.getLogger(__name__)

KEY = "connect_sim.transmission"


class _Immediate:
    """The manner of sending without our web server, for instance for Django's test client.

    Nothing is delayed, a reset is a response that says so, and a limited body is cut.
    """

    def __init__(self, response: HttpResponse) -> None:
        self._response = response

    def wait(self, future: Future[Any], timeout: float | None = None) -> None:
        """End the delay at once."""
        future.cancel()

    def reset(self) -> None:
        """Respond with an error."""
        self._response.status_code = max(self._response.status_code, 502)
        self._response.content = b"The connection would be reset here."

    def limit(self, size: int) -> None:
        """Cut the body; its declared length stays."""
        length = len(self._response.content)
        self._response.content = self._response.content[:size]
        self._response["Content-Length"] = str(length)

    def slice(self, size: int, pause: float) -> None:
        """Send the body at once."""


def _manner(request: HttpRequest, response: HttpResponse) -> Any:
    return request.META.get(KEY) or _Immediate(response)


# Before the work.


def drop(request: HttpRequest, firing: Firing) -> HttpResponse:
    """Do nothing, and reset the connection after some time."""
    response = HttpResponse(status=504)
    timeout(request, firing, response)
    return response


def reset_peer(request: HttpRequest, firing: Firing) -> HttpResponse:
    """Do nothing, and reset the connection."""
    response = HttpResponse(status=502)
    _manner(request, response).reset()
    return response


# After the work.


def latency(request: HttpRequest, firing: Firing, response: HttpResponse) -> None:
    """Send the response later."""
    _manner(request, response).wait(delays.begin(), firing.delay())


def timeout(request: HttpRequest, firing: Firing, response: HttpResponse) -> None:
    """Send nothing for some time, and reset the connection."""
    manner = _manner(request, response)
    manner.wait(delays.begin(), firing.parameters["seconds"])
    manner.reset()


def lost_response(request: HttpRequest, firing: Firing, response: HttpResponse) -> None:
    """Reset the connection before the first byte."""
    _manner(request, response).reset()


def limit_data(request: HttpRequest, firing: Firing, response: HttpResponse) -> None:
    """Reset the connection after so many bytes of the body."""
    _manner(request, response).limit(firing.parameters["bytes"])


def slicer(request: HttpRequest, firing: Firing, response: HttpResponse) -> None:
    """Send the body in small pieces."""
    size, pause = firing.parameters["size"], firing.parameters["delay"] / 1000
    _manner(request, response).slice(size, pause)


def hold(request: HttpRequest, firing: Firing, response: HttpResponse) -> None:
    """Send the response when it is released."""
    path = Redaction().text(paths.below_api(request.path))
    try:
        delay = barriers.responses.hold(firing.fault.id, firing.number, request.method or "", path)
    except (DatabaseError, InterfaceError) as error:
        # The work is done: its response is better sent than lost.
        logger.warning("A response could not be held: %s", type(error).__name__)
        return
    if delay is not None:
        _manner(request, response).wait(delay.future, delay.seconds)
