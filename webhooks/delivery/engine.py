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
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection

from requests_queue import clock, database_errors, event_loops, garbage, heartbeats, pausing
from requests_queue.event_loops import SqlThread
from requests_queue.heartbeats import Problems
from webhooks import conf
from webhooks.delivery import attempt, claim, wakeup
from webhooks.delivery.attempt import AttemptResult, InFlight
from webhooks.delivery.claim import Claim, Slots
from webhooks.delivery.record import Stored, flush

logger = logging.getLogger(__name__)

Key = tuple[int, uuid.UUID]

GRACE = 3.0  # seconds that requests in flight get at a stop
STORE = 4.0  # seconds for which a stop tries to store results
TICK = 1.0  # seconds between polls
RENEW = 10.0  # seconds between renewals of leases
PATIENCE = 10.0  # seconds after an outage in which no delivery of another worker is taken over
FLUSH = 0.02  # seconds for which results are collected
CALM = 60.0  # seconds without an error of the loop after which the error count is reset
PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0)  # seconds before the loop continues, by errors in a row
# Seconds after which a thread that computes lets another one run; Python's default is 0.005. A
# delivery passes between the loop and the SQL thread several times, and each time may wait for a
# thread of the web server.
SWITCH_INTERVAL = 0.0005

# Names of what may fail, for the log and the home page.
LOOP = "The delivery engine's loop"
DATABASE = "Access to the database"
STORING = "Storing results"
SLOTS = "Free slots"
_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(slots=True)
class Window:
    """What an engine holds: claims, attempts in flight, results not stored yet."""

    # Not started yet.
    claims: deque[Claim] = field(default_factory=deque)
    in_flight: dict[Key, InFlight] = field(default_factory=dict)
    # In order of completion; `retries` are those of which storing has failed.
    results: dict[Key, AttemptResult] = field(default_factory=dict)
    retries: set[Key] = field(default_factory=set)

    def all_claims(self) -> list[Claim]:
        """Return the claims of all three."""
        in_flight = [each.claim for each in self.in_flight.values()]
        return [*self.claims, *in_flight, *(each.claim for each in self.results.values())]

    def note_stored(self, poll: Poll) -> None:
        """Remove the results that a poll has stored."""
        for key, stored in poll.stored.items():
            if stored == Stored.KEPT:
                self.retries.add(key)
            else:
                self.retries.discard(key)
                self.results.pop(key, None)
        for key in poll.failed_alone:
            # Behind the others, which are stored before it is tried again.
            if key in self.results:
                self.results[key] = self.results.pop(key)

    def abandon_others(self, generation: int) -> None:
        """Cancel the requests of other generations that are in flight, and drop their results."""
        for key, each in list(self.in_flight.items()):
            if each.claim.generation != generation:
                del self.in_flight[key]
                each.abandoned = True
                if each.task is not None:
                    each.task.cancel()
        for key, result in list(self.results.items()):
            if result.claim.generation != generation:
                del self.results[key]
        self.retries &= self.results.keys()
        mine = [each for each in self.claims if each.generation == generation]
        self.claims.clear()
        self.claims.extend(mine)


@dataclass(slots=True)
class Poll:
    """One poll: what the engine holds at its beginning, and its results."""

    all_claims: list[Claim] = field(default_factory=list)
    results: dict[Key, AttemptResult] = field(default_factory=dict)
    retries: set[Key] = field(default_factory=set)
    now: datetime | None = None
    claims: list[Claim] = field(default_factory=list)
    stored: dict[Key, Stored] = field(default_factory=dict)
    # Results that could not be stored alone either.
    failed_alone: list[Key] = field(default_factory=list)
    next_due: datetime | None = None
    has_room: bool = True  # whether slots are free after the claim
    has_more: bool = False  # whether more may start at once than were claimed
    unavailable: bool = False
    # All data has been replaced: what the window holds of other generations doesn't exist any more.
    replaced_by: int | None = None


class Poller:
    """Polls the database for an engine: stores results, claims deliveries, renews leases.

    In the engine's SQL thread. An error in one step is logged and reported by the heartbeat, and
    the other steps run all the same, unless the database is unavailable.
    """

    def __init__(
        self, claims: deque[Claim], problems: Problems, slots: int, stopping: threading.Event
    ) -> None:
        self._claims, self._problems = claims, problems
        self._slots, self._stopping = slots, stopping
        self._next_renewal = self._next_tick = self._next_retry = self._reclaim_from = 0.0
        # That of the data when the clock was last read: another process may have replaced it since.
        self._generation: int | None = None

    def poll(self, poll: Poll) -> Poll:
        """Run all steps; results are stored before anything is claimed or taken over.

        If all data has been replaced, which is read with the clock, nothing is claimed.
        """
        with pausing.running():
            if not self._step(poll, STORING, self._store):
                return poll
            slots = self._slots_in_use(poll)
            if poll.has_room and not self._stopping.is_set() and not pausing.is_draining():
                is_going_on = self._step(poll, "Claiming deliveries", self._claim, slots)
            else:
                is_going_on = self._step(poll, "Reading the clock", self._read_clock)
            steps: list[tuple[str, Callable[[Poll], None]]] = []
            # Not after a claim, whose requests start once the poll returns, for a TICK.
            if time.monotonic() >= self._next_tick + (TICK if poll.claims else 0):
                steps += [
                    ("Recording lost attempts", self._record_lost),
                    ("The heartbeat", self.record_heartbeat),
                    ("Renewing leases", self._renew),
                ]
                self._next_tick = time.monotonic() + TICK
            if not poll.claims:
                steps.append(("The schedule", self._read_schedule))
            if poll.replaced_by is None:
                is_going_on = is_going_on and all(self._step(poll, *step) for step in steps)
            if is_going_on:
                self._problems.end(DATABASE)
        return poll

    def _step(self, poll: Poll, name: str, step: Callable[..., None], *args: Any) -> bool:
        """Run one step; note a failure, and return whether the database is available."""
        try:
            step(poll, *args)
        except Exception as error:
            if isinstance(error, DatabaseError):
                connection.close()
            if database_errors.is_unavailable(error):
                self._note_unavailable(poll, error)
            else:
                self._problems.begin(name, error, traceback=True)
        else:
            if name != STORING:
                self._problems.end(name)
        return not poll.unavailable

    def _note_unavailable(self, poll: Poll, error: BaseException) -> None:
        poll.unavailable = True
        self._problems.begin(DATABASE, error)
        # No worker could renew its leases during the outage: leave them time to do so.
        self._reclaim_from = time.monotonic() + PATIENCE

    def _store(self, poll: Poll) -> None:
        """Store the results; those of which storing has failed at most once a TICK."""
        is_retry = bool(poll.retries) and time.monotonic() >= self._next_retry
        keys = [key for key in poll.results if is_retry or key not in poll.retries]
        if not keys:
            return
        results = [poll.results[key] for key in keys]
        flushed = flush(results)
        is_repeated = is_retry or self._problems.is_failing(STORING)
        if flushed.unavailable and is_repeated and self._database_responds():
            flushed = flush(results, isolate=True)
        poll.stored = dict(zip(keys, flushed.stored, strict=True))
        poll.failed_alone = [keys[index] for index in flushed.failed_alone]
        if not_stored := flushed.stored.count(Stored.KEPT):
            # Due at the next poll, whose timer may fire up to a millisecond early.
            self._next_retry = time.monotonic() + TICK * 0.9
            reason = type(flushed.error).__name__ if flushed.error else "locked by a transaction"
            self._problems.begin(STORING, f"{not_stored} kept in memory, {reason}")
        elif is_retry or not poll.retries:
            self._problems.end(STORING)
        if flushed.unavailable and flushed.error is not None:
            self._note_unavailable(poll, flushed.error)

    def _database_responds(self) -> bool:
        """Whether the database stores anything else: a heartbeat."""
        try:
            heartbeats.record(heartbeats.WORKER, self._problems.summary(), now=True)
        except Exception:
            connection.close()
            return False
        return True

    def _slots_in_use(self, poll: Poll) -> Slots:
        """Return the slots, and note whether results that are not stored occupy all of them."""
        stored = sum(how != Stored.KEPT for how in poll.stored.values())
        slots = Slots(self._slots, len(poll.all_claims) - stored)
        poll.has_room = slots.used < slots.total
        if len(poll.results) - stored >= self._slots:
            self._problems.begin(SLOTS, f"all {self._slots} hold results that are not stored")
        elif poll.has_room:
            self._problems.end(SLOTS)
        return slots

    def _claim(self, poll: Poll, slots: Slots) -> None:
        """Claim as many deliveries as there are free slots, and read the clock with that."""
        batch = claim.claim(slots.free, slots, generation=self._generation)
        self._note_reading(poll, batch.reading)
        poll.claims, poll.has_more = batch.claims, batch.has_more
        poll.has_room = len(poll.claims) < slots.free
        # Here, since the engine's loop may end before the poll does.
        self._claims.extend(poll.claims)

    def _read_clock(self, poll: Poll) -> None:
        self._note_reading(poll, clock.read())

    def _note_reading(self, poll: Poll, reading: clock.Reading) -> None:
        poll.now, generation = reading
        if self._generation not in (None, generation):
            poll.replaced_by = generation
        self._generation = generation

    def _record_lost(self, poll: Poll) -> None:
        """Record attempts of lost workers as unknown.

        If this worker's own leases have expired, it was only delayed: it renews them.
        """
        if time.monotonic() < self._reclaim_from:
            return
        claims = claim.lost_claims(self._generation or 0)
        own = {each.key for each in poll.all_claims}
        if any(each.key in own for each in claims):
            claim.renew(poll.all_claims)
        poll.has_more |= bool(claims)
        flushed = flush([attempt.lost(each) for each in claims if each.key not in own])
        if Stored.KEPT in flushed.stored and flushed.error is not None:
            raise flushed.error

    def record_heartbeat(self, poll: Poll | None = None) -> None:
        """Record that this worker is alive, and its problems."""
        heartbeats.record(heartbeats.WORKER, self._problems.summary())

    def _renew(self, poll: Poll) -> None:
        if time.monotonic() >= self._next_renewal:
            self._next_renewal = time.monotonic() + RENEW
            claim.renew([*poll.all_claims, *poll.claims])

    def _read_schedule(self, poll: Poll) -> None:
        if poll.now is not None:
            poll.next_due = wakeup.next_due(poll.now)


class NextPoll:
    """When an engine polls next: at once where it is asked to, soon after results.

    Create and use it inside the running loop.
    """

    def __init__(self) -> None:
        self._due = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    def ask(self) -> None:
        """Poll at once, also if there are no results to store."""
        self._due.set()

    def begin(self) -> None:
        """Note that a poll begins, which stores the results so far."""
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None

    def note_result(self, *, is_last: bool) -> None:
        """Collect results for a moment, unless no more request is in flight."""
        if is_last:
            self._due.set()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH, self._due.set)

    async def wait(self, seconds: float) -> bool:
        """Wait until a poll is due, for some seconds; return whether it is."""
        return await event_loops.wait(self._due, seconds)


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
        self._poller = Poller(self._window.claims, self._problems, slots, self._stopping)
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
        return len(self._window.in_flight)

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
                self._end_attempts()
                with suppress(Exception):
                    self._sql.submit(self._poller.record_heartbeat)
                self._stopping.wait(pause)
        self._end_attempts()
        for each in self._window.claims:
            self._window.results[each.key] = InFlight(each).stopped()
        self._window.claims.clear()
        if self._started.done() and not self._started.exception():
            with suppress(Exception):
                self._sql.submit(self._store_last).result()
        self._sql.end(partial(heartbeats.delete, heartbeats.WORKER))

    def _store_last(self) -> None:
        """Store the remaining results at a stop; those that are left after STORE s are lost."""
        deadline = time.monotonic() + STORE
        while (results := self._window.results) and time.monotonic() < deadline:
            keys, stored = list(results), flush(list(results.values())).stored
            self._window.note_stored(Poll(stored=dict(zip(keys, stored, strict=True))))
            if self._window.results:
                time.sleep(0.1)
        if results:
            logger.error(
                "%s results could not be stored before the stop: another worker records these "
                "attempts as unknown and repeats them.",
                len(results),
            )

    def _note_error(self, error: BaseException) -> float:
        """Note an error of the loop, and return how many seconds to pause."""
        self._problems.begin(LOOP, error, traceback=True)
        self._errors += 1
        self._calm_from = time.monotonic() + CALM
        return PAUSES[min(self._errors, len(PAUSES)) - 1]

    def _end_attempts(self) -> None:
        """Make attempts whose loop has ended unknown results."""
        for key, each in list(self._window.in_flight.items()):
            self._window.results.setdefault(key, self._mark_stopped(each.stopped()))
            self._window.in_flight.pop(key, None)

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
        self._listener = wakeup.listen(self._next.ask)
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
            for task in (tasks := self._tasks()):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._transport.close()

    async def _tick(self) -> None:
        """Store results, start claimed deliveries, and sleep until something happens."""
        window = self._window
        self._next.begin()
        poll = Poll(window.all_claims(), dict(window.results), set(window.retries))
        await self._sql.run(self._poller.poll, poll)
        window.note_stored(poll)
        if poll.replaced_by is not None:
            window.abandon_others(poll.replaced_by)
            self._next.ask()
            return
        if poll.now is not None:
            self._time_out(poll.now)
        # Includes those of a poll whose loop ended before it returned.
        while window.claims:
            self._begin(window.claims[0])
            window.claims.popleft()
        if self._listener is not None:
            self._listener.note_poll(has_room=poll.has_room)
        if self._errors and time.monotonic() > self._calm_from:
            self._errors = 0
            self._problems.end(LOOP)
        if poll.has_more and poll.has_room:
            self._next.ask()
        if poll.unavailable:
            await event_loops.wait(self._stopped, TICK)
            return
        seconds = TICK
        if poll.now is not None and poll.next_due is not None:
            seconds = min(seconds, max(0.0, (poll.next_due - poll.now).total_seconds()))
        if not await self._next.wait(seconds):
            wakeup.report(wakeup.TIMER)

    def _begin(self, claim: Claim) -> None:
        try:
            each = self._window.in_flight[claim.key] = InFlight(claim)
            self._first_deadline = min(self._first_deadline, each.deadline)
            each.task = asyncio.create_task(each.run(self._transport))
            each.task.add_done_callback(partial(self._on_done, each))
        except Exception:
            logger.exception("Delivery %s did not start.", claim.delivery_id, extra=claim.ids)
            self._keep_result(attempt.unexpected_failure(claim))

    def _on_done(self, each: InFlight, task: asyncio.Task[AttemptResult]) -> None:
        """Take the result of a request, however its task ended."""
        if each.abandoned:
            return
        if task.cancelled():
            self._keep_result(each.stopped())
        elif error := task.exception():
            logger.error("A request failed unexpectedly.", exc_info=error, extra=each.claim.ids)
            self._keep_result(attempt.unexpected_failure(each.claim))
        else:
            self._keep_result(task.result())

    def _keep_result(self, result: AttemptResult) -> None:
        window, key = self._window, result.claim.key
        window.results[key] = self._mark_stopped(result)
        window.in_flight.pop(key, None)
        self._next.note_result(is_last=not window.in_flight)

    def _time_out(self, now: datetime) -> None:
        """Cancel requests whose deadline platform time has passed, though real time hasn't.

        Thousands may be in flight, so they are scanned only when the first deadline has passed.
        """
        if now < self._first_deadline:
            return
        self._first_deadline = _NEVER
        for each in self._window.in_flight.values():
            if each.timed_out or each.task is None:
                continue
            if each.deadline <= now:
                each.timed_out = True
                each.task.cancel()
            else:
                self._first_deadline = min(self._first_deadline, each.deadline)

    def _tasks(self) -> list[asyncio.Task[AttemptResult]]:
        return [each.task for each in self._window.in_flight.values() if each.task]


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
            sys.setswitchinterval(SWITCH_INTERVAL)
            garbage.tune()
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
