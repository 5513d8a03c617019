"""One delivery: its events, its attempts with what each led to, and the next attempt."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from django.conf import settings
from django.http import Http404, QueryDict
from django.shortcuts import get_object_or_404

from portal import layout, panels
from portal.deliveries import queries
from portal.deliveries.attempt_list import AttemptList, number_of
from portal.deliveries.attempt_view import request_changes
from portal.paging import with_values
from portal.panels import FilledPanel
from requests_queue import clock
from requests_queue.catalog.models import Account
from webhooks import next_attempt
from webhooks.models import Attempt, Delivery, Event, Resend
from webhooks.types import EVENT

_MAX_EVENTS = 5
_MAX_AHEAD = 100  # older deliveries that are counted
# How long after its last attempt the panels of a delivery may still change.
_PANELS_CHANGE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class NextStep:
    """What happens next, and when, if that is known."""

    text: str
    moment: datetime | None = None


@dataclass
class DeliveryView:
    """A delivery and what its page shows about it."""

    row: Delivery
    query: QueryDict
    now: datetime

    @property
    def is_pending(self) -> bool:
        """Whether it can still change."""
        return self.row.state in (Delivery.WAITING, Delivery.CALLING)

    @property
    def is_live(self) -> bool:
        """Whether the page polls: the delivery or its panels can still change."""
        if self.is_pending or not self.panels:
            return self.is_pending
        last = self.page.rows[0]["attempt"] if self.page.rows else None
        return last is not None and self.now - last.finished_at < _PANELS_CHANGE

    @cached_property
    def panels(self) -> list[FilledPanel]:
        """What other apps show about its attempts."""
        keys = (row["key"] for row in self.page.rows)
        return panels.fill(panels.ATTEMPT, self.row.webhook.account_id, keys)

    @cached_property
    def chosen_key(self) -> tuple[int, int] | None:
        """The key of the panels of the attempt that is shown."""
        return (self.row.pk, self.attempt.number) if self.attempt else None

    @cached_property
    def chosen_panels(self) -> list[FilledPanel]:
        """What other apps show about the attempt that is shown."""
        keys = [self.chosen_key] if self.chosen_key else []
        return panels.fill(panels.CHOSEN_ATTEMPT, self.row.webhook.account_id, keys)

    @cached_property
    def events(self) -> list[Event]:
        """Its first events, in order."""
        return list(self.row.events.order_by("pk")[:_MAX_EVENTS])

    @cached_property
    def more_events(self) -> int:
        """The number of its other events."""
        if len(self.events) < _MAX_EVENTS:
            return 0
        return self.row.events.count() - len(self.events)

    @cached_property
    def resend(self) -> Resend | None:
        """Which attempt it resends; None if it is no resend."""
        return Resend.objects.filter(pk=self.row.pk).only("repeats", "number", "changed").first()

    @cached_property
    def resends(self) -> list[int]:
        """The latest deliveries that resend it."""
        rows = Resend.objects.filter(repeats=self.row.pk).order_by("-pk")
        return list(rows.values_list("pk", flat=True)[:_MAX_EVENTS])

    @cached_property
    def resend_changes(self) -> list[tuple[str, str, str]]:
        """What the request of a resend has that the original had not."""
        resend, attempt = self.resend, self.attempt
        if resend is None or attempt is None or attempt.number > 1:
            return []
        rows = Attempt.objects.filter(delivery=resend.repeats_id, number=resend.number)
        return [change for row in rows for change in request_changes(row, attempt)]

    @cached_property
    def page(self) -> AttemptList:
        """The attempts that are listed."""
        return AttemptList(self.row, self.query, self.now)

    @cached_property
    def attempt(self) -> Attempt | None:
        """The attempt of the query's number, else the last; raises Http404."""
        number = number_of(self.query, "attempt")
        rows = self.page.stored.select_related("webhook")
        return rows.first() if number is None else get_object_or_404(rows, number=number)

    @cached_property
    def next(self) -> NextStep | None:
        """What happens next, or why nothing happens; None for a delivery that was finished."""
        row = self.row
        if row.state == Delivery.WAITING:
            step = next_attempt.of_delivery(row, self.now)
            return NextStep(step.why, step.moment)
        if row.state == Delivery.CALLING:
            if row.started_at is None or not (row.webhook.type == EVENT or row.forced):
                # A validator's timeout is real time.
                return NextStep("In flight.")
            times_out = row.started_at + timedelta(seconds=settings.SIM_HTTP_TIMEOUT)
            if times_out > self.now:
                return NextStep("In flight. Times out", times_out)
            return NextStep(
                "In flight, and past its timeout. The outcome is recorded when its worker reports "
                "it, or as unknown when its lease expires."
            )
        if row.state == Delivery.CANCELLED:
            return NextStep(
                "Cancelled: the webhook was disabled, or another delivery took over its events."
            )
        return None

    @cached_property
    def next_panels(self) -> list[FilledPanel]:
        """What other apps show about its next attempt."""
        keys = [self.row.pk] if self.row.state == Delivery.WAITING else []
        return panels.fill(panels.NEXT_ATTEMPT, self.row.webhook.account_id, keys)

    @cached_property
    def ahead(self) -> str:
        """How many older deliveries are sent first, as a sentence; empty for none."""
        if self.row.state != Delivery.WAITING or self.row.forced:
            return ""
        older = Delivery.objects.filter(
            webhook=self.row.webhook_id, state=Delivery.WAITING, forced=False, pk__lt=self.row.pk
        ).exclude(due_at__gt=self.now)
        number = len(older.order_by("pk").values_list("pk", flat=True)[: _MAX_AHEAD + 1])
        if number > _MAX_AHEAD:
            return f"More than {_MAX_AHEAD} older deliveries are pending."
        what = "delivery is" if number == 1 else "deliveries are"
        return f"{number} older {what} pending." if number else ""

    @property
    def filled(self) -> list[FilledPanel]:
        """All panels of other apps."""
        return [*self.panels, *self.chosen_panels, *self.next_panels]

    @cached_property
    def digest(self) -> str:
        """A value that changes with what the page shows of a pending delivery."""
        hook = self.row.webhook
        return layout.digest(
            self.row.state,
            self.row.attempts,
            self.row.started_at,
            hook.active,
            hook.out_of_order,
            hook.earliest_possible_trigger,
            hook.revision,
            self.ahead,
            self.resends,
            [event.pk for event in self.events],
            self.more_events,
            self.next,
            [
                (row["key"], row["why"], [each.pk for each in row["cleared"]])
                for row in self.page.rows
            ],
            [filled.data for filled in self.filled],
        )

    @property
    def poll(self) -> str:
        """The query by which htmx polls the page at the chosen attempt."""
        number = self.attempt.number if self.attempt else None
        return with_values(self.query, attempt=number, seen=self.digest)


def find(account: Account, pk: int) -> Delivery:
    """Return a delivery of the account; raises Http404."""
    return get_object_or_404(queries.visible(account).select_related("webhook"), pk=pk)


def find_attempt(account: Account, pk: int, query: QueryDict) -> Attempt:
    """Return the attempt of a delivery of the account that a query names; raises Http404."""
    attempt = DeliveryView(find(account, pk), query, clock.now()).attempt
    if attempt is None:
        raise Http404
    return attempt
