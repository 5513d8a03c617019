"""The loop that makes validators' calls: one thread of a process, started at the first call.

The engine's loop won't do: it lives in worker processes, and a validator's caller waits in a web
process.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import CancelledError

from django.conf import settings

from webhooks import loops
from webhooks.addresses import AddressPolicy, parse_networks
from webhooks.calls import Finished
from webhooks.flight import Flight
from webhooks.transport import Transport


class Caller:
    """A loop in a thread; `fly` from any other."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop
        self._ready = threading.Event()
        self._guard = threading.Lock()
        self._stopped = False
        self._tasks: set[asyncio.Task[Finished]] = set()
        self._thread = threading.Thread(target=self._run, name="validator-calls", daemon=True)
        self._thread.start()
        self._ready.wait()

    def fly(self, flights: Sequence[Flight]) -> list[Finished]:
        """Make the calls, all at once, and return how each ended."""
        with self._guard:
            # A loop that has stopped would never say anything.
            if self._stopped:
                return [flight.lost() for flight in flights]
            flying = asyncio.run_coroutine_threadsafe(self._fly(flights), self._loop)
        try:
            return flying.result()
        except CancelledError:
            # Stopped before they had begun.
            return [flight.lost() for flight in flights]

    def stop(self) -> None:
        """End the calls under way, whose answers are unknown then, and make no more."""
        with self._guard:
            if not self._stopped:
                self._stopped = True
                self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(5)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=loops.new_loop_factory()) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._transport = Transport(
            AddressPolicy(parse_networks(settings.SIM_ALLOW_NETWORKS)),
            proxy=settings.SIM_HTTP_PROXY or None,
        )
        self._ready.set()
        try:
            await self._stopping.wait()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        finally:
            await self._transport.close()

    async def _fly(self, flights: Sequence[Flight]) -> list[Finished]:
        tasks = [asyncio.create_task(flight.fly(self._transport)) for flight in flights]
        for task in tasks:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await asyncio.gather(*tasks)


_caller: Caller | None = None
_stopped = False
_guard = threading.Lock()


def fly(flights: Sequence[Flight]) -> list[Finished]:
    """Make the calls by this process's loop, and return how each ended."""
    global _caller
    with _guard:
        if _stopped:
            return [flight.lost() for flight in flights]
        if _caller is None:
            _caller = Caller()
        running = _caller
    return running.fly(flights)


def start() -> None:
    """Let calls be made again after a stop; the loop starts with the first one."""
    global _stopped
    with _guard:
        _stopped = False


def stop() -> None:
    """End the calls under way; who asks from now on learns that the sandbox has stopped."""
    global _caller, _stopped
    with _guard:
        running, _caller, _stopped = _caller, None, True
    if running is not None:
        running.stop()
