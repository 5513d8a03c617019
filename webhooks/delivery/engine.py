"""Send deliveries: a rolling window of requests in each worker process.

One asyncio loop in a thread sends the requests, since a thousand may hang for minutes; one thread
with one connection runs all SQL. Besides being woken, the engine polls each second and when a
backoff ends, so it needs neither broker nor scheduler. After an error the loop pauses, and one that
has ended starts again. A slot is free again when its result is stored.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection

from requests_queue import event_loops, heartbeats
from requests_queue.db import database_errors, garbage, pausing
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
FLUSH = 0.02  # seconds between polls that store results, while requests are in flight
CALM = 60.0  # seconds without an error of the loop after which the error count is reset
PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0)  # seconds before the loop continues, by errors in a row
# Names of what may fail, for the log and the home page.
LOOP = "The delivery engine's loop"
DATABASE = "Access to the database"
STORING = "Storing results"
SLOTS = "Free slots"


@dataclass(slots=True)
class Window:
    """What an engine holds: claims not started yet, attempts in flight, results not stored yet."""

    claims: deque[Claim] = field(default_factory=deque)
    in_flight: dict[Key, InFlight] = field(default_factory=dict)
    results: dict[Key, AttemptResult] = field(default_factory=dict)  # in order of completion

    def all_claims(self) -> list[Claim]:
        """Return all their claims, in any thread: one in flight may become a result meanwhile."""
        in_flight = [each.claim for each in [*self.in_flight.values()]]
        return [*self.claims, *in_flight, *(each.claim for each in [*self.results.values()])]

    def abandon_others(self, generation: int) -> None:
        """Cancel the requests of other generations, and drop their results."""
        for each in list(self.in_flight.values()):
            if each.claim.generation != generation:
                del self.in_flight[each.claim.key]
                each.cancel()
        self.results = {k: r for k, r in self.results.items() if r.claim.generation == generation}
        self.claims = deque(each for each in self.claims if each.generation == generation)


@dataclass(slots=True)
class Poll:
    """One poll: what the engine holds at its beginning, and what came of it."""

    used: int = 0  # slots
    results: dict[Key, AttemptResult] = field(default_factory=dict)
    now: datetime | None = None
    claims: list[Claim] = field(default_factory=list)
    stored: list[Key] = field(default_factory=list)
    seconds: float = float("inf")  # until the next delivery is due
    has_room: bool = True  # whether slots are free after the claim
    has_more: bool = False  # whether more may start at once than were claimed
    unavailable: bool = False
    replaced_by: int | None = None  # the generation of data that has replaced all other


class Poller:
    """Polls the database in the SQL thread; a step that fails skips others only in an outage."""

    def __init__(
        self, window: Window, problems: heartbeats.Problems, slots: int, stopping: threading.Event
    ) -> None:
        self._window, self._problems = window, problems
        self._slots, self._stopping = slots, stopping
        self._next_renewal = self._next_tick = self._next_retry = self._reclaim_from = 0.0
        # Results of which storing has failed, and when each failed alone (0: not alone yet).
        self._kept: dict[Key, float] = {}
        # That of the data when the clock was last read: another process may have replaced it since.
        self._generation: int | None = None

    def poll(self, poll: Poll) -> Poll:
        """Run all steps; results are stored before anything is claimed or taken over."""
        with pausing.running():
            if not self._step(poll, STORING, self._store):
                return poll
            slots = Slots(self._slots, poll.used - len(poll.stored))
            may_claim = slots.free > 0 and not (self._stopping.is_set() or pausing.is_draining())
            step = "Claiming deliveries" if may_claim else "Reading the clock"
            is_going_on = self._step(poll, step, self._claim, slots, may_claim)
            poll.has_room = len(poll.claims) < slots.free
            if len(poll.results) - len(poll.stored) >= self._slots:
                self._problems.begin(SLOTS, f"all {self._slots} hold results that are not stored")
            elif slots.free:
                self._problems.end(SLOTS)
            steps: list[tuple[str, Callable[[Poll], None]]] = []
            # Not after a claim, whose requests start once the poll returns, for a TICK.
            if time.monotonic() >= self._next_tick + (TICK if poll.claims else 0):
                self._next_tick = time.monotonic() + TICK
                steps += [
                    ("Recording lost attempts", self._record_lost),
                    ("The heartbeat", self.record_heartbeat),
                    ("Renewing leases", self._renew),
                ]
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
                poll.unavailable = True
                self._problems.begin(DATABASE, error)
            else:
                self._problems.begin(name, error, traceback=True)
        else:
            if name != STORING:
                self._problems.end(name)
            if self._problems.is_failing(DATABASE):
                # No worker could renew its leases before the end of the outage: leave them time.
                self._reclaim_from = time.monotonic() + PATIENCE
        return not poll.unavailable

    def _store(self, poll: Poll) -> None:
        """Store the results; those of which storing has failed at most once a TICK."""
        is_retry = time.monotonic() >= self._next_retry
        self._kept = {key: last_try for key, last_try in self._kept.items() if key in poll.results}
        keys = [key for key in poll.results if is_retry or key not in self._kept]
        # Behind the others, which are stored before they are tried again.
        keys.sort(key=lambda key: self._kept.get(key, 0.0))
        if not keys:
            return
        results = [poll.results[key] for key in keys]
        flushed = flush(results)
        is_repeated = bool(self._kept.keys() & keys) or self._problems.is_failing(STORING)
        if flushed.unavailable and is_repeated and self._database_responds():
            flushed = flush(results, isolate=True)
        for key, stored in zip(keys, flushed.stored, strict=True):
            if stored == Stored.KEPT:
                self._kept.setdefault(key, 0.0)
            else:
                self._kept.pop(key, None)
                poll.stored.append(key)
        self._kept |= {keys[index]: time.monotonic() for index in flushed.failed_alone}
        if not_stored := len(keys) - len(poll.stored):
            # Due at the next poll, whose timer may fire up to a millisecond early.
            self._next_retry = time.monotonic() + TICK * 0.9
            reason = type(flushed.error).__name__ if flushed.error else "locked by a transaction"
            self._problems.begin(STORING, f"{not_stored} kept in memory, {reason}")
        elif not self._kept:
            self._problems.end(STORING)
        if flushed.unavailable and flushed.error is not None:
            raise flushed.error

    def _database_responds(self) -> bool:
        """Whether the database stores anything else: a heartbeat."""
        with suppress(Exception):
            heartbeats.record(heartbeats.WORKER, self._problems.summary(), now=True)
            return True
        connection.close()
        return False

    def _claim(self, poll: Poll, slots: Slots, may_claim: bool) -> None:
        """Read the clock, and claim as many deliveries as there are free slots."""
        batch = claim.claim(slots.free if may_claim else 0, slots, generation=self._generation)
        poll.now, generation = batch.reading
        if self._generation not in (None, generation):
            poll.replaced_by = generation
        self._generation = generation
        poll.claims, poll.has_more = batch.claims, batch.has_more
        self._window.claims.extend(poll.claims)  # here: the loop may end before the poll does

    def _record_lost(self, poll: Poll) -> None:
        """Record attempts of lost workers as unknown; renew own leases, after a mere delay."""
        if time.monotonic() < self._reclaim_from:
            return
        claims = claim.lost_claims(self._generation or 0)
        own = {each.key for each in self._window.all_claims()}
        if any(each.key in own for each in claims):
            claim.renew(self._window.all_claims())
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
            claim.renew(self._window.all_claims())

    def _read_schedule(self, poll: Poll) -> None:
        if poll.now is not None and (due_at := wakeup.next_due(poll.now)):
            poll.seconds = max(0.0, (due_at - poll.now).total_seconds())


class Engine:
    """The rolling window of one worker process; `start`, `wake`, `stop` from any thread."""

    def __init__(self, *, slots: int | None = None) -> None:
        event_loops.raise_file_limit()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="delivery-engine", daemon=True)
        self._sql = event_loops.SqlThread()
        self._problems, self._window = heartbeats.Problems(), Window()
        self._started, self._stopping = Future[None](), threading.Event()
        fitting = event_loops.fitting_slots(slots or settings.SIM_CALLS)
        self._poller = Poller(self._window, self._problems, fitting, self._stopping)
        self._timer: asyncio.TimerHandle | None = None
        self._errors, self._calm_from, self._next_flush = 0, 0.0, 0.0

    def start(self) -> None:
        """Start the thread and wait for its loop; raises event_loops.StartFailed."""
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
                self._loop.call_soon_threadsafe(self._on_wake)

    def stop(self, timeout: float = GRACE + STORE + 1) -> None:
        """Stop claiming, give requests in flight GRACE seconds, record the rest as unknown."""
        self._stopping.set()
        self.wake()
        self._thread.join(timeout)

    @property
    def in_flight(self) -> int:
        """Return how many requests are in flight."""
        return len(self._window.in_flight)

    def _run(self) -> None:
        """Supervise the loop in the engine's thread: run it again after an error that ended it."""
        while not self._stopping.is_set():
            try:
                with asyncio.Runner(loop_factory=event_loops.new_loop_factory()) as runner:
                    runner.run(self._main())
            except BaseException as error:
                if not self._started.done():
                    self._started.set_exception(error)
                    break
                for each in list(self._window.in_flight.values()):
                    self._keep_result(each.stopped())
                self._stopping.wait(self._note_error(error))
        for each in [*self._window.in_flight.values(), *map(InFlight, self._window.claims)]:
            self._keep_result(each.stopped())
        self._window.claims.clear()
        with suppress(Exception):
            self._sql.submit(self._store_last).result()
        self._sql.end(lambda: heartbeats.delete(heartbeats.WORKER))

    def _store_last(self) -> None:
        """Store the remaining results at a stop; those that are left after STORE s are lost."""
        deadline = time.monotonic() + STORE
        while (results := self._window.results) and time.monotonic() < deadline:
            stored = flush(list(results.values())).stored
            for key, how in zip(list(results), stored, strict=True):
                if how != Stored.KEPT:
                    del results[key]
            if results:
                time.sleep(0.1)
        if results:
            # Another worker records them as unknown.
            logger.error("%s results are lost at the stop, and attempts repeated.", len(results))

    def _note_error(self, error: BaseException) -> float:
        """Note an error of the loop, and return how many seconds to pause."""
        self._problems.begin(LOOP, error, traceback=True)
        self._sql.submit(self._poller.record_heartbeat)
        self._errors += 1
        self._calm_from = time.monotonic() + CALM
        return PAUSES[min(self._errors, len(PAUSES)) - 1]

    def _keep_result(self, result: AttemptResult) -> None:
        # It is an orderly stop only while the engine stops.
        if result.stopped and not self._stopping.is_set():
            result = replace(result, stopped=False)
        self._window.results[result.claim.key] = result
        self._window.in_flight.pop(result.claim.key, None)

    async def _main(self) -> None:
        self._due, self._stopped, self._timer = asyncio.Event(), asyncio.Event(), None
        # Last: other threads wake an engine that has a loop.
        self._loop = asyncio.get_running_loop()
        self._transport = conf.open_transport()
        self._listener = wakeup.listen(self._due.set)
        try:
            if not self._started.done():
                self._started.set_result(None)
            while not self._stopping.is_set():
                try:
                    await self._tick()
                except Exception as error:
                    # Requests in flight continue: only the tick is repeated.
                    await event_loops.wait(self._stopped, self._note_error(error))
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
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        poll = Poll(
            len(window.claims) + len(window.in_flight) + len(window.results), dict(window.results)
        )
        await self._sql.run(self._poller.poll, poll)
        if poll.results:
            self._next_flush = asyncio.get_running_loop().time() + FLUSH
        for key in poll.stored:
            window.results.pop(key, None)
        if poll.replaced_by is not None:
            window.abandon_others(poll.replaced_by)
            self._due.set()
        if poll.now is not None:
            self._time_out(poll.now)
        # Includes those of a poll whose loop ended before it returned.
        while window.claims:
            each = InFlight(window.claims.popleft())
            window.in_flight[each.claim.key] = each
            each.start(self._transport, self._on_end)
        if self._listener is not None:
            self._listener.note_poll(has_room=poll.has_room)
        if self._errors and time.monotonic() > self._calm_from:
            self._errors = 0
            self._problems.end(LOOP)
        if poll.has_more and poll.has_room:
            self._due.set()
        if poll.unavailable:
            await event_loops.wait(self._stopped, TICK)
        elif not await event_loops.wait(self._due, min(TICK, poll.seconds)):
            wakeup.report(wakeup.TIMER)

    def _on_wake(self) -> None:
        self._due.set()
        if self._stopping.is_set():
            self._stopped.set()

    def _on_end(self, each: InFlight, result: AttemptResult) -> None:
        if self._window.in_flight.get(each.claim.key) is not each:
            return  # abandoned
        self._keep_result(result)
        if not self._window.in_flight:
            self._due.set()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_at(self._next_flush, self._due.set)

    def _time_out(self, now: datetime) -> None:
        """Cancel requests whose deadline platform time has passed; they are in that order."""
        for each in self._window.in_flight.values():
            if each.deadline > now:
                break
            if not each.timed_out:
                each.timed_out = True
                each.cancel()

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
            _engine, wakeup.wake_engine = engine, engine.wake
            event_loops.switch_threads_often()
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
        running, _engine, wakeup.wake_engine = _engine, None, None
    if running is not None:
        running.stop()
