"""The loop that makes validators' calls: one thread of a process, started at the first call.

The engine's loop won't do: it lives in worker processes, and a validator's caller waits in a web
process.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future

from webhooks import conf
from webhooks.delivery import event_loops, retry
from webhooks.delivery.calls import Finished
from webhooks.delivery.in_flight import Flight

logger = logging.getLogger(__name__)

_SPARE = 10.0  # seconds beyond the longest deadline after which nobody waits any more


class Caller:
    """A loop in a thread; `fly` from any other. Raises loops.StartFailed."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop
        self._started: Future[None] = Future()
        self._guard = threading.Lock()
        self._stopped = False
        self._tasks: set[asyncio.Task[Finished]] = set()
        self._thread = threading.Thread(target=self._run, name="validator-calls", daemon=True)
        self._thread.start()
        event_loops.wait_for_start(self._started, "The client for validators")

    @property
    def is_running(self) -> bool:
        """Whether calls can be made."""
        return self._thread.is_alive() and not self._stopped

    def fly(self, flights: Sequence[Flight]) -> list[Finished]:
        """Make the calls, all at once, and return how each ended."""
        with self._guard:
            # A loop that has stopped would never say anything.
            if self._stopped:
                return [flight.lost() for flight in flights]
            flying = asyncio.run_coroutine_threadsafe(self._fly(flights), self._loop)
        try:
            return flying.result(max(flight.limit for flight in flights) + _SPARE)
        except (CancelledError, TimeoutError):
            # Stopped before they had begun, or the loop ended.
            return [flight.lost() for flight in flights]

    def stop(self) -> None:
        """End the calls under way, whose answers are unknown then, and make no more."""
        with self._guard:
            if not self._stopped:
                self._stopped = True
                self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(5)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=event_loops.new_loop_factory()) as runner:
                try:
                    runner.run(self._main())
                finally:
                    # Before the loop closes: no call must be left in it.
                    with self._guard:
                        self._stopped = True
        except BaseException as error:
            if self._started.done():
                logger.exception("The client for validators ended; the next call starts another.")
            else:
                self._started.set_exception(error)

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._transport = conf.open_transport()
        self._started.set_result(None)
        try:
            await self._stopping.wait()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._transport.close()

    async def _fly(self, flights: Sequence[Flight]) -> list[Finished]:
        tasks = [asyncio.create_task(flight.fly(self._transport)) for flight in flights]
        for task in tasks:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        return [
            one if isinstance(one, Finished) else flight.lost()
            for one, flight in zip(ended, flights, strict=True)
        ]


_caller: Caller | None = None
_stopped = False
_guard = threading.Lock()


def fly(flights: Sequence[Flight]) -> list[Finished]:
    """Make the calls by this process's loop, and return how each ended."""
    global _caller
    with _guard:
        if _stopped:
            return [flight.lost() for flight in flights]
        if _caller is None or not _caller.is_running:
            try:
                _caller = Caller()
            except event_loops.StartFailed as error:
                logger.error("%s", error)
                return [_not_made(flight, error) for flight in flights]
        running = _caller
    return running.fly(flights)


def _not_made(flight: Flight, error: Exception) -> Finished:
    told = "The validator could not be called; the log of the server says why."
    return Finished(flight.claimed, retry.FAILURE, 0, error=str(error), told=told)


def start() -> None:
    """Let calls be made again after a stop; the loop starts with the first one.

    Raises loops.StartFailed where the settings allow no call.
    """
    global _stopped
    try:
        conf.check_transport()
    except ValueError as error:
        raise event_loops.StartFailed(f"Validators cannot be called. {error}") from None
    with _guard:
        _stopped = False


def stop() -> None:
    """End the calls under way; who asks from now on learns that the sandbox has stopped."""
    global _caller, _stopped
    with _guard:
        running, _caller, _stopped = _caller, None, True
    if running is not None:
        running.stop()
