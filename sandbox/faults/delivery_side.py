"""Faults of our requests to handlers: which deliveries of a claim have one, and what it does.

`register` fills the registry of `webhooks`; a claim asks `find` in its transaction. Each kind is a
function that gets the request and what sends it. They are nested in the order of `EFFECTS`: a
request waits first, is then doubled, and each copy is sent.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import itertools
import os
import socket
import struct
import termios
import uuid
from asyncio import sleep
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NoReturn

from django.conf import settings

from portal.deliveries.presets import PRESETS, Preset
from sandbox.faults import armed, kinds
from sandbox.faults.armed import Firing, Subject
from sandbox.faults.kinds import DELIVERY
from sandbox.models import Fault
from webhooks.delivery import claim
from webhooks.delivery.claim import Claim
from webhooks.delivery.request import Forward, Interceptor
from webhooks.http.client import Request, RequestFailed, Response

_POLL = 0.001  # seconds
# Close without sending what is left, and with RST in place of FIN.
_RESET = struct.pack("ii", 1, 0)
# More bytes than any body has.
_WHOLE = 2**31
NAME = "preset"  # of the fault, on the attempt
# The order in which requests of this process were claimed.
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Transmission:
    """The body in pieces of `piece` bytes, `pause` seconds apart; None sends it at once.

    After `reset_after` bytes of the body, or after all of a shorter one, the connection is reset.
    """

    piece: int | None = None
    pause: float = 0.0
    reset_after: int | None = None

    async def send(self, transport: asyncio.Transport, head: bytes, body: bytes) -> None:
        """Send the head and the body, and reset the connection if there is a limit."""
        _write(transport, head)
        body = body if self.reset_after is None else body[: self.reset_after]
        size = self.piece or len(body) or 1
        for start in range(0, len(body), size):
            if start:
                await sleep(self.pause)
            _write(transport, body[start : start + size])
        if self.reset_after is not None:
            await _reset(transport)


def _write(transport: asyncio.Transport, data: bytes) -> None:
    if transport.is_closing():
        raise _connection_reset()
    transport.write(data)


async def _reset(transport: asyncio.Transport) -> None:
    """Reset the connection once the peer's system has everything; raises ConnectionResetError."""
    connection: socket.socket = transport.get_extra_info("socket")
    # What is in a buffer here is lost by the reset.
    while not transport.is_closing() and (
        transport.get_write_buffer_size() or _unacknowledged(connection)
    ):
        await sleep(_POLL)
    if not transport.is_closing():
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        transport.abort()
    raise _connection_reset()


def _connection_reset() -> ConnectionResetError:
    return ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))


def _unacknowledged(connection: socket.socket) -> int:
    """Return how many bytes the peer has not acknowledged; 0 where the system doesn't say."""
    try:
        answer = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, struct.pack("i", 0))
    except OSError:
        return 0
    count: int = struct.unpack("i", answer)[0]
    return count


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a request among those of its webhook that this process has claimed."""

    webhook: str
    number: int


async def send(
    firings: Sequence[Firing], place: Place, request: Request, forward: Forward
) -> Response:
    """Send a request with its faults; raises RequestFailed."""
    for kind, effect in reversed(list(EFFECTS.items())):
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
    made = kinds.build_response(firing.fault.name, firing.parameters, "the handler")
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


EFFECTS: Mapping[str, Effect] = {
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


# By preset: kind and parameters of the fault.
_FAULTS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "expired_token": ("stale_token", {"seconds": 60}),
    "other_secret": ("rotate_secret", {}),
    "no_token": ("no_token", {}),
    "twice": ("duplicate", {"delay": 0}),
}
_SHOWN = (
    Preset("expired_token", "Expired token", "the token expired a minute ago."),
    Preset("other_secret", "Other secret", "the token is signed with an unknown secret."),
    Preset("no_token", "No token", "the request has no token."),
    Preset("twice", "Twice at once", "the handler gets the request twice at the same time."),
)


def preset_fault(claim: Claim) -> Firing | None:
    """Return the fault of a delivery that was sent with a preset, else None."""
    if claim.override is None or claim.override.preset not in _FAULTS:
        return None
    kind, parameters = _FAULTS[claim.override.preset]
    return Firing(Fault(name=NAME, kind=kind, parameters=parameters), 1, 1)


def register() -> None:
    """Let faults change requests to handlers, and offer those of a single one in the portal."""
    if find not in claim.interceptor_finders:
        claim.interceptor_finders.append(find)
    PRESETS.extend(each for each in _SHOWN if each not in PRESETS)


def find(claims: Sequence[Claim]) -> Mapping[int, Interceptor]:
    """Return the interceptors of deliveries, by id.

    Those for which a fault fires have one, and all others where a reordered delivery waits for
    later ones.
    """
    faults = armed.on(DELIVERY)
    chosen = [preset_fault(each) for each in claims]
    if not faults and not any(chosen):
        return {}
    fired = armed.decide(faults, [_subject(each) for each in claims])
    is_watched = any(fault.kind == "reorder" for fault in faults)
    return {
        each.delivery_id: _interceptor(each, (*firings, *filter(None, [own])))
        for each, firings, own in zip(claims, fired, chosen, strict=True)
        if firings or own or is_watched
    }


def _subject(claim: Claim) -> Subject:
    webhook, delivery = claim.webhook.id, claim.delivery_id
    return Subject(
        {"webhook": webhook},
        (webhook, str(delivery)),
        {"webhook": webhook, "delivery": delivery, "attempt": claim.number},
    )


def _interceptor(claim: Claim, firings: Sequence[Firing]) -> Interceptor:
    """Return what the faults of one request change: when it is signed and how, and its sending."""
    place = Place(claim.webhook.id, next(_numbers))
    interceptor = Interceptor(
        [each.mark for each in firings],
        partial(send, firings, place),
        claim.started_at,
    )
    for each in firings:
        if each.kind == "stale_token":
            # It expires in the past of real time, which handlers live on.
            sent = claim.override.payload if claim.override is not None else {}
            valid = sent.get("processing_timeout", settings.SIM_PROCESSING_TIMEOUT)
            ago = timedelta(seconds=valid + each.parameters["seconds"])
            interceptor = replace(interceptor, signed_at=datetime.now(UTC) - ago)
        elif each.kind == "clock_skew":
            ahead = timedelta(seconds=each.parameters["seconds"])
            interceptor = replace(interceptor, signed_at=interceptor.signed_at + ahead)
        elif each.kind == "rotate_secret":
            interceptor = replace(interceptor, secret=f"JWT-{uuid.uuid4()}")
        elif each.kind == "no_token":
            interceptor = replace(interceptor, has_token=False)
    return interceptor
