"""The database side of an engine: store results, claim deliveries, renew leases, record losses.

`Poller.poll` runs in the engine's SQL thread. An error in one step is logged and reported by the
heartbeat, and the other steps run all the same.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import Error as DatabaseError
from django.db import connection

from requests_queue import clock, heartbeats, pausing
from webhooks.delivery import claims, flush
from webhooks.delivery.claimed import ClaimedDelivery
from webhooks.delivery.in_flight import AttemptResult, InFlightCall
from webhooks.delivery.problems import Problems
from webhooks.delivery.recording import Stored
from webhooks.delivery.slots import Slots

logger = logging.getLogger(__name__)

TICK = 1.0  # seconds between polls
RENEW = 10.0  # seconds between renewals of leases
PATIENCE = 10.0  # seconds after an outage in which no delivery of another worker is taken over
SLOW = 1.0  # seconds after which a failing step ends the poll: the next might take as long

# Names of what may fail, for the log and the home page.
DATABASE = "Access to the database"
STORING = "Storing results"
SLOTS = "Free slots"

Key = tuple[int, uuid.UUID]


def key_of(claimed: ClaimedDelivery) -> Key:
    """Return the key of a claim: another worker may claim the same delivery again."""
    return claimed.delivery_id, claimed.claim


@dataclass(slots=True)
class PollResult:
    """The result of one poll."""

    now: datetime | None = None
    claimed: list[ClaimedDelivery] = field(default_factory=list)
    stored: dict[Key, Stored] = field(default_factory=dict)
    # Results that failed by themselves, not because of another one of their flush.
    failed_alone: list[Key] = field(default_factory=list)
    next_due: datetime | None = None
    has_room: bool = True  # whether slots are free after the claim
    has_more: bool = False  # whether more may start at once than were claimed
    unavailable: bool = False
    # All data has been replaced: what the window holds of other generations doesn't exist any more.
    replaced_by: int | None = None


@dataclass(slots=True)
class Window:
    """What an engine holds: claimed deliveries, requests in flight, results not stored yet."""

    # Claimed, but not started yet.
    claimed: deque[ClaimedDelivery] = field(default_factory=deque)
    calls: dict[Key, InFlightCall] = field(default_factory=dict)
    # In order of completion; `kept` are those of which storing has failed.
    results: dict[Key, AttemptResult] = field(default_factory=dict)
    kept: set[Key] = field(default_factory=set)

    def held(self) -> list[ClaimedDelivery]:
        """Return the claimed deliveries of all three."""
        # In the order in which they move from one to the next, so that none is missed: each is in
        # the next one before it is removed.
        held = list(self.claimed)
        held += [call.claimed for call in list(self.calls.values())]
        return held + [result.claimed for result in list(self.results.values())]

    def forget_stored(self, poll: PollResult) -> None:
        """Remove the results that a poll has stored."""
        for key, stored in poll.stored.items():
            if stored == Stored.KEPT:
                self.kept.add(key)
            else:
                self.kept.discard(key)
                self.results.pop(key, None)
        if last := {key: self.results[key] for key in poll.failed_alone if key in self.results}:
            # Move them behind the others, which are stored before they are tried again. The dict is
            # replaced, because the SQL thread may read it meanwhile.
            first = {key: each for key, each in self.results.items() if key not in last}
            self.results = first | last

    def abandon_others(self, generation: int) -> None:
        """Cancel the requests of other generations that are in flight, and drop their results."""
        for key, call in list(self.calls.items()):
            if call.claimed.generation != generation:
                del self.calls[key]
                call.abandoned = True
                if call.task is not None:
                    call.task.cancel()
        for key, result in list(self.results.items()):
            if result.claimed.generation != generation:
                del self.results[key]
                self.kept.discard(key)
        self.claimed = deque(each for each in self.claimed if each.generation == generation)


class _PollAborted(Exception):
    """A step failed slowly: the remaining steps are left for the next poll."""


class Poller:
    """Polls the database for an engine; `poll` and `record_heartbeat` run in its SQL thread."""

    def __init__(
        self, window: Window, problems: Problems, slots: int, stopping: threading.Event
    ) -> None:
        self._window, self._problems = window, problems
        self._slots, self._stopping = slots, stopping
        self._next_renewal = self._next_tick = self._next_retry = self._reclaim_from = 0.0
        # That of the data when the clock was last read: another process may have replaced it since.
        self._generation: int | None = None

    def poll(self) -> PollResult:
        """Run all steps; results are stored before anything is claimed or taken over.

        If all data has been replaced, which is read with the clock, nothing is claimed.
        """
        with pausing.running():
            return self._poll()

    def _poll(self) -> PollResult:
        poll = PollResult()
        with suppress(_PollAborted):
            self._step(poll, STORING, self._store, poll)
            if poll.unavailable:
                return poll
            if self._generation is None:
                self._step(poll, "Reading the clock", self._read_clock, poll)
            if time.monotonic() >= self._next_tick + TICK:
                self._maintain(poll)
            slots = self._slots_in_use(poll)
            is_claiming = not self._stopping.is_set() and not pausing.is_draining()
            if is_claiming and slots.free:
                self._step(poll, "Claiming deliveries", self._claim, poll, slots)
            else:
                self._step(poll, "Reading the clock", self._read_clock, poll)
            if not poll.claimed and poll.replaced_by is None:
                # Not after a claim, whose requests start once the poll returns, for a TICK.
                if time.monotonic() >= self._next_tick:
                    self._maintain(poll)
                if poll.now is not None:
                    poll.next_due = self._step(poll, "The schedule", claims.next_due, poll.now)
            if not poll.unavailable:
                self._problems.end(DATABASE)
        return poll

    def _maintain(self, poll: PollResult) -> None:
        """Run the steps that are due each TICK or less often."""
        self._next_tick = time.monotonic() + TICK
        if self._step(poll, "Recording lost attempts", self._record_lost):
            poll.has_more = True
        self._step(poll, "The heartbeat", self.record_heartbeat)
        if time.monotonic() >= self._next_renewal:
            self._next_renewal = time.monotonic() + RENEW
            self._step(poll, "Renewing leases", claims.renew, self._window.held())

    def _read_clock(self, poll: PollResult) -> None:
        """Read the time, and whether all data has been replaced since it was last read."""
        self._note_reading(poll, clock.read())

    def _note_reading(self, poll: PollResult, reading: clock.Reading) -> None:
        poll.now, generation = reading
        if self._generation not in (None, generation):
            poll.replaced_by = generation
        self._generation = generation

    def record_heartbeat(self, *, now: bool = False) -> None:
        """Record that this worker is alive, and its problems."""
        heartbeats.record(heartbeats.WORKER, self._problems.summary(), now=now)

    def _step(self, poll: PollResult, name: str, step: Callable[..., Any], *args: Any) -> Any:
        """Run one step; note a failure, and end the poll if it took long."""
        began = time.monotonic()
        try:
            result = step(*args)
        except Exception as error:
            if isinstance(error, DatabaseError):
                connection.close()
            if flush.is_unavailable(error):
                self._note_unavailable(poll, error)
            else:
                self._problems.begin(name, error, traceback=True)
            if time.monotonic() - began >= SLOW:
                raise _PollAborted from None
            return None
        if name != STORING:
            self._problems.end(name)
        return result

    def _note_unavailable(self, poll: PollResult, error: BaseException) -> None:
        poll.unavailable = True
        self._problems.begin(DATABASE, error)
        # No worker could renew its leases during the outage: leave them time to do so.
        self._reclaim_from = time.monotonic() + PATIENCE

    def _store(self, poll: PollResult) -> None:
        """Store the results; those of which storing has failed at most once a TICK."""
        kept = self._window.kept
        is_retry = bool(kept) and time.monotonic() >= self._next_retry
        results = list(self._window.results.items())
        batch = {key: result for key, result in results if is_retry or key not in kept}
        if not batch:
            return
        flushed = flush.write(list(batch.values()))
        is_repeated = is_retry or self._problems.is_failing(STORING)
        if flushed.unavailable and is_repeated and self._database_responds():
            flushed = flush.write(list(batch.values()), isolate=True)
        keys = list(batch)
        poll.stored = dict(zip(keys, flushed.stored, strict=True))
        poll.failed_alone = [keys[at] for at in flushed.failed_alone]
        not_stored = sum(stored == Stored.KEPT for stored in flushed.stored)
        if not_stored:
            # Due at the next poll, whose timer may fire up to a millisecond early.
            self._next_retry = time.monotonic() + TICK * 0.9
            reason = type(flushed.error).__name__ if flushed.error else "locked by a transaction"
            self._problems.begin(STORING, f"{not_stored} kept in memory, {reason}")
        elif is_retry or not kept:
            self._problems.end(STORING)
        if flushed.unavailable and flushed.error is not None:
            self._note_unavailable(poll, flushed.error)

    def store_last(self, seconds: float) -> None:
        """Store the remaining results at a stop; those that are left after `seconds` are lost."""
        deadline = time.monotonic() + seconds
        while (results := self._window.results) and time.monotonic() < deadline:
            keys, stored = list(results), flush.write(list(results.values())).stored
            self._window.forget_stored(PollResult(stored=dict(zip(keys, stored, strict=True))))
            if self._window.results:
                time.sleep(0.1)
        if results:
            logger.error(
                "%s results could not be stored before the stop: another worker records these "
                "attempts as unknown and repeats them.",
                len(results),
            )

    def _database_responds(self) -> bool:
        """Whether the database stores anything else: a heartbeat."""
        try:
            self.record_heartbeat(now=True)
        except Exception:
            connection.close()
            return False
        return True

    def _slots_in_use(self, poll: PollResult) -> Slots:
        """Return the slots, and note whether results that are not stored occupy all of them."""
        window = self._window
        waiting = len(window.results) - sum(how != Stored.KEPT for how in poll.stored.values())
        slots = Slots(self._slots, len(window.claimed) + len(window.calls) + waiting)
        poll.has_room = bool(slots.free)
        if waiting >= self._slots:
            self._problems.begin(SLOTS, f"all {self._slots} hold results that are not stored")
        elif slots.free:
            self._problems.end(SLOTS)
        return slots

    def _claim(self, poll: PollResult, slots: Slots) -> None:
        """Claim as many deliveries as there are free slots, and read the clock with that."""
        claim = claims.claim_of(self._generation, slots.free, slots)
        self._note_reading(poll, claim.read)
        poll.claimed, poll.has_more = claim.deliveries, claim.has_more
        poll.has_room = len(poll.claimed) < slots.free
        self._window.claimed.extend(poll.claimed)

    def _record_lost(self) -> bool:
        """Record attempts of lost workers as unknown, and return whether there were any.

        If this worker's own leases have expired, it was only delayed: it renews them.
        """
        if time.monotonic() < self._reclaim_from or not (
            lost := claims.lost_attempts(self._generation or 0)
        ):
            return False
        held = self._window.held()
        own = {key_of(claimed) for claimed in held}
        if any(key_of(result.claimed) in own for result in lost):
            claims.renew(held)
        flushed = flush.write([result for result in lost if key_of(result.claimed) not in own])
        if Stored.KEPT in flushed.stored and flushed.error is not None:
            raise flushed.error
        return True
