"""One delivery: what it is about, the list of its attempts, and what happens next and why."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from django.db.models import QuerySet
from django.http import QueryDict

from portal.deliveries import queries
from portal.deliveries.bodies import harmless
from requests_queue import clock
from requests_queue.catalog.models import Account
from requests_queue.errors import Missing
from requests_queue.time_format import format_span
from webhooks.delivery import next_attempt
from webhooks.delivery.next_attempt import AttemptFollowUp
from webhooks.models import Attempt, ClearedBackoff, Delivery, Event, Resend, Webhook
from webhooks.types import EVENT

MAX_ATTEMPTS = 40  # attempts of the ladder; of more the latest are shown
_NAMED = 5  # events that are named
_AHEAD = 100  # deliveries before this one that are counted
_SMALL = ("pk", "number", "outcome", "status_code", "duration", "error", "why", "started_at",
          "finished_at", "next_attempt_at")  # fmt: skip
_CLEARED = 200  # ended backoffs that are looked at, and the latest ones between two attempts
_CLEARED_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Cleared:
    """What ended a backoff that the delivery waited for, and when."""

    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """An attempt in the list: how long after the one before it came, and what it led to.

    `cleared` is what ended the webhook's backoffs between this attempt and the next one.
    """

    number: int
    outcome: str
    status: int | None
    duration: int
    error: str
    told: AttemptFollowUp
    at: datetime
    after: str
    cleared: list[Cleared]


@dataclass(frozen=True, slots=True)
class NextStep:
    """What happens next, and when, if that is known."""

    said: str
    at: datetime | None = None


@dataclass
class DeliveryView:
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
    def rungs(self) -> list[AttemptRow]:
        """Its attempts, the first first."""
        rows = self._attempts.order_by("-number").only(*_SMALL)
        found = list(rows[:MAX_ATTEMPTS])[::-1]
        ended = self._cleared(found)
        nexts: list[Attempt | None] = [*found[1:], None]
        befores: list[Attempt | None] = [None, *found]
        return [
            self._rung(row, before, _between(ended, row, next_, self.row))
            for row, before, next_ in zip(found, befores, nexts, strict=False)
        ]

    def _cleared(self, attempts: list[Attempt]) -> list[ClearedBackoff]:
        """Return what ended the webhook's backoffs since the first attempt, the latest first."""
        if not attempts or (attempts[-1].number == 1 and not self.is_live):
            # Most deliveries have one attempt, and nothing to explain.
            return []
        rows = next_attempt.cleared_backoffs(self.row.webhook_id, attempts[0].finished_at)
        if not self.is_live:
            rows = rows.filter(at__lte=attempts[-1].finished_at)
        return list(rows[:_CLEARED])

    def _rung(self, row: Attempt, before: Attempt | None, ended: list[Cleared]) -> AttemptRow:
        gap = row.started_at - before.finished_at if before else None
        told = next_attempt.after_attempt(row, self.row, self.now)
        return AttemptRow(
            row.number, row.outcome, row.status_code, row.duration,
            harmless(row.error[:500]), replace(told, why=harmless(told.why)), row.started_at,
            "" if gap is None else format_span(gap.total_seconds()), ended,
        )  # fmt: skip

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
    def next(self) -> NextStep:
        """What happens next."""
        return _next(self.row, self.now, last=self.rungs[-1].told.why if self.rungs else "")

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
        what = "delivery is" if self.ahead == 1 else "deliveries are"
        return f"{count} older {what} pending before it."

    @cached_property
    def stamp(self) -> str:
        """What changes with anything that is shown of it while it is live."""
        hook = self.webhook
        known = (
            self.row.state, self.row.attempts, self.row.started_at, hook.active, hook.out_of_order,
            hook.earliest_possible_trigger, hook.revision, self.ahead, self.resends,
            [event.pk for event in self.events], self.more_events, self.next,
            [(rung.told, rung.cleared) for rung in self.rungs],
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
    row = queries.visible(account).select_related("webhook").filter(pk=pk).first()
    if row is None:
        raise Missing(str(pk))
    return row


def attempt(account: Account, pk: int, number: str) -> Attempt:
    """Return an attempt of a delivery of the account; raises Missing."""
    query = QueryDict(mutable=True)
    query["attempt"] = number
    found = DeliveryView(find(account, pk), query, clock.now()).attempt
    if found is None:
        raise Missing(str(pk))
    return found


def _between(
    ended: list[ClearedBackoff],
    row: Attempt,
    following: Attempt | None,
    delivery: Delivery,
) -> list[Cleared]:
    """Return what ended backoffs while the delivery waited between two attempts, in order.

    What the following attempt itself ended is said there.
    """
    if row.outcome == Attempt.SUCCESS:
        return []
    last = following.finished_at if following else None
    if following is None and delivery.state not in (Delivery.WAITING, Delivery.CALLING):
        return []
    found = [
        one
        for one in ended
        if row.finished_at <= one.at
        and (last is None or one.at <= last)
        and not (following and one.attempt_id == following.pk)
    ]
    for one in found:
        # While a move has stopped the clock, an attempt that follows has the same moment.
        ended.remove(one)
    return [
        Cleared(one.at, harmless(next_attempt.describe_cleared(one)))
        for one in found[:_CLEARED_SHOWN][::-1]
    ]


def _next(row: Delivery, now: datetime, last: str) -> NextStep:
    match row.state:
        case Delivery.WAITING:
            found = next_attempt.of_delivery(row, now)
            return NextStep(found.why, found.at)
        case Delivery.CALLING:
            return _in_flight(row, now)
        case Delivery.CANCELLED:
            return NextStep(
                "Cancelled: the webhook was disabled, or another delivery took over its events."
            )
        case _:
            return NextStep(last or "Nothing more.")


def _in_flight(row: Delivery, now: datetime) -> NextStep:
    ends = next_attempt.times_out_at(row)
    if ends is None:
        return NextStep("In flight.")
    if ends > now:
        return NextStep("In flight. Times out", ends)
    return NextStep(
        "In flight, and past its timeout. The outcome is recorded when its worker reports it, or "
        "as unknown when its lease has run out."
    )
