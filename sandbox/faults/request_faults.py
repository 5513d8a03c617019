"""What faults do to a request to a handler, in the event loop that sends it.

Each kind is a function that gets the request and what sends it. They are nested in the order of
`_EFFECTS`: a request waits first, is then doubled, and each copy is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import NoReturn

from sandbox.faults import responses
from sandbox.faults.firing import Firing
from sandbox.faults.transmission import Transmission
from webhooks.delivery.request import Forward
from webhooks.http.client import Request, RequestFailed, Response

# More bytes than any body has.
_WHOLE = 2**31


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a request among those of its webhook that this process has claimed."""

    webhook: str
    number: int


async def send(
    firings: Sequence[Firing], place: Place, request: Request, forward: Forward
) -> Response:
    """Send a request with its faults; raises RequestFailed."""
    for kind, effect in reversed(list(_EFFECTS.items())):
        for each in firings:
            if each.kind == kind:
                forward = _with(effect, each, place, forward)
    try:
        return await forward(request)
    finally:
        _note_end(place)


Effect = Callable[[Firing, Place, Request, Forward], Awaitable[Response]]


def _with(effect: Effect, firing: Firing, place: Place, forward: Forward) -> Forward:
    return lambda request: effect(firing, place, request, forward)


async def _latency(firing: Firing, _: Place, request: Request, forward: Forward) -> Response:
    await asyncio.sleep(firing.delay())
    return await forward(request)


async def _duplicate(firing: Firing, _: Place, request: Request, forward: Forward) -> Response:
    """Send it twice, and return the first response when both have ended."""

    async def again() -> Response:
        await asyncio.sleep(firing.parameters["delay"] / 1000)
        return await forward(request)

    first, _second = await asyncio.gather(forward(request), again(), return_exceptions=True)
    if isinstance(first, BaseException):
        raise first
    return first


async def _slicer(firing: Firing, _: Place, request: Request, forward: Forward) -> Response:
    size, pause = firing.parameters["size"], firing.parameters["delay"] / 1000
    how = replace(_transmission(request), piece=size, pause=pause)
    return await forward(replace(request, transmission=how))


async def _reset_peer(_: Firing, __: Place, request: Request, forward: Forward) -> Response:
    return await _reset_after(_WHOLE, request, forward)


async def _limit_data(firing: Firing, _: Place, request: Request, forward: Forward) -> Response:
    return await _reset_after(firing.parameters["bytes"], request, forward)


async def _reset_after(count: int, request: Request, forward: Forward) -> Response:
    how = replace(_transmission(request), reset_after=count)
    return await forward(replace(request, transmission=how))


def _transmission(request: Request) -> Transmission:
    """Return the transmission of a request, which another fault may have set."""
    known = request.transmission
    return known if isinstance(known, Transmission) else Transmission()


async def _timeout(_: Firing, __: Place, request: Request, forward: Forward) -> Response:
    with suppress(RequestFailed):
        await forward(request)
    await _never()


async def _drop(_: Firing, __: Place, request: Request, forward: Forward) -> Response:
    await _never()


async def _never() -> NoReturn:
    """Wait until the attempt times out."""
    await asyncio.get_running_loop().create_future()
    raise AssertionError


async def _respond(firing: Firing, _: Place, request: Request, forward: Forward) -> Response:
    made = responses.build(firing.fault.name, firing.parameters, "the handler")
    return Response(made.status, tuple(made.headers.items()), made.body, truncated=False)


# Reordering.


@dataclass(slots=True)
class _Held:
    """A request that waits for `left` later ones of its webhook."""

    number: int
    left: int
    passed: asyncio.Event = field(default_factory=asyncio.Event)


# By event loop, since validators have one of their own, and webhook; only while requests wait.
_held: dict[tuple[asyncio.AbstractEventLoop, str], list[_Held]] = {}


async def _reorder(firing: Firing, place: Place, request: Request, forward: Forward) -> Response:
    key = asyncio.get_running_loop(), place.webhook
    held = _Held(place.number, firing.parameters["window"])
    _held.setdefault(key, []).append(held)
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(firing.parameters["ms"] / 1000):
                await held.passed.wait()
    finally:
        _held[key].remove(held)
        if not _held[key]:
            del _held[key]
    return await forward(request)


def _note_end(place: Place) -> None:
    """Count the end of a request for those before it that wait."""
    for held in _held.get((asyncio.get_running_loop(), place.webhook), ()):
        if place.number > held.number:
            held.left -= 1
            if held.left <= 0:
                held.passed.set()


_EFFECTS: Mapping[str, Effect] = {
    "reorder": _reorder,
    "latency": _latency,
    "duplicate": _duplicate,
    "slicer": _slicer,
    "timeout": _timeout,
    "reset_peer": _reset_peer,
    "limit_data": _limit_data,
    "drop": _drop,
    "abort": _respond,
    "succeed_first": _respond,
    "fail_first": _respond,
    "outage": _respond,
}
