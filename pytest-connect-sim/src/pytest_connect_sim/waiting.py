"""Waits of expectations: `POST /sandbox/wait`, for a number of seconds of real time."""

from __future__ import annotations

import time
from typing import Any

from pytest_connect_sim.client import ApiError, Client

# Reports of failed tests show no frames of this module.
__tracebackhide__ = True

Json = dict[str, Any]

_NOT_MET = 408
_GRACE = 60.0  # seconds that a request may take beyond its timeout
# Seconds after which it looks again for work that needs simulated time.
_AGAIN = 0.5


def wait(client: Client, body: Json, seconds: float) -> Json | None:
    """Wait for a condition; return None if it is met, else the answer that says what happened.

    A wait that skips time ends when no work is left. A handler may still do something then, whose
    settle time is not known yet, so this waits on until the seconds have passed.
    """
    deadline = time.monotonic() + seconds
    idle: Json | None = None
    while True:
        left = max(0.0, deadline - time.monotonic())
        answer = _wait_once(client, {**body, "timeout": left})
        if answer is None:
            return None
        if answer["stopped_because"] != "idle":
            # After an idle sandbox, the last look is cut short by the deadline.
            return {**answer, "errors": idle["errors"]} if idle and left < _AGAIN else answer
        idle = answer
        left = deadline - time.monotonic()
        if left <= 0:
            return idle
        met = _wait_once(client, {**body, "timeout": min(left, _AGAIN), "skip": False})
        if met is None:
            return None


def _wait_once(client: Client, body: Json) -> Json | None:
    try:
        client.call("POST", "/sandbox/wait", body, timeout=body["timeout"] + _GRACE)
        return None
    except ApiError as error:
        if error.status != _NOT_MET:
            raise
        answer: Json = error.body
        return answer
