"""Send deliveries: a rolling window of requests in each worker process.

One asyncio loop in a thread makes the requests, one thread with one connection does all SQL.
Requests may hang for minutes and a thousand may hang at once, which is why they are neither
threads nor Celery tasks; and long waits are rows in the table rather than broker messages,
because Redis delivers a message twice that is held for more than an hour.

Besides being woken the engine reads the table each second and when a backoff ends: broker and
scheduler may be away, and nothing is lost. It is supervised: an error in the loop is logged and
the loop goes on after a pause, an error that ends the loop restarts it, and results stay in
memory until they are stored. A slot is free again when its result is stored, so that the results
in memory are never more than the slots.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection

from requests_queue import clock, heartbeats
from webhooks import conf
from webhooks.delivery import claims, event_loops, flush, in_flight
from webhooks.delivery.event_loops import SqlThread
from webhooks.delivery.flush import Stored
from webhooks.delivery.in_flight import AttemptResult, ClaimedDelivery, InFlightCall
from webhooks.delivery.problems import Problems
from webhooks.delivery.slots import Slots

logger = logging.getLogger(__name__)

TICK = 1.0  # seconds between looks at the table
FLUSH = 0.02  # seconds that finished calls wait for company
RENEW = 10.0  # seconds between renewals of leases
PATIENCE = 10.0  # seconds after an outage in which nothing is taken over from other workers
GRACE = 3.0  # seconds that calls under way get at a stop
STORE = 4.0  # seconds for which a stop tries to store results
SLOW = 1.0  # seconds after which a step that fails ends the look: the next might wait as long
CALM = 60.0  # seconds without an error of the loop after which it counts as sound
_NEVER = datetime.max.replace(tzinfo=UTC)
PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0)  # seconds before the loop goes on, by errors in a row

# What may fail, as the log and the home page name it.
LOOP = "The delivery engine's loop"
DATABASE = "Access to the database"
STORING = "Storing results"
SLOTS = "Free slots"

Key = tuple[int, uuid.UUID]


class _Abandoned(Exception):
    """A step failed slowly: the rest of the look is left for the next one."""


@dataclass(slots=True)
class _Look:
    """What one turn of the SQL thread found."""

    now: datetime | None = None
    claimed: list[ClaimedDelivery] = field(default_factory=list)
    stored: dict[Key, Stored] = field(default_factory=dict)
    alone: list[Key] = field(default_factory=list)
    next_due: datetime | None = None
    unavailable: bool = False


class Engine:
    """The rolling window of one worker process; `start`, `wake`, `stop` from any thread."""

    def __init__(self, *, slots: int | None = None) -> None:
        self._slots = slots or settings.SIM_CALLS
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="delivery-engine", daemon=True)
        self._sql = SqlThread()
        self._problems = Problems()
        # Claimed, and not started yet.
        self._claims: deque[ClaimedDelivery] = deque()
        # By claim as well: a delivery may come back while a call that lost it still hangs.
        self._calls: dict[Key, InFlightCall] = {}
        # In order of completion; what was tried in vain is `_kept`.
        self._unwritten: dict[Key, AttemptResult] = {}
        self._kept: set[Key] = set()
        self._stopping = threading.Event()
        self._flush_is_due = False
        self._errors, self._calm_from = 0, 0.0
        self._next_renewal = self._next_tick = self._next_retry = self._reclaim_from = 0.0
        self._first_deadline = _NEVER

    def start(self) -> None:
        """Start the loop's thread and wait until it can be woken; raises loops.StartFailed."""
        event_loops.raise_file_limit()
        self._slots = event_loops.fitting_slots(self._slots)
        self._thread.start()
        try:
            event_loops.wait_for_start(self._started, "The delivery engine")
        except event_loops.StartFailed:
            self._stopping.set()
            raise

    def wake(self) -> None:
        """Look at the table now."""
        # Between two loops, or after the last, there is nobody to wake.
        with suppress(RuntimeError):
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._wake.set)

    def stop(self, timeout: float = GRACE + STORE + 1) -> None:
        """Claim no more, give calls under way GRACE seconds, record the rest as unknown."""
        self._stopping.set()
        with suppress(RuntimeError):
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._stopped.set)
        self.wake()
        self._thread.join(timeout)

    @property
    def in_flight(self) -> int:
        """Return how many requests are in flight."""
        return len(self._calls)

    # The thread: it runs the loop, and runs it again where an error ended it.

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with asyncio.Runner(loop_factory=event_loops.new_loop_factory()) as runner:
                    runner.run(self._main())
            except BaseException as error:
                if not self._started.done():
                    self._started.set_exception(error)
                    break
                pause = self._failed(error)
                self._end_calls()
                with suppress(Exception):
                    self._sql.submit(self._leave_sign)
                self._stopping.wait(pause)
        self._end_calls()
        while self._claims:
            claimed = self._claims.popleft()
            self._unwritten[_key(claimed)] = InFlightCall(claimed).stopped()
        if self._started.done() and not self._started.exception():
            self._store_last()
        self._sql.end(partial(heartbeats.delete, heartbeats.WORKER))

    def _failed(self, error: BaseException) -> float:
        """Note an error of the loop, and return for how many seconds it is to pause."""
        self._problems.begin(LOOP, error, traceback=True)
        self._errors += 1
        self._calm_from = time.monotonic() + CALM
        return PAUSES[min(self._errors, len(PAUSES)) - 1]

    def _end_calls(self) -> None:
        """Take what is in flight without a loop for unknown."""
        for key, one in list(self._calls.items()):
            self._unwritten.setdefault(key, self._as_lost(one.stopped()))
            self._calls.pop(key, None)

    def _as_lost(self, finished: AttemptResult) -> AttemptResult:
        """Return the result; one that an error of the loop cut off is no orderly stop."""
        if finished.stopped and not self._stopping.is_set():
            return replace(finished, stopped=False)
        return finished

    def _store_last(self) -> None:
        """Store what is left at the stop, for STORE seconds at most."""
        deadline = time.monotonic() + STORE
        while self._unwritten:
            keys = list(self._unwritten)
            try:
                found = self._sql.submit(flush.write, list(self._unwritten.values())).result()
            except Exception as error:
                self._problems.begin(STORING, error, traceback=True)
                found = flush.FlushResult()
            for key, stored in zip(keys, found.stored, strict=False):
                if stored != Stored.KEPT:
                    del self._unwritten[key]
            if time.monotonic() > deadline:
                break
            if self._unwritten:
                time.sleep(0.1)
        if self._unwritten:
            logger.error(
                "%s results could not be stored before the stop: another worker records these "
                "attempts as unknown and repeats them.", len(self._unwritten),
            )  # fmt: skip

    # The loop.

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._wake, self._stopped = asyncio.Event(), asyncio.Event()
        self._transport = conf.open_transport()
        try:
            if not self._started.done():
                self._started.set_result(None)
            while not self._stopping.is_set():
                try:
                    await self._tick()
                except Exception as error:
                    # The requests in flight go on: only the turn is repeated.
                    pause = self._failed(error)
                    with suppress(Exception):
                        await self._sql.run(self._leave_sign)
                    await self._pause(pause)
            await self._drain()
        finally:
            # Before the transport closes, which would make failures of them.
            await self._cancel_calls()
            await self._transport.close()

    async def _tick(self) -> None:
        """Store what has finished, take what may start, and sleep until something happens."""
        self._wake.clear()
        self._flush_is_due = False
        look = await self._sql.run(self._poll_database)
        # Those of a look whose result was lost with its loop, too.
        while self._claims:
            self._begin(self._claims.popleft())
        self._forget_stored(look)
        if look.now is not None:
            self._cut_overdue(look.now)
        if self._errors and time.monotonic() > self._calm_from:
            self._errors = 0
            self._problems.end(LOOP)
        if len(look.claimed) >= claims.MAX_BATCH:
            # There may be more.
            self._wake.set()
        if look.unavailable:
            await self._pause(TICK)
        else:
            await self._sleep(look)

    async def _sleep(self, look: _Look) -> None:
        delay = TICK
        if look.now is not None and look.next_due is not None:
            delay = min(delay, max(0.0, (look.next_due - look.now).total_seconds()))
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), delay)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), seconds)

    def _begin(self, claimed: ClaimedDelivery) -> None:
        try:
            one = self._calls[_key(claimed)] = InFlightCall(claimed)
            self._first_deadline = min(self._first_deadline, one.deadline)
            one.task = asyncio.create_task(one.run(self._transport))
            one.task.add_done_callback(partial(self._ended, one))
        except Exception:
            logger.exception("The request of delivery %s did not start.", claimed.delivery_id)
            self._landed(in_flight.unexpected_failure(claimed))

    def _ended(self, one: InFlightCall, task: asyncio.Task[AttemptResult]) -> None:
        """Take the result of a request, however its task ended."""
        if task.cancelled():
            self._landed(one.stopped())
        elif error := task.exception():
            logger.error("A request failed in an unexpected way.", exc_info=error)
            self._landed(in_flight.unexpected_failure(one.claimed))
        else:
            self._landed(task.result())

    def _landed(self, finished: AttemptResult) -> None:
        # In this order: the SQL thread reads flights first, and must find it in one of the two.
        self._unwritten[_key(finished.claimed)] = self._as_lost(finished)
        self._calls.pop(_key(finished.claimed), None)
        if not self._calls:
            self._wake.set()
        elif not self._flush_is_due:
            self._flush_is_due = True
            asyncio.get_running_loop().call_later(FLUSH, self._wake.set)

    def _forget_stored(self, look: _Look) -> None:
        for key, stored in look.stored.items():
            if stored == Stored.KEPT:
                self._kept.add(key)
            else:
                self._kept.discard(key)
                self._unwritten.pop(key, None)
        for key in look.alone:
            # Behind the others, which must not wait for it again.
            if finished := self._unwritten.pop(key, None):
                self._unwritten[key] = finished

    def _cut_overdue(self, now: datetime) -> None:
        """End the calls whose deadline the platform's time has passed, though real time hasn't.

        Thousands may be in flight: they are looked at only once the first deadline has passed.
        """
        if now < self._first_deadline:
            return
        self._first_deadline = _NEVER
        for one in self._calls.values():
            if one.timed_out or one.task is None:
                continue
            if one.deadline <= now:
                one.timed_out = True
                one.task.cancel()
            else:
                self._first_deadline = min(self._first_deadline, one.deadline)

    async def _drain(self) -> None:
        """Give the requests in flight a few seconds to end."""
        tasks = [one.task for one in self._calls.values() if one.task]
        if tasks:
            await asyncio.wait(tasks, timeout=GRACE)

    async def _cancel_calls(self) -> None:
        tasks = [one.task for one in self._calls.values() if one.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # The SQL thread.

    def _poll_database(self) -> _Look:
        """One turn of the SQL thread: each step alone, so that none keeps the others from work."""
        look = _Look()
        with suppress(_Abandoned):
            self._step(look, STORING, self._store, look)
            if look.unavailable:
                # Results are stored before anything is claimed or reclaimed.
                return look
            look.now = self._step(look, "Reading the clock", clock.now)
            if time.monotonic() >= self._next_tick:
                self._next_tick = time.monotonic() + TICK
                self._step(look, "Recording lost attempts", self._record_lost)
                self._step(look, "The heartbeat", self._leave_sign)
            if time.monotonic() >= self._next_renewal:
                self._next_renewal = time.monotonic() + RENEW
                self._step(look, "Renewing leases", claims.renew, self._held())
            if not self._stopping.is_set():
                self._step(look, "Claiming deliveries", self._claim, look)
            if not look.claimed and look.now is not None:
                next_due = self._step(look, "Reading the schedule", claims.next_due, look.now)
                look.next_due = next_due
            if not look.unavailable:
                self._problems.end(DATABASE)
        return look

    def _step(self, look: _Look, what: str, work: Callable[..., Any], *args: Any) -> Any:
        """Run one step; a failure is noted, and ends the look where it took long."""
        began = time.monotonic()
        try:
            found = work(*args)
        except Exception as error:
            if isinstance(error, DatabaseError):
                connection.close()
            if flush.is_unavailable(error):
                self._note_unavailable(look, error)
            else:
                self._problems.begin(what, error, traceback=True)
            if time.monotonic() - began >= SLOW:
                raise _Abandoned from None
            return None
        if what != STORING:
            self._problems.end(what)
        return found

    def _note_unavailable(self, look: _Look, error: BaseException) -> None:
        look.unavailable = True
        self._problems.begin(DATABASE, error)
        # Leases ran out while nobody could renew them: the other workers get the time to do so.
        self._reclaim_from = time.monotonic() + PATIENCE

    def _store(self, look: _Look) -> None:
        """Store the results, those that were tried in vain before at most once a TICK."""
        is_retry = bool(self._kept) and time.monotonic() >= self._next_retry
        batch = {
            key: finished
            for key, finished in list(self._unwritten.items())
            if is_retry or key not in self._kept
        }
        if not batch:
            return
        found = flush.write(list(batch.values()))
        is_known = is_retry or self._problems.age(STORING) is not None
        if found.unavailable and is_known and self._answers():
            found = flush.write(list(batch.values()), isolate=True)
        keys = list(batch)
        look.stored = dict(zip(keys, found.stored, strict=True))
        look.alone = [keys[at] for at in found.alone]
        kept = sum(stored == Stored.KEPT for stored in found.stored)
        if kept:
            self._next_retry = time.monotonic() + TICK
            reason = type(found.error).__name__ if found.error else "locked by a transaction"
            self._problems.begin(STORING, f"{kept} kept in memory, {reason}")
        elif is_retry or not self._kept:
            self._problems.end(STORING)
        if found.unavailable and found.error is not None:
            self._note_unavailable(look, found.error)

    def _answers(self) -> bool:
        """Whether the database stores anything else, a heartbeat for example."""
        try:
            self._leave_sign(now=True)
        except Exception:
            connection.close()
            return False
        return True

    def _leave_sign(self, *, now: bool = False) -> None:
        heartbeats.record(heartbeats.WORKER, self._problems.summary(), now=now)

    def _claim(self, look: _Look) -> None:
        """Claim as many deliveries as there are free slots."""
        stored = sum(kind != Stored.KEPT for kind in look.stored.values())
        waiting = len(self._unwritten) - stored
        slots = Slots(self._slots, len(self._claims) + len(self._calls) + waiting)
        if slots.free:
            look.claimed = claims.claim(slots.free, slots)
            self._claims.extend(look.claimed)
            self._problems.end(SLOTS)
        elif waiting >= self._slots:
            self._problems.begin(SLOTS, f"all {self._slots} hold results that are not stored")

    def _held(self) -> list[ClaimedDelivery]:
        """Return what this engine holds: claims, requests in flight, and results in memory."""
        # In the order in which they move from one to the next, so that none is missed.
        found = list(self._claims)
        found += [one.claimed for one in list(self._calls.values())]
        return found + [finished.claimed for finished in list(self._unwritten.values())]

    def _record_lost(self) -> None:
        """Record the calls of lost workers; this one was only held up, and keeps its own."""
        if time.monotonic() < self._reclaim_from:
            return
        lost = claims.lost_attempts()
        if not lost:
            return
        held = self._held()
        own = {_key(claimed) for claimed in held}
        if any(_key(call.claimed) in own for call in lost):
            claims.renew(held)
        self._write_lost([call for call in lost if _key(call.claimed) not in own])

    def _write_lost(self, lost: Sequence[AttemptResult]) -> None:
        found = flush.write(lost)
        if Stored.KEPT in found.stored and found.error is not None:
            raise found.error


def _key(claimed: ClaimedDelivery) -> Key:
    return claimed.delivery_id, claimed.claim


_engine: Engine | None = None
_guard = threading.Lock()


def start() -> Engine:
    """Start this process's engine, once; raises loops.StartFailed."""
    global _engine
    with _guard:
        if _engine is None:
            engine = Engine()
            engine.start()
            _engine = engine
            # What is loaded by now stays for good: without it, garbage collections in the middle
            # of a thousand calls take a fifth of the processor time of a delivery.
            gc.collect()
            gc.freeze()
        return _engine


def wake() -> None:
    """Wake this process's engine, if it has one."""
    if _engine is not None:
        _engine.wake()


def stop() -> None:
    """Stop this process's engine."""
    global _engine
    with _guard:
        running, _engine = _engine, None
    if running is not None:
        running.stop()
