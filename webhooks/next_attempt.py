"""When the next attempt of a webhook or a delivery is, and why, as all pages and APIs show it.

A past time is never shown: a due delivery has the reason why it has not started instead. The
column `earliest_possible_trigger` keeps a past time until the next success, so it is shown only
through this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from django.conf import settings
from django.db.models import Case, Count, DateTimeField, F, Q, QuerySet, When

from requests_queue import heartbeats
from requests_queue.time_format import format_moment, format_span
from webhooks import conf
from webhooks.delivery.claim import Slots
from webhooks.delivery.retry import PAUSED
from webhooks.models import Attempt, ClearedBackoff, Delivery, Webhook
from webhooks.types import EVENT


@dataclass(frozen=True, slots=True)
class NextAttempt:
    """The time of the next attempt, None if there is none, and the reason as a sentence.

    With a time, the reason precedes it: "Failed (1 of 10).".
    """

    moment: datetime | None
    why: str

    def sentence(self, now: datetime) -> str:
        """Return it as text: `Failed (1 of 10). Next attempt in 5 min, at 02:04:44 UTC.`."""
        if self.moment is None:
            return self.why
        when = f"Next attempt in {until(self.moment, now)}, at {clock_time(self.moment, now)}."
        return f"{self.why} {when}".strip()


def until(moment: datetime, now: datetime) -> str:
    """Return the time left until a moment, in whole seconds: `4 min 59 s`."""
    return format_span(max(1, int((moment - now).total_seconds())))


def clock_time(moment: datetime, now: datetime) -> str:
    """Return a moment in UTC, with its date unless that is today."""
    moment, today = moment.astimezone(UTC), now.astimezone(UTC).date()
    return f"{moment:%H:%M:%S} UTC" if moment.date() == today else format_moment(moment)


def future(moment: datetime | None, now: datetime) -> datetime | None:
    """Return a moment in the future, None otherwise."""
    return moment if moment is not None and moment > now else None


def backoff_end(now: datetime) -> dict[str, Case]:
    """Return the annotation `next_attempt_at` of webhooks: the end of their backoff, if to come."""
    end = When(earliest_possible_trigger__gt=now, then=F("earliest_possible_trigger"))
    return {"next_attempt_at": Case(end, output_field=DateTimeField(null=True))}


class WorkerLoad:
    """Workers and requests in flight; each is read once, and only if needed."""

    @cached_property
    def workers(self) -> int:
        """Return how many worker processes have a heartbeat."""
        heard = heartbeats.by_kind().get(heartbeats.WORKER)
        return heard.alive if heard else 0

    @cached_property
    def _in_flight(self) -> dict[str, tuple[int, int]]:
        # Validators use no slots of workers: the process that waits for them sends the requests.
        rows = Delivery.objects.filter(state=Delivery.CALLING).filter(
            Q(webhook__type=EVENT) | Q(forced=True)
        )
        counted = (
            rows.order_by()
            .values_list("webhook")
            .annotate(n=Count("pk"), unforced=Count("pk", filter=Q(forced=False)))
        )
        return {pk: (n, unforced) for pk, n, unforced in counted}

    @cached_property
    def _due_dates(self) -> dict[str, list[datetime]]:
        rows = Delivery.objects.filter(state=Delivery.WAITING, due_at__isnull=False)
        due_dates: dict[str, list[datetime]] = {}
        for webhook_id, due_at in rows.order_by("due_at").values_list("webhook", "due_at"):
            if due_at is not None:
                due_dates.setdefault(webhook_id, []).append(due_at)
        return due_dates

    def due_later(self, webhook_id: str, now: datetime) -> list[datetime]:
        """Return until when deliveries of a webhook wait alone, the first moment first."""
        return [due_at for due_at in self._due_dates.get(webhook_id, ()) if due_at > now]

    def in_flight(self) -> int:
        """Return how many requests are in flight."""
        return sum(n for n, _ in self._in_flight.values())

    def in_flight_of(self, webhook_id: str, *, forced: bool = False) -> int:
        """Return how many of a webhook's requests are in flight.

        `forced` counts those of Trigger now, otherwise the others are counted.
        """
        total, unforced = self._in_flight.get(webhook_id, (0, 0))
        return total - unforced if forced else unforced

    def why_due(self, row: Webhook, *, forced: bool = False) -> str:
        """Return why a delivery of the webhook that may start now has not started yet."""
        if not self.workers:
            return "Due now, but no worker is running."
        in_flight = self.in_flight_of(row.pk, forced=forced)
        if not forced and row.earliest_possible_trigger is not None and in_flight:
            return (
                "Due now. After a backoff one request is sent first, and it is in flight; the "
                "others follow its success."
            )
        if not forced and in_flight >= settings.SIM_MAX_IN_FLIGHT:
            return (
                f"Due now, but the webhook's limit is reached: {in_flight} requests are in flight "
                "(SIM_MAX_IN_FLIGHT)."
            )
        # Each worker shares its own slots; here they are assumed to be evenly used.
        slots = Slots(settings.SIM_CALLS, self.in_flight() // self.workers)
        used, total = self.in_flight(), settings.SIM_CALLS * self.workers
        if not slots.free:
            return f"Due now, but all slots are full: {total} requests are in flight (SIM_CALLS)."
        limit = slots.total if forced else settings.SIM_MAX_IN_FLIGHT
        if in_flight >= slots.share(limit, responds=row.responds):
            return (
                f"Due now, but slots are short: {used} of {total} are in use (SIM_CALLS), "
                f"and this webhook has its share of {in_flight}."
            )
        return "Due now. A worker sends it within a second."


def of_webhook(
    row: Webhook, now: datetime, *, pending: int, load: WorkerLoad | None = None
) -> NextAttempt:
    """Return the next attempt of a webhook with a number of pending deliveries."""
    load = load or WorkerLoad()
    if not row.active:
        return NextAttempt(None, "Disabled: no requests are sent until it is enabled.")
    if row.out_of_order:
        return NextAttempt(
            None,
            f"{PAUSED} Recover it, save it, or let a Trigger now succeed. Pending deliveries are "
            "kept.",
        )
    if row.type != EVENT:
        return NextAttempt(None, "A validator is called when a request is to be validated.")
    moment = future(row.earliest_possible_trigger, now)
    if moment is not None:
        return NextAttempt(moment, _failed(row))
    if pending:
        due_later = load.due_later(row.pk, now)
        if len(due_later) >= pending:
            return NextAttempt(due_later[0], "All pending deliveries have lost their workers.")
        return NextAttempt(None, load.why_due(row))
    if not load.workers:
        return NextAttempt(None, "No worker is running. New events stay pending until one starts.")
    if row.earliest_possible_trigger is None:
        return NextAttempt(None, "Healthy. New events are delivered immediately.")
    if load.in_flight_of(row.pk):
        return NextAttempt(None, f"{_failed(row)} The next attempt is in flight.".strip())
    return NextAttempt(None, "The backoff has ended. New events are delivered immediately.")


def _failed(row: Webhook) -> str:
    return conf.policy().failed(row.round) if row.round else ""


def of_delivery(row: Delivery, now: datetime, load: WorkerLoad | None = None) -> NextAttempt:
    """Return the next attempt of a delivery; reads its webhook."""
    hook = row.webhook
    if row.state == Delivery.CALLING:
        return NextAttempt(None, "In flight.")
    if row.state != Delivery.WAITING:
        return NextAttempt(None, "")
    if not hook.active:
        return NextAttempt(None, "Paused: the webhook is disabled.")
    if not row.forced:
        if hook.out_of_order:
            why = f"{PAUSED} Recover it, save it, or let a Trigger now succeed."
            return NextAttempt(None, why)
        moment = _due(row, now)
        if moment is not None:
            why = "It has lost its workers, so others pass it." if moment == row.due_at else ""
            return NextAttempt(moment, why)
    why = (load or WorkerLoad()).why_due(hook, forced=row.forced)
    return NextAttempt(None, why)


def _due(row: Delivery, now: datetime) -> datetime | None:
    """Return when a pending delivery is due, if that is in the future.

    That is after the backoff of its webhook, and not before its own due date.
    """
    moments = (row.webhook.earliest_possible_trigger, row.due_at)
    return future(max((moment for moment in moments if moment is not None), default=None), now)


@dataclass(frozen=True, slots=True)
class AttemptFollowUp:
    """What followed from an attempt: the reason, the next attempt, and why its time changed."""

    why: str
    next: NextAttempt | None = None
    change: str = ""

    def sentence(self, now: datetime) -> str:
        """Return it as text."""
        next_ = self.next.sentence(now) if self.next else ""
        return " ".join(part for part in (self.why, next_, self.change) if part)


def after_attempt(attempt: Attempt, row: Delivery, now: datetime) -> AttemptFollowUp:
    """Return what followed from an attempt of the delivery.

    Only the last attempt of a pending delivery has a next one. Its time is the current end of the
    webhook's backoff, which may differ from the recorded one, or the delivery's own due date.
    """
    why, recorded = attempt.why, attempt.next_attempt_at
    if row.state != Delivery.WAITING or attempt.number != row.attempts:
        span = f"Backoff of {until(recorded, attempt.finished_at)}." if recorded else ""
        return AttemptFollowUp(f"{why} {span}".strip())
    hook = row.webhook
    if not hook.active:
        return AttemptFollowUp(why)
    if hook.out_of_order:
        return AttemptFollowUp(why if "out of order" in why else f"{why} {PAUSED}".strip())
    moment = _due(row, now)
    if moment is None:
        return AttemptFollowUp(f"{why} Due now.".strip())
    return AttemptFollowUp(why, NextAttempt(moment, ""), _change(recorded, moment))


def _change(recorded: datetime | None, moment: datetime) -> str:
    if recorded is None or recorded == moment:
        return ""
    if moment < recorded:
        return "Sooner than recorded: that backoff was cleared, and another one began."
    return f"Later than recorded by {until(moment, recorded)}: another request failed since."


_BY_USER: Mapping[str, str] = {
    ClearedBackoff.EDITED: "edited by",
    ClearedBackoff.DISABLED: "disabled by",
}


def cleared_backoffs(
    webhook: Webhook | str, since: datetime | None = None
) -> QuerySet[ClearedBackoff]:
    """Return the cleared backoffs of a webhook, the latest first, with the columns shown."""
    rows = ClearedBackoff.objects.filter(webhook=webhook).select_related("user", "attempt")
    if since is not None:
        rows = rows.filter(at__gte=since)
    shown = (
        "webhook",
        "at",
        "cause",
        "detail",
        "failures",
        "was_out_of_order",
        "user__username",
        "user__first_name",
        "user__last_name",
        "attempt__number",
        "attempt__delivery",
    )
    return rows.only(*shown).order_by("-at", "-pk")


def describe_cleared(row: ClearedBackoff) -> str:
    """Return what cleared a backoff: `Backoff cleared: edited by Ada Ray (endpoint URL).`."""
    what = "Recovered" if row.was_out_of_order else "Backoff cleared"
    if row.cause == ClearedBackoff.RECOVERED:
        return f"Recovered by {_who(row)}."
    if row.cause in _BY_USER:
        detail = f" ({row.detail})" if row.detail and row.cause == ClearedBackoff.EDITED else ""
        return f"{what}: {_BY_USER[row.cause]} {_who(row)}{detail}."
    which = (
        f"attempt {row.attempt.number} of delivery {row.attempt.delivery_id}"
        if row.attempt
        else "an attempt that is no longer stored"
    )
    if row.cause == ClearedBackoff.TRIGGERED:
        return f"{what}: Trigger now succeeded ({which})."
    return f"Backoff ended: {which} succeeded."


def _who(row: ClearedBackoff) -> str:
    return row.user.name if row.user else "the platform"
