"""One delivery: what it is about, the ladder of its attempts, and what happens next and why."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.http import QueryDict

from portal.deliveries import finding
from portal.deliveries.bodies import harmless
from portal.spans import spelled
from requests_queue import clock
from requests_queue.catalog.models import Account
from requests_queue.errors import Missing
from webhooks.models import Attempt, Delivery, Event, Resend, Webhook
from webhooks.types import EVENT

RUNGS = 40  # attempts of the ladder; of more the latest are shown
_NAMED = 5  # events that are named
_AHEAD = 100  # deliveries before this one that are counted
_SMALL = ("number", "outcome", "status_code", "duration", "error", "why", "started_at",
          "finished_at")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rung:
    """An attempt on the ladder, and how long after the one before it came."""

    number: int
    outcome: str
    status: int | None
    duration: int
    error: str
    why: str
    at: datetime
    after: str


@dataclass(frozen=True, slots=True)
class Next:
    """What happens next, and when, if that is known."""

    said: str
    at: datetime | None = None


@dataclass
class Shown:
    """A delivery and what its page needs of it."""

    row: Delivery
    query: QueryDict
    now: datetime

    @property
    def webhook(self) -> Webhook:
        """Its webhook."""
        return self.row.webhook

    @property
    def is_live(self) -> bool:
        """Whether something will still happen to it."""
        return self.row.state in (Delivery.WAITING, Delivery.CALLING)

    @property
    def is_validator(self) -> bool:
        """Whether somebody waited for its answer."""
        return self.webhook.type != EVENT

    @cached_property
    def events(self) -> list[Event]:
        """The first of its events, in order."""
        return list(self.row.events.order_by("pk")[:_NAMED])

    @cached_property
    def more_events(self) -> int:
        """How many more there are."""
        return self.row.events.count() - len(self.events) if len(self.events) == _NAMED else 0

    @cached_property
    def resend(self) -> Resend | None:
        """What it sends again, if it does."""
        return Resend.objects.filter(pk=self.row.pk).only("repeats", "number", "changed").first()

    @cached_property
    def resends(self) -> list[int]:
        """The latest deliveries that send it again."""
        rows = Resend.objects.filter(repeats=self.row.pk).order_by("-pk")
        return list(rows.values_list("pk", flat=True)[:_NAMED])

    @property
    def _attempts(self) -> QuerySet[Attempt]:
        # One that has ended since the delivery was read would contradict what is said of that.
        return Attempt.objects.filter(delivery=self.row.pk, number__lte=self.row.attempts)

    @cached_property
    def rungs(self) -> list[Rung]:
        """Its attempts, the first first."""
        rows = self._attempts.order_by("-number").values(*_SMALL)
        found = list(rows[:RUNGS])[::-1]
        befores: list[dict[str, Any] | None] = [None, *found]
        return [_rung(row, before) for row, before in zip(found, befores, strict=False)]

    @cached_property
    def attempt(self) -> Attempt | None:
        """The attempt that is chosen: by number, else the last."""
        asked = self.query.get("attempt", "")
        rows = self._attempts.select_related("webhook")
        if asked:
            if not asked.isascii() or not asked.isdigit() or len(asked) > 9:
                raise Missing(asked)
            rows = rows.filter(number=int(asked))
        found = rows.order_by("-number").first()
        if asked and found is None:
            raise Missing(asked)
        return found

    @cached_property
    def next(self) -> Next:
        """What happens next."""
        return _next(self.row, self.now, last=self.rungs[-1].why if self.rungs else "")

    @property
    def why(self) -> str:
        """Why it waits, from its last attempt."""
        return self.rungs[-1].why if self.is_live and self.rungs else ""

    @cached_property
    def ahead(self) -> int:
        """How many older deliveries wait before this one, if it waits in the row."""
        if self.row.state != Delivery.WAITING or self.row.forced:
            return 0
        rows = Delivery.objects.filter(
            webhook=self.row.webhook_id, state=Delivery.WAITING, forced=False, pk__lt=self.row.pk
        )
        return len(rows.order_by("pk").values_list("pk", flat=True)[: _AHEAD + 1])

    @property
    def ahead_said(self) -> str:
        """The same in words."""
        if not self.ahead:
            return ""
        count = f"more than {_AHEAD}" if self.ahead > _AHEAD else str(self.ahead)
        return (
            f"{count} older {'delivery waits' if self.ahead == 1 else 'deliveries wait'} before it."
        )

    @cached_property
    def stamp(self) -> str:
        """What changes with anything that is shown of it while it is live."""
        hook = self.webhook
        known = (
            self.row.state, self.row.attempts, self.row.started_at, hook.active, hook.out_of_order,
            hook.earliest_possible_trigger, hook.revision, self.ahead, self.resends,
            [event.pk for event in self.events], self.more_events,
        )  # fmt: skip
        return hashlib.sha256(repr(known).encode()).hexdigest()[:16]

    @property
    def again(self) -> str:
        """The query that looks at it again, at the attempt that is being read."""
        found = QueryDict(mutable=True)
        if self.attempt is not None:
            found["attempt"] = str(self.attempt.number)
        for name in ("raw", "whole"):
            if self.query.get(name):
                found[name] = "1"
        found["stamp"] = self.stamp
        return f"?{found.urlencode()}"

    @property
    def is_unchanged(self) -> bool:
        """Whether who asks has seen just this."""
        return self.query.get("stamp") == self.stamp


def find(account: Account, pk: int) -> Delivery:
    """Return a delivery of the account; raises Missing."""
    row = finding.visible(account).select_related("webhook").filter(pk=pk).first()
    if row is None:
        raise Missing(str(pk))
    return row


def attempt(account: Account, pk: int, number: str) -> Attempt:
    """Return an attempt of a delivery of the account; raises Missing."""
    query = QueryDict(mutable=True)
    query["attempt"] = number
    found = Shown(find(account, pk), query, clock.now()).attempt
    if found is None:
        raise Missing(str(pk))
    return found


def _rung(row: dict[str, Any], before: dict[str, Any] | None) -> Rung:
    gap = row["started_at"] - before["finished_at"] if before else None
    return Rung(
        row["number"], row["outcome"], row["status_code"], row["duration"],
        harmless(row["error"][:500]), harmless(row["why"]), row["started_at"],
        "" if gap is None else spelled(gap.total_seconds()),
    )  # fmt: skip


def _next(row: Delivery, now: datetime, last: str) -> Next:
    hook = row.webhook
    match row.state:
        case Delivery.CALLING:
            limit = timedelta(seconds=settings.SIM_HTTP_TIMEOUT)
            ends = row.started_at + limit if row.started_at and hook.type == EVENT else None
            return Next("It is being called just now. The call is given up", ends)
        case Delivery.WAITING if row.forced:
            return Next("It is called at once, outside the gate: as soon as a worker is free.")
        case Delivery.WAITING if hook.out_of_order:
            return Next(
                "Nothing, until the webhook is in order again: it is out of order. Recover it, "
                "save it, or let a Trigger now succeed."
            )
        case Delivery.WAITING:
            gate = hook.earliest_possible_trigger
            if gate is not None and gate > now:
                return Next("It waits behind the webhook's gate, which opens", gate)
            return Next("It is due: it is called as soon as its turn comes.")
        case Delivery.CANCELLED:
            return Next("Nothing: the webhook was disabled, or another delivery took it over.")
        case _:
            return Next(last or "Nothing more.")
