"""Failed attempts grouped by cause, and the deliveries that a cause has left undelivered.

A cause is what is stored of a failure as data: the status of the response, the class of the error,
or both if a response was incomplete.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from django.db.models import Count, Exists, F, Max, Min, OuterRef, Q, QuerySet

from portal.deliveries import queries
from portal.deliveries.search import Term
from webhooks.http import errors
from webhooks.models import Attempt, Delivery, Resend

LIMIT = 1_000  # the newest failed attempts, which are grouped
MAX_CAUSES = 20  # that are shown
_SUMMARIZED = 3
LABELS = {
    errors.TIMEOUT: "Timed out",
    errors.DNS: "Unknown host name",
    errors.CONNECT: "No connection",
    errors.TLS: "TLS failed",
    errors.PROXY: "Proxy failed",
    errors.DISCONNECTED: "Connection lost",
    errors.PROTOCOL: "Invalid HTTP",
    errors.ADDRESS: "Address refused",
    errors.REQUEST: "Request could not be sent",
    errors.STOPPED: "Stopped",
    errors.INTERNAL: "Internal error",
}

_IS_LAST = Q(delivery__attempts=F("number"))
_IS_PENDING = _IS_LAST & Q(delivery__state__in=(Delivery.WAITING, Delivery.CALLING))
# What was sent again has a delivery of its own, with a result of its own.
_IS_LEFT = (
    _IS_LAST
    & Q(delivery__state__in=(Delivery.FAILED, Delivery.CANCELLED))
    & Q(~Exists(Resend.objects.filter(repeats=OuterRef("delivery"))))
)


@dataclass(frozen=True, slots=True)
class Cause:
    """The status of a response, the class of an error, or both."""

    status: int | None
    error_class: str | None

    def __str__(self) -> str:
        error = LABELS.get(self.error_class or "", "No response")
        if self.status is None:
            return error
        if self.error_class:
            return f"HTTP {self.status}, {error[0].lower()}{error[1:]}"
        return f"HTTP {self.status}" + (", invalid response" if 200 <= self.status < 300 else "")

    @property
    def key(self) -> str:
        """The cause in a form: `503-`, `-timeout` or `200-disconnected`."""
        return f"{self.status or ''}-{self.error_class or ''}"

    @classmethod
    def parse(cls, key: str) -> Cause:
        """Return the cause of a form; raises ValueError."""
        status, _, error_class = key.partition("-")
        if len(status) > 3 or (error_class and error_class not in LABELS):
            raise ValueError(key)
        return cls(int(status) if status else None, error_class or None)


@dataclass(frozen=True, slots=True)
class CauseRow:
    """The failed attempts of a cause; `latest` is the id of the latest one.

    `pending` and `left` are the deliveries whose last result it is: those that are retried, and
    those that are not and were not sent again.
    """

    cause: Cause
    attempts: int
    first: datetime
    last: datetime
    latest: int
    pending: int
    left: int


@dataclass(frozen=True)
class Causes:
    """The causes, the most frequent first."""

    all_rows: Sequence[CauseRow]
    # Whether there are older failed attempts, which are not grouped.
    is_limited: bool

    limit = f"{LIMIT:,}"

    @property
    def attempts(self) -> int:
        """The number of attempts of all causes."""
        return sum(row.attempts for row in self.all_rows)

    @property
    def summary(self) -> str:
        """The first causes, with their numbers of attempts."""
        text = ", ".join(f"{row.cause} ({row.attempts})" for row in self.all_rows[:_SUMMARIZED])
        return f"{text}, …" if len(self.all_rows) > _SUMMARIZED else text

    @property
    def more(self) -> int:
        """How many causes are not shown."""
        return max(0, len(self.all_rows) - MAX_CAUSES)

    @cached_property
    def rows(self) -> list[tuple[CauseRow, Attempt | None]]:
        """The causes that are shown, with the latest attempt; None if it was pruned since."""
        shown = self.all_rows[:MAX_CAUSES]
        attempts = Attempt.objects.only("delivery", "number", "error")
        examples = attempts.in_bulk([row.latest for row in shown])
        return [(row, examples.get(row.latest)) for row in shown]


def read(webhooks: Sequence[str], terms: Sequence[Term] = ()) -> Causes | None:
    """Return the causes of the webhooks' newest failed attempts that match; None without any.

    They may be empty if there are older failed attempts, which may match.
    """
    condition = "AND outcome = 'failure'"
    first = queries.first_of_newest("webhooks_attempt", webhooks, LIMIT, condition)
    groups = (
        queries.failed_attempts(webhooks, terms)
        .filter(pk__gte=first)
        .order_by()
        .values_list("status_code", "error_class")
        # In the order of the fields of CauseRow.
        .annotate(
            attempts=Count("pk"),
            first=Min("finished_at"),
            last=Max("finished_at"),
            latest=Max("pk"),
            pending=Count("pk", filter=_IS_PENDING),
            left=Count("pk", filter=_IS_LEFT),
        )
    )
    rows = [
        CauseRow(Cause(status, error_class), *figures) for status, error_class, *figures in groups
    ]
    rows.sort(key=lambda row: (-row.attempts, -row.latest))
    return Causes(rows, is_limited=first > 0) if rows or first else None


def undelivered(
    webhooks: Sequence[str], terms: Sequence[Term], cause: Cause
) -> QuerySet[Attempt, int]:
    """Return the deliveries that match and that the cause has left undelivered, newest first.

    Not those that are pending, and not those that were sent again since.
    """
    rows = _attempts(webhooks, terms, cause).filter(_IS_LEFT)
    return rows.order_by("-pk").values_list("delivery", flat=True)


def waiting(webhooks: Sequence[str], terms: Sequence[Term], cause: Cause) -> QuerySet[Attempt, str]:
    """Return the webhooks with deliveries that match, and that wait for a retry after the cause."""
    rows = _attempts(webhooks, terms, cause)
    rows = rows.filter(_IS_LAST, delivery__state=Delivery.WAITING)
    return rows.order_by().values_list("webhook", flat=True).distinct()


def _attempts(webhooks: Sequence[str], terms: Sequence[Term], cause: Cause) -> QuerySet[Attempt]:
    rows = queries.failed_attempts(webhooks, terms)
    return rows.filter(status_code=cause.status, error_class=cause.error_class)
