"""What the current thread or task works on, for log lines and traces. No ORM, no Django.

An operation is a request that the web server serves, or an attempt of a delivery. Its ids are part
of every log line that is written meanwhile, also by libraries (`connect_sim.logs`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

# Keys of the environment of a request.

# Its error is logged already (the exception), or its error response was asked for (True).
IS_LOGGED = "connect_sim.is_logged"
# It has no body yet (see connect_sim.middleware): Django refuses it as too large, or returns 204 if
# the client may send a large body, or may wait for a validator or for the processing of a usage
# file. 204 is no response to the client.
QUESTION = "connect_sim.question"
# The seconds that it has waited, before it was run, while Django said NOT_YET.
WAITED = "connect_sim.waited"


@dataclass(slots=True, eq=False)
class Operation:
    """Ids by the names that log lines have, and the W3C trace context of the operation's span.

    `traceparent` is empty without tracing, and so is `route`, the pattern of a request's URL.
    Threads that work on the same operation share it.
    """

    ids: dict[str, str | int] = field(default_factory=dict)
    traceparent: str = ""
    route: str = ""


_current: ContextVar[Operation | None] = ContextVar("operation", default=None)


def current() -> Operation | None:
    """Return the operation of this thread or task, if any."""
    return _current.get()


def begin(operation: Operation) -> None:
    """Set the operation of this task, until the task ends."""
    _current.set(operation)


@contextmanager
def working_on(operation: Operation) -> Iterator[Operation]:
    """Set the operation of this thread or task for the block."""
    token = _current.set(operation)
    try:
        yield operation
    finally:
        _current.reset(token)


def add_ids(**ids: str | int) -> None:
    """Add ids that become known during the operation; nothing happens without one."""
    operation = _current.get()
    if operation is not None:
        operation.ids.update(ids)


def current_ids() -> dict[str, str | int]:
    """Return the ids of the operation of this thread or task."""
    operation = _current.get()
    return {} if operation is None else operation.ids


def current_traceparent() -> str:
    """Return the trace context of the operation of this thread or task; empty without one."""
    operation = _current.get()
    return "" if operation is None else operation.traceparent
