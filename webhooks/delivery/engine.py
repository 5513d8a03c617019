"""Send deliveries: a rolling window of requests in each worker process.

One asyncio loop in a thread sends the requests; one thread with one connection runs all SQL.
Requests may hang for minutes, a thousand at once, so they are neither threads nor Celery tasks.
Long waits are rows in the table rather than broker messages, because Redis delivers a message
twice that is held for more than an hour.

Besides being woken, the engine polls the database each second and when a backoff ends, so it needs
neither broker nor scheduler. It is supervised: after an error in the loop it continues with a
pause, after an error that ends the loop it is restarted, and results stay in memory until they
are stored. A slot is free again only when its result is stored, which limits the memory used.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from django.conf import settings

from requests_queue import heartbeats
from webhooks import conf
from webhooks.delivery import event_loops, in_flight, polling, wakeup, wakeup_listener
from webhooks.delivery.claimed import ClaimedDelivery
from webhooks.delivery.event_loops import SqlThread
from webhooks.delivery.in_flight import AttemptResult, InFlightCall
from webhooks.delivery.next_poll import NextPoll
from webhooks.delivery.polling import Poller, PollResult, Window, key_of
from webhooks.delivery.problems import Problems

logger = logging.getLogger(__name__)

GRACE = 3.0  # seconds that requests in flight get at a stop
STORE = 4.0  # seconds for which a stop tries to store results
CALM = 60.0  # seconds without an error of the loop after which the error count is reset
PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0)  # seconds before the loop continues, by errors in a row
LOOP = "The delivery engine's loop"
_NEVER = datetime.max.replace(tzinfo=UTC)


class Engine:
    """The rolling window of one worker process; `start`, `wake`, `stop` from any thread."""

    def __init__(self, *, slots: int | None = None) -> None:
        self._slots = slots or settings.SIM_CALLS
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="delivery-engine", daemon=True)
        self._sql = SqlThread()
        self._problems, self._window = Problems(), Window()
        self._stopping = threading.Event()
        self._poller: Poller
        self._next: NextPoll
        self._errors, self._calm_from = 0, 0.0
        self._first_deadline = _NEVER

    def start(self) -> None:
        """Start the thread and wait for its loop; raises event_loops.StartFailed."""
        event_loops.raise_file_limit()
        slots = event_loops.fitting_slots(self._slots)
        self._poller = Poller(self._window, self._problems, slots, self._stopping)
        self._thread.start()
        try:
            event_loops.wait_for_start(self._started, "The delivery engine")
        except event_loops.StartFailed:
            self._stopping.set()
            raise

    def wake(self) -> None:
        """Poll the database now."""
        # RuntimeError: the loop is closed, between two loops or after the last one.
        with suppress(RuntimeError):
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._next.ask)

    def stop(self, timeout: float = GRACE + STORE + 1) -> None:
        """Stop claiming, give requests in flight GRACE seconds, record the rest as unknown."""
        self._stopping.set()
        with suppress(RuntimeError):
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._stopped.set)
        self.wake()
        self._thread.join(timeout)

    @property
    def in_flight(self) -> int:
        """Return how many requests are in flight."""
        return len(self._window.calls)

    # Supervision, in the engine's thread.

    def _run(self) -> None:
        """Run the loop, again after an error that ended it, until the engine stops."""
        while not self._stopping.is_set():
            try:
                with asyncio.Runner(loop_factory=event_loops.new_loop_factory()) as runner:
                    runner.run(self._main())
            except BaseException as error:
                if not self._started.done():
                    self._started.set_exception(error)
                    break
                pause = self._note_error(error)
                self._end_calls()
                with suppress(Exception):
                    self._sql.submit(self._poller.record_heartbeat)
                self._stopping.wait(pause)
        self._end_calls()
        for claimed in self._window.claimed:
            self._window.results[key_of(claimed)] = InFlightCall(claimed).stopped()
        self._window.claimed.clear()
        if self._started.done() and not self._started.exception():
            with suppress(Exception):
                self._sql.submit(self._poller.store_last, STORE).result()
        self._sql.end(partial(heartbeats.delete, heartbeats.WORKER))

    def _note_error(self, error: BaseException) -> float:
        """Note an error of the loop, and return how many seconds to pause."""
        self._problems.begin(LOOP, error, traceback=True)
        self._errors += 1
        self._calm_from = time.monotonic() + CALM
        return PAUSES[min(self._errors, len(PAUSES)) - 1]

    def _end_calls(self) -> None:
        """Make requests whose loop has ended unknown results."""
        for key, call in list(self._window.calls.items()):
            self._window.results.setdefault(key, self._mark_stopped(call.stopped()))
            self._window.calls.pop(key, None)

    def _mark_stopped(self, result: AttemptResult) -> AttemptResult:
        """Return the result; it is an orderly stop only while the engine stops."""
        if result.stopped and not self._stopping.is_set():
            return replace(result, stopped=False)
        return result

    # The loop.

    async def _main(self) -> None:
        self._next, self._stopped = NextPoll(), asyncio.Event()
        # Last: other threads wake an engine that has a loop.
        self._loop = asyncio.get_running_loop()
        self._transport = conf.open_transport()
        self._listener = wakeup_listener.start(self._next.ask)
        try:
            if not self._started.done():
                self._started.set_result(None)
            while not self._stopping.is_set():
                try:
                    await self._tick()
                except Exception as error:
                    # Requests in flight continue: only the tick is repeated.
                    pause = self._note_error(error)
                    with suppress(Exception):
                        await self._sql.run(self._poller.record_heartbeat)
                    await event_loops.wait(self._stopped, pause)
            if tasks := self._tasks():
                await asyncio.wait(tasks, timeout=GRACE)
        finally:
            if self._listener is not None:
                await self._listener.close()
            # Before the transport closes, which would turn them into failures.
            await self._cancel_calls()
            await self._transport.close()

    async def _tick(self) -> None:
        """Store results, start claimed deliveries, and sleep until something happens."""
        self._next.begin()
        poll = await self._sql.run(self._poller.poll)
        if poll.replaced_by is not None:
            self._window.forget_stored(poll)
            self._window.abandon_others(poll.replaced_by)
            self._next.ask()
            return
        # Includes deliveries claimed by a poll whose loop ended before it returned.
        while self._window.claimed:
            self._begin(self._window.claimed[0])
            self._window.claimed.popleft()
        self._window.forget_stored(poll)
        self._next.end(len(poll.stored), len(self._window.results))
        if self._listener is not None:
            self._listener.note_poll(has_room=poll.has_room)
        if poll.now is not None:
            self._time_out(poll.now)
        if self._errors and time.monotonic() > self._calm_from:
            self._errors = 0
            self._problems.end(LOOP)
        if poll.has_more and poll.has_room:
            self._next.ask()
        if poll.unavailable:
            await event_loops.wait(self._stopped, polling.TICK)
        else:
            await self._sleep(poll)

    async def _sleep(self, poll: PollResult) -> None:
        seconds = polling.TICK
        if poll.now is not None and poll.next_due is not None:
            seconds = min(seconds, max(0.0, (poll.next_due - poll.now).total_seconds()))
        if not await self._next.wait(seconds):
            wakeup.report(wakeup.TIMER)

    def _begin(self, claimed: ClaimedDelivery) -> None:
        try:
            call = self._window.calls[key_of(claimed)] = InFlightCall(claimed)
            self._first_deadline = min(self._first_deadline, call.deadline)
            call.task = asyncio.create_task(call.run(self._transport))
            call.task.add_done_callback(partial(self._on_done, call))
        except Exception:
            logger.exception("Delivery %s did not start.", claimed.delivery_id, extra=claimed.ids)
            self._keep_result(in_flight.unexpected_failure(claimed))

    def _on_done(self, call: InFlightCall, task: asyncio.Task[AttemptResult]) -> None:
        """Take the result of a request, however its task ended."""
        if call.abandoned:
            return
        if task.cancelled():
            self._keep_result(call.stopped())
        elif error := task.exception():
            logger.error("A request failed unexpectedly.", exc_info=error, extra=call.claimed.ids)
            self._keep_result(in_flight.unexpected_failure(call.claimed))
        else:
            self._keep_result(task.result())

    def _keep_result(self, result: AttemptResult) -> None:
        window, key = self._window, key_of(result.claimed)
        # In this order: the SQL thread reads calls first, and must find it in one of the two.
        window.results[key] = self._mark_stopped(result)
        window.calls.pop(key, None)
        self._next.note_result(len(window.results), len(window.calls))

    def _time_out(self, now: datetime) -> None:
        """Cancel requests whose deadline platform time has passed, though real time hasn't.

        Thousands may be in flight, so they are scanned only when the first deadline has passed.
        """
        if now < self._first_deadline:
            return
        self._first_deadline = _NEVER
        for call in self._window.calls.values():
            if call.timed_out or call.task is None:
                continue
            if call.deadline <= now:
                call.timed_out = True
                call.task.cancel()
            else:
                self._first_deadline = min(self._first_deadline, call.deadline)

    def _tasks(self) -> list[asyncio.Task[AttemptResult]]:
        return [call.task for call in self._window.calls.values() if call.task]

    async def _cancel_calls(self) -> None:
        tasks = self._tasks()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


_engine: Engine | None = None
_guard = threading.Lock()


def start() -> Engine:
    """Start this process's engine, once; raises event_loops.StartFailed."""
    global _engine
    with _guard:
        if _engine is None:
            engine = Engine()
            engine.start()
            _engine = engine
            wakeup.wake_engine = engine.wake
            event_loops.tune_interpreter()
        return _engine


def wake() -> None:
    """Wake this process's engine, if it has one."""
    if _engine is not None:
        _engine.wake()


def requests_in_flight() -> int:
    """Return how many requests of this process's engine are in flight."""
    return _engine.in_flight if _engine is not None else 0


def stop() -> None:
    """Stop this process's engine."""
    global _engine
    with _guard:
        running, _engine = _engine, None
        wakeup.wake_engine = None
    if running is not None:
        running.stop()
