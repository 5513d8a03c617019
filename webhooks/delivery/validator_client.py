"""The event loop that sends validators' requests: one thread of a process, started when needed.

The engine's loop can't be used: it runs in worker processes, while the caller of a validator
waits in a web process.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future

from webhooks import conf
from webhooks.delivery import event_loops, retry
from webhooks.delivery.in_flight import AttemptResult, InFlightCall

logger = logging.getLogger(__name__)

_SPARE = 10.0  # seconds beyond the longest timeout after which the loop counts as hanging


class ValidatorClient:
    """A loop in a thread; `send` from any other thread. Raises event_loops.StartFailed."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop
        self._started: Future[None] = Future()
        self._guard = threading.Lock()
        self._stopped = False
        self._tasks: set[asyncio.Task[AttemptResult]] = set()
        self._thread = threading.Thread(target=self._run, name="validator-requests", daemon=True)
        self._thread.start()
        event_loops.wait_for_start(self._started, "The client for validators")

    @property
    def is_running(self) -> bool:
        """Whether requests can be sent."""
        return self._thread.is_alive() and not self._stopped

    def send(self, calls: Sequence[InFlightCall]) -> list[AttemptResult]:
        """Send the requests concurrently, and return their results."""
        with self._guard:
            # A stopped loop would never set a result.
            if self._stopped:
                return [call.stopped() for call in calls]
            sending = asyncio.run_coroutine_threadsafe(self._send(calls), self._loop)
        try:
            return sending.result(max(call.limit for call in calls) + _SPARE)
        except (CancelledError, TimeoutError):
            # The loop was stopped before the requests started, or it hangs.
            return [call.stopped() for call in calls]

    def stop(self) -> None:
        """End the requests in flight, whose outcome is unknown then, and send no more."""
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
                    # Before the loop closes, so that no request is submitted to a closed loop.
                    with self._guard:
                        self._stopped = True
        except BaseException as error:
            if self._started.done():
                logger.exception(
                    "The client for validators ended; the next request starts a new one."
                )
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

    async def _send(self, calls: Sequence[InFlightCall]) -> list[AttemptResult]:
        tasks = [asyncio.create_task(call.run(self._transport)) for call in calls]
        for task in tasks:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        results = await asyncio.gather(*tasks, return_exceptions=True)
        return [
            result if isinstance(result, AttemptResult) else call.stopped()
            for result, call in zip(results, calls, strict=True)
        ]


_client: ValidatorClient | None = None
_stopped = False
_guard = threading.Lock()


def send(calls: Sequence[InFlightCall]) -> list[AttemptResult]:
    """Send the requests by this process's client, and return their results."""
    global _client
    with _guard:
        if _stopped:
            return [call.stopped() for call in calls]
        if _client is None or not _client.is_running:
            try:
                _client = ValidatorClient()
            except event_loops.StartFailed as error:
                logger.error("%s", error)
                return [_not_sent(call, error) for call in calls]
        running = _client
    return running.send(calls)


def _not_sent(call: InFlightCall, error: Exception) -> AttemptResult:
    public = "The validator could not be called: see the server's log."
    return AttemptResult(call.claimed, retry.FAILURE, 0, error=str(error), public_message=public)


def start() -> None:
    """Allow requests again after `stop`; the loop starts with the first one.

    Raises event_loops.StartFailed if the settings don't allow any request.
    """
    global _stopped
    try:
        conf.check_transport()
    except ValueError as error:
        raise event_loops.StartFailed(f"Validators cannot be called. {error}") from None
    with _guard:
        _stopped = False


def stop() -> None:
    """End the requests in flight; later ones get the result of a stopped request."""
    global _client, _stopped
    with _guard:
        running, _client, _stopped = _client, None, True
    if running is not None:
        running.stop()
