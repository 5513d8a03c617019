"""A delivery becomes attempts: a rolling window of calls in each worker process.

One asyncio loop in a thread makes the calls, one thread with one connection does all SQL.
Calls may hang for minutes and a thousand may hang at once, which is why they are neither
threads nor Celery tasks; and long waits are rows in the table rather than broker messages,
because Redis delivers a message twice that is held for more than an hour.

Besides being woken the engine looks at the table itself, each second and when a gate opens:
broker and scheduler may be gone, and nothing is lost.
"""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from django.conf import settings

from requests_queue import clock, pulses
from webhooks import ledger, loops, outbox
from webhooks.addresses import AddressPolicy, parse_networks
from webhooks.calls import Claimed, Finished
from webhooks.flight import Flight
from webhooks.sql_thread import SqlThread
from webhooks.transport import Transport

TICK = 1.0  # seconds between looks at the table
FLUSH = 0.02  # seconds that finished calls wait for company
RENEW = 10.0  # seconds between renewals of leases
GRACE = 3.0  # seconds that calls under way get at a stop


@dataclass(slots=True)
class _Look:
    """What one turn of the SQL thread found."""

    now: datetime
    claimed: list[Claimed] = field(default_factory=list)
    unwritten: list[Finished] = field(default_factory=list)
    next_due: datetime | None = None


class Engine:
    """The rolling window of one worker process; `start`, `wake`, `stop` from any thread."""

    def __init__(self, *, slots: int | None = None) -> None:
        self._slots = slots or settings.SIM_CALLS
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="delivery-engine", daemon=True)
        self._sql = SqlThread()
        # By claim as well: a delivery may come back while a call that lost it still hangs.
        self._flights: dict[tuple[int, uuid.UUID], Flight] = {}
        self._finished: list[Finished] = []
        self._stopping = False
        self._next_renewal = self._next_tick = 0.0

    def start(self) -> None:
        """Start the loop's thread and wait until it can be woken."""
        loops.raise_file_limit()
        self._thread.start()
        self._ready.wait()

    def wake(self) -> None:
        """Look at the table now."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake.set)

    def stop(self, timeout: float = GRACE + 5) -> None:
        """Claim no more, give calls under way GRACE seconds, record the rest as unknown."""
        self._stopping = True
        self.wake()
        self._thread.join(timeout)

    @property
    def under_way(self) -> int:
        """How many calls are under way."""
        return len(self._flights)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=loops.new_loop_factory()) as runner:
            runner.run(self._main())
        self._sql.end(partial(pulses.end, pulses.WORKER))

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._transport = Transport(
            AddressPolicy(parse_networks(settings.SIM_ALLOW_NETWORKS)),
            proxy=settings.SIM_HTTP_PROXY or None,
        )
        self._ready.set()
        try:
            while not self._stopping:
                await self._turn()
            await self._land()
        finally:
            await self._transport.close()

    async def _turn(self) -> None:
        """Write what has finished, take what may start, and sleep until something happens."""
        finished, self._finished = self._finished, []
        self._wake.clear()
        look = await self._sql.run(self._look, finished)
        if look is None:
            # The database is away: what has finished waits in memory.
            self._finished = finished + self._finished
            await asyncio.sleep(TICK)
            return
        self._finished = look.unwritten + self._finished
        self._cut_overdue(look.now)
        for claimed in look.claimed:
            flight = Flight(claimed)
            self._flights[_key(claimed)] = flight
            flight.task = asyncio.create_task(self._fly(flight))
        await self._sleep(look)

    async def _sleep(self, look: _Look) -> None:
        delay = TICK
        if look.next_due is not None:
            delay = min(delay, max(0.0, (look.next_due - look.now).total_seconds()))
        try:
            await asyncio.wait_for(self._wake.wait(), delay)
        except TimeoutError:
            pass

    def _look(self, finished: list[Finished]) -> _Look:
        """One turn of the SQL thread."""
        look = _Look(clock.now())
        if finished:
            look.unwritten = ledger.write(finished)
        if time.monotonic() >= self._next_tick:
            self._next_tick = time.monotonic() + TICK
            self._record_lost()
            pulses.leave(pulses.WORKER)
        if time.monotonic() >= self._next_renewal:
            self._next_renewal = time.monotonic() + RENEW
            outbox.renew(self._calling())
        free = self._slots - len(self._flights)
        if free > 0 and not self._stopping:
            look.claimed = outbox.claim(free)
        if not look.claimed:
            look.next_due = outbox.next_due(look.now)
        return look

    def _calling(self) -> list[Claimed]:
        return [flight.claimed for flight in list(self._flights.values())]

    def _record_lost(self) -> None:
        """Record the calls of lost workers; this one was only held up, and keeps its own."""
        lost = outbox.abandoned()
        if not lost:
            return
        own = {_key(claimed): claimed for claimed in self._calling()}
        outbox.renew(list(own.values()))
        ledger.record([call for call in lost if _key(call.claimed) not in own])

    async def _fly(self, flight: Flight) -> None:
        self._landed(await flight.fly(self._transport))

    def _landed(self, finished: Finished) -> None:
        self._flights.pop(_key(finished.claimed), None)
        self._finished.append(finished)
        if not self._flights:
            self._wake.set()
        elif len(self._finished) == 1:
            asyncio.get_running_loop().call_later(FLUSH, self._wake.set)

    def _cut_overdue(self, now: datetime) -> None:
        """End the calls whose deadline the platform's time has passed, though real time hasn't."""
        for flight in self._flights.values():
            if flight.task and not flight.cut and flight.is_overdue(now):
                flight.cut = True
                flight.task.cancel()

    async def _land(self) -> None:
        tasks = [f.task for f in self._flights.values() if f.task]
        if tasks:
            await asyncio.wait(tasks, timeout=GRACE)
        for flight in list(self._flights.values()):
            if flight.task:
                flight.task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._finished:
            await self._sql.run(ledger.write, self._finished)


def _key(claimed: Claimed) -> tuple[int, uuid.UUID]:
    return claimed.delivery_id, claimed.claim


_engine: Engine | None = None
_guard = threading.Lock()


def start() -> Engine:
    """Start this process's engine, once."""
    global _engine
    with _guard:
        if _engine is None:
            _engine = Engine()
            _engine.start()
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
