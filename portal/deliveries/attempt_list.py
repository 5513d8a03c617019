"""A page of a delivery's attempts: what each led to, and what cleared the backoffs between them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from django.db.models import QuerySet
from django.http import Http404, QueryDict

from portal.paging import with_values
from requests_queue.time_format import format_span
from webhooks import next_attempt
from webhooks.models import Attempt, ClearedBackoff, Delivery

SIZE = 40
_LISTED = (
    "pk",
    "delivery",
    "number",
    "outcome",
    "status_code",
    "duration",
    "why",
    "started_at",
    "finished_at",
    "next_attempt_at",
    "faults",
)
_MAX_CLEARED = 200  # cleared backoffs that are read
_MAX_CLEARED_SHOWN = 5  # and shown between two attempts
_PENDING = (Delivery.WAITING, Delivery.CALLING)


@dataclass
class AttemptList:
    """The attempts of a delivery up to the one that the query names, the latest first."""

    delivery: Delivery
    query: QueryDict
    now: datetime

    @cached_property
    def stored(self) -> QuerySet[Attempt]:
        """The attempts without those that finished after the delivery was read."""
        return Attempt.objects.filter(
            delivery=self.delivery.pk, number__lte=self.delivery.attempts
        ).order_by("-number")

    @cached_property
    def last(self) -> int:
        """The number of the latest attempt of the page; raises Http404.

        Without one in the query, the page that has the chosen attempt.
        """
        total = self.delivery.attempts
        last, chosen = number_of(self.query, "until"), number_of(self.query, "attempt")
        if last is None:
            is_old = chosen is not None and chosen <= total - SIZE
            last = chosen + SIZE // 2 if is_old and chosen is not None else total
        return min(max(last, SIZE), total)

    @property
    def newer(self) -> str:
        """The query of the page of newer attempts, empty on the first page."""
        total = self.delivery.attempts
        return self._until(min(self.last + SIZE, total)) if self.last < total else ""

    @property
    def older(self) -> str:
        """The query of the page of older attempts, empty on the last page."""
        return self._until(self.last - SIZE) if self.last > SIZE else ""

    def _until(self, number: int) -> str:
        return with_values(self.query, until=number, seen=None)

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """The attempts of the page: the time since the previous one, and what it led to.

        `key` is that of its panels; `cleared` are the backoffs of the webhook that were cleared
        before the next attempt.
        """
        # Together with the one after them, and the one before them.
        read = list(self.stored.filter(number__lte=self.last + 1).only(*_LISTED)[: SIZE + 2])
        by_number = {row.number: row for row in read}
        shown = [row for row in read if self.last - SIZE < row.number <= self.last]
        cleared = self._cleared(read)
        rows = [
            {
                "attempt": row,
                "key": (row.delivery_id, row.number),
                "gap": _gap(by_number.get(row.number - 1), row),
                "why": self._why(row),
                "cleared": self._cleared_after(row, by_number.get(row.number + 1), cleared),
                "query": with_values(
                    self.query, attempt=row.number, seen=None, raw=None, full=None
                ),
            }
            # The oldest first: while the clock is frozen, what was cleared belongs to the earlier.
            for row in reversed(shown)
        ]
        return rows[::-1]

    def _why(self, row: Attempt) -> str:
        """Return what followed from an attempt, with the backoff that it set."""
        result = next_attempt.after_attempt(row, self.delivery, self.now)
        span = ""
        if result.next and row.next_attempt_at:
            span = f"Backoff of {next_attempt.until(row.next_attempt_at, row.finished_at)}."
        return " ".join(part for part in (result.why, span, result.change) if part)

    def _cleared(self, rows: list[Attempt]) -> list[ClearedBackoff]:
        """Return the backoffs that were cleared since the first attempt, the latest first."""
        is_pending = self.delivery.state in _PENDING
        if not rows or (rows[0].number == 1 and not is_pending):
            # A delivery with one attempt waited for no backoff.
            return []
        found = next_attempt.cleared_backoffs(self.delivery.webhook_id, rows[-1].finished_at)
        if not is_pending or rows[0].number < self.delivery.attempts:
            found = found.filter(at__lte=rows[0].finished_at)
        return list(found[:_MAX_CLEARED])

    def _cleared_after(
        self, row: Attempt, following: Attempt | None, cleared: list[ClearedBackoff]
    ) -> list[ClearedBackoff]:
        """Take the backoffs that were cleared between two attempts, the latest first.

        Those cleared by the following attempt itself are part of its own result.
        """
        if row.outcome == Attempt.SUCCESS:
            return []
        if following is None and self.delivery.state not in _PENDING:
            return []
        between = [
            each
            for each in cleared
            if row.finished_at <= each.at
            and (following is None or each.at <= following.finished_at)
            and not (following and each.attempt_id == following.pk)
        ]
        for each in between:
            # While the clock is frozen, the next attempt has the same time: list it only once.
            cleared.remove(each)
        return between[:_MAX_CLEARED_SHOWN]


def _gap(before: Attempt | None, row: Attempt) -> str:
    if before is None:
        return ""
    return format_span((row.started_at - before.finished_at).total_seconds())


def number_of(query: QueryDict, name: str) -> int | None:
    """Return the number of an attempt in a query, None without one; raises Http404."""
    text = query.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Http404
    return int(text)
