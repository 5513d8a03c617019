"""Connections of the client: reuse, replacement of closed ones, cancellation, isolation."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Coroutine
from typing import Any

import pytest

from tests.webhooks.hostile import (
    OK,
    Behavior,
    Peer,
    Server,
    floods,
    hangs,
    polite,
    resets_after,
    responds,
    responds_and_stays,
)
from tests.webhooks.loopback import (  # noqa: F401  (two of them are fixtures)
    LOOPBACK,
    Outcome,
    Run,
    attempt,
    in_time,
    loopback_only,
    once,
    run,
    twice,
    with_transport,
)
from webhooks.http.client import AddressPolicy, Request, RequestFailed, Transport

CLOSED_UNANSWERED = "closed the connection without a response"


def dies_on_second(last_words: bytes, *, rude: bool = False, then: Behavior = polite) -> Behavior:
    """Serve one request on the first connection and close it at the second; then use `then`."""

    def behavior(peer: Peer) -> None:
        if peer.number:
            then(peer)
            return
        peer.request()
        peer.send(OK)
        if peer.request():
            peer.send(last_words)
            if rude:
                peer.reset()

    return behavior


# --- reused -----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_connection_is_reused(run: Run, method: str) -> None:
    with Server(polite) as server:
        first, second = twice(run, server.url, method=method)
        assert first.success.body == second.success.body == b"ok"
        assert (server.connections, len(server.requests)) == (1, 2)


def test_connection_with_an_unsent_body_is_not_reused(run: Run) -> None:
    """What is left of the body would be the beginning of the next request."""
    ended = threading.Event()

    def behavior(peer: Peer) -> None:
        if peer.number:
            polite(peer)
            return
        peer.sock.recv(1)
        peer.send(OK)
        # Reading on would let the client send the rest before it has read the response.
        ended.wait(10)

    async def main(transport: Transport) -> list[int]:
        large = Request("POST", server.url, {}, b"x" * 20_000_000)
        small = Request("POST", server.url, {}, b"y")
        try:
            return [(await transport.send(each, timeout=5)).status for each in (large, small)]
        finally:
            ended.set()

    with Server(behavior) as server:
        assert with_transport(run, main) == [200, 200]
        assert server.connections == 2


def test_connection_with_unread_data_is_not_reused(run: Run) -> None:
    with Server(floods(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536)) as server:
        first, second = twice(run, server.url)
        assert first.success.truncated and second.success.truncated
        assert server.connections == 2


STRAY = b"HTTP/1.1 500 Stray\r\nContent-Length: 0\r\n\r\n"


def test_unsolicited_response_is_not_used_for_next_request(run: Run) -> None:
    idle = threading.Event()

    def behavior(peer: Peer) -> None:
        peer.request()
        peer.send(OK)
        if not peer.number:
            idle.wait(2)
            peer.send(STRAY)
            peer.gone()

    async def main(transport: Transport) -> Outcome:
        assert (await attempt(transport, server.url)).success.status == 200
        idle.set()
        # The client closes the connection as soon as it has read the unsolicited response.
        assert await asyncio.to_thread(server.disconnected.wait, 2)
        return await attempt(transport, server.url)

    with Server(behavior) as server:
        assert with_transport(run, main).success.status == 200
        assert server.connections == 2


@pytest.mark.parametrize("response", [OK, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"])
@pytest.mark.parametrize("stray", [STRAY, b"x"])
def test_bytes_after_response_are_not_used_for_next_request(
    run: Run, response: bytes, stray: bytes
) -> None:
    with Server(responds_and_stays(response + stray)) as server:
        first, second = twice(run, server.url)
        assert (first.success.status, second.success.status) == (200, 200)
        assert server.connections == 2


def test_connection_of_unread_response_is_closed(run: Run) -> None:
    async def main(transport: Transport) -> None:
        assert (await attempt(transport, server.url, read_cap=100)).success.truncated
        # Now, not when the transport is closed.
        assert await asyncio.to_thread(server.disconnected.wait, 2)

    with Server(responds_and_stays(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 200)) as server:
        with_transport(run, main)


# --- repeated ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("rude", [False, True], ids=["closed", "reset"])
def test_reused_connection_closed_without_response_is_replaced(
    run: Run,
    method: str,
    rude: bool,
) -> None:
    with Server(dies_on_second(b"", rude=rude)) as server:
        _, second = twice(run, server.url, method=method)
        assert second.success.body == b"ok"
        assert (server.connections, len(server.requests)) == (2, 3)
        # The same request, except for `Connection: close`.
        assert server.requests[2].replace(b"Connection: close\r\n", b"") == server.requests[1]


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("behavior", [responds(), resets_after(b"")], ids=["closed", "reset"])
def test_closed_fresh_connection_is_not_replaced(run: Run, method: str, behavior: Behavior) -> None:
    with Server(behavior) as server:
        assert CLOSED_UNANSWERED in run(once(server.url, method=method)).sentence
        assert len(server.requests) == 1


@pytest.mark.parametrize("last_words", [b"H", b"HTTP/1.1 100 Continue\r\n\r\n", b"?"])
def test_request_is_not_repeated_after_first_byte(run: Run, last_words: bytes) -> None:
    with Server(dies_on_second(last_words)) as server:
        _, second = twice(run, server.url)
        assert second.failure is not None
        assert (server.connections, len(server.requests)) == (1, 2)


def test_request_is_repeated_once_on_a_new_connection(run: Run) -> None:
    both_here = threading.Barrier(2)

    def behavior(peer: Peer) -> None:
        """Two connections that are closed together, and no working one after them."""
        peer.request()
        if peer.number < 2:
            both_here.wait(2)
            peer.send(OK)
            peer.request()

    async def main(transport: Transport) -> Outcome:
        calls = (attempt(transport, server.url), attempt(transport, server.url))
        assert [o.success.status for o in await asyncio.gather(*calls)] == [200, 200]
        return await attempt(transport, server.url)

    with Server(behavior) as server:
        assert CLOSED_UNANSWERED in with_transport(run, main).sentence
        assert (server.connections, len(server.requests)) == (3, 4)


def test_repeated_request_shares_the_deadline(run: Run) -> None:
    def send() -> Outcome:
        with Server(dies_on_second(b"", then=hangs)) as server:
            _, second = twice(run, server.url, timeout=0.3)
        return second

    assert in_time(0.3, send).sentence == "Timed out after 0.3 s."


# --- C9, and slow lookups----------------------------------------------------------------------


def test_more_than_a_hundred_hanging_requests_delay_no_other(run: Run) -> None:
    count = 120
    all_here = threading.Barrier(count + 1)

    def behavior(peer: Peer) -> None:
        peer.request()
        all_here.wait(5)
        peer.gone()

    async def main(transport: Transport) -> Outcome:
        hanging = [
            asyncio.create_task(attempt(transport, stuck.url, timeout=300)) for _ in range(count)
        ]
        await asyncio.to_thread(all_here.wait, 5)
        other = await attempt(transport, server.url)
        assert not any(task.done() for task in hanging)
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)
        return other

    with Server(behavior) as stuck, Server(polite) as server:
        other = with_transport(run, main)
        assert other.success.status == 200 and other.seconds < 1
        assert stuck.connections == count


def test_slow_name_delays_no_other_and_is_resolved_once(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release = threading.Event()
    resolved: list[str] = []

    def getaddrinfo(host: str, port: int | None, *_: object, **__: object) -> list[object]:
        resolved.append(host)
        if host == "slow.example":
            release.wait(5)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port or 0))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    async def main(transport: Transport) -> None:
        # More than the pool has threads.
        slow = [
            asyncio.create_task(attempt(transport, f"http://slow.example:{server.port}/"))
            for _ in range(40)
        ]
        quick = await attempt(transport, f"http://quick.example:{server.port}/")
        assert quick.success.status == 200
        assert not any(task.done() for task in slow)
        # Cancelling one request does not affect others that wait for the same name.
        slow[0].cancel()
        release.set()
        outcomes = await asyncio.gather(*slow[1:])
        assert {outcome.success.status for outcome in outcomes} == {200}

    with Server(polite) as server:
        with_transport(run, main)
        assert sorted(resolved) == ["quick.example", "slow.example"]


# --- cancelled, closed ------------------------------------------------------------------------


async def cancel(call: Coroutine[Any, Any, Any], started: threading.Event) -> None:
    """Cancel a request after an event."""
    task = asyncio.create_task(call)
    assert await asyncio.to_thread(started.wait, 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_cancelling_propagates_and_cleans_up(run: Run) -> None:
    async def main(transport: Transport) -> None:
        call = Request("POST", server.url, {}, b"{}")
        await cancel(transport.send(call, timeout=300), server.asked)
        assert await asyncio.to_thread(server.disconnected.wait, 2)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with Server(hangs) as server:
        with_transport(run, main)


def test_cancelling_an_upload_closes_the_connection(run: Run) -> None:
    """Unsent data is dropped: a graceful close would wait for a peer that doesn't read."""
    size = 20_000_000
    here, cancelled, ended = threading.Event(), threading.Event(), threading.Event()
    received: list[int] = []

    def behavior(peer: Peer) -> None:
        received.append(len(peer.sock.recv(1)))
        here.set()
        cancelled.wait(2)
        try:
            while piece := peer.sock.recv(1_000_000):
                received.append(len(piece))
        finally:
            ended.set()

    async def main(transport: Transport) -> None:
        call = Request("POST", server.url, {}, b"x" * size)
        await cancel(transport.send(call, timeout=300), here)
        cancelled.set()
        assert await asyncio.to_thread(ended.wait, 5)

    with Server(behavior) as server:
        with_transport(run, main)
    assert sum(received) < size


def test_cancelling_a_lookup_does_not_wait_for_it(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started, release = threading.Event(), threading.Event()

    def getaddrinfo(*_: object, **__: object) -> list[object]:
        started.set()
        release.wait(5)
        raise socket.gaierror(socket.EAI_NONAME, "nobody is waiting any more")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    complaints: list[dict[str, Any]] = []

    async def main(transport: Transport) -> None:
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: complaints.append(context)
        )
        call = Request("POST", "http://slow.example/", {}, b"{}")
        await cancel(transport.send(call, timeout=300), started)
        assert not release.is_set()
        release.set()

    with_transport(run, main)
    assert complaints == []


def test_closed_transport_sends_nothing(run: Run) -> None:
    async def main(transport: Transport) -> None:
        await transport.close()
        with pytest.raises(RequestFailed, match="stopping"):
            await transport.send(Request("POST", server.url, {}, b"{}"), timeout=1)

    with Server(polite) as server:
        with_transport(run, main)
        assert server.connections == 0


def test_closing_ends_requests_in_flight(run: Run) -> None:
    async def main(transport: Transport) -> Outcome:
        task = asyncio.create_task(attempt(transport, server.url, timeout=300))
        assert await asyncio.to_thread(server.asked.wait, 2)
        await transport.close()
        return await asyncio.wait_for(task, 2)

    with Server(hangs) as server:
        assert with_transport(run, main).sentence.endswith(f"{CLOSED_UNANSWERED}.")


# --- the guard itself -------------------------------------------------------------------------


class Anywhere(AddressPolicy):
    """A policy that allows every address."""

    def check(self, host: str, address: str) -> None:
        """Allow it."""


def test_guard_of_these_tests_sees_every_connection(
    run: Run,
    loopback_only: list[object],
) -> None:
    """Without the guard, tests that expect no connection would prove nothing.

    The target is a multicast address: no system sends a packet to open TCP to one.
    """
    outcome = run(once("http://224.0.0.1:81/", policy=Anywhere()))
    assert outcome.sentence == "This machine does not permit connections to 224.0.0.1:81."
    assert loopback_only == [("224.0.0.1", 81)]
    loopback_only.clear()
