"""The live log: deliveries of an account, newest first, each with the call that it is shown by.

A page is found by the ids before or after it, never by a count: the log grows all the time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.db.models import Count, F, Max, Min, QuerySet
from django.http import QueryDict
from django.urls import reverse

from portal.deliveries import queries, search
from portal.deliveries.bodies import harmless
from portal.deliveries.search import SearchError, Term
from requests_queue import clock
from requests_queue.catalog.models import Account
from webhooks.delivery import retry
from webhooks.models import Attempt, Delivery, Event, Resend

SIZE = 25
_SMALL = ("delivery_id", "number", "outcome", "status_code", "duration", "error")


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """A delivery in a list: what it is about, and its latest call that fits the search."""

    row: Delivery
    about: str
    object_id: str
    # How many more events it has.
    more: int
    call: Mapping[str, Any] | None

    @property
    def address(self) -> str:
        """Return where the delivery is shown in full, at the call of this line."""
        address = reverse("delivery", args=[self.row.pk])
        if self.call is None or self.call["number"] == self.row.attempts:
            return address
        return f"{address}?attempt={self.call['number']}"


@dataclass
class Log:
    """A page of the log, for a query of `q`, `state`, `older` and `newer`."""

    query: QueryDict
    account: Account
    # Why the search can't be read, empty where it can.
    wrong: str = ""
    terms: Sequence[Term] = ()
    rows: list[Delivery] = field(default_factory=list)
    has_older: bool = False
    has_newer: bool = False

    @property
    def text(self) -> str:
        """What was typed."""
        return self.query.get("q", "")

    @property
    def state(self) -> str:
        """The state that is chosen, empty for all."""
        found = self.query.get("state", "")
        return found if found in retry.STATES else ""

    @property
    def states(self) -> tuple[str, ...]:
        """The states to choose from."""
        return retry.STATES

    @property
    def is_searched(self) -> bool:
        """Whether it shows some of the deliveries only."""
        return bool(self.terms or self.state)

    @property
    def is_bounded(self) -> bool:
        """Whether the search looks at the newest only."""
        return queries.is_bounded(self.terms)

    @property
    def is_first(self) -> bool:
        """Whether it is the page of the newest."""
        return not ({"older", "newer"} & self.query.keys()) or not self.has_newer

    @property
    def is_live(self) -> bool:
        """Whether it is looked at again all the time: a search of texts costs too much for that."""
        return self.is_first and not self.wrong and not self.is_bounded

    @cached_property
    def stamp(self) -> str:
        """What changes with anything that is shown."""
        shown = [(row.pk, row.state, row.attempts, row.started_at) for row in self.rows]
        events = Event.objects.filter(delivery__in=self.ids).aggregate(last=Max("pk"))["last"]
        return hashlib.sha256(repr((shown, events)).encode()).hexdigest()[:16]

    @property
    def is_unchanged(self) -> bool:
        """Whether who asks has seen just this."""
        return self.query.get("stamp") == self.stamp

    @property
    def ids(self) -> list[int]:
        """The deliveries of the page."""
        return [row.pk for row in self.rows]

    @property
    def newest(self) -> str:
        """The query of the first page."""
        return self._with()

    @property
    def again(self) -> str:
        """The query of this page as it is now."""
        return self._with(stamp=self.stamp)

    @property
    def older(self) -> str:
        """The query of the page after, empty on the last."""
        return self._with(older=str(self.rows[-1].pk)) if self.has_older else ""

    @property
    def newer(self) -> str:
        """The query of the page before, empty on the first."""
        return self._with(newer=str(self.rows[0].pk)) if self.has_newer else ""

    def _with(self, **values: str) -> str:
        found = QueryDict(mutable=True)
        for name, value in {"q": self.text, "state": self.state, **values}.items():
            if value:
                found[name] = value
        return f"?{found.urlencode()}"

    @cached_property
    def lines(self) -> list[DeliveryRow]:
        """The rows, with what they are about and their calls: three statements for all."""
        calls, events, again = _calls(self), _events(self.ids), _again(self.ids)
        return [_line(row, calls.get(row.pk), events, again) for row in self.rows]


def read(query: QueryDict, account: Account) -> Log:
    """Return the page that the query asks for; a search that can't be read finds nothing."""
    log = Log(query, account)
    try:
        log.terms = search.parse(log.text, clock.now())
    except SearchError as refused:
        log.wrong = str(refused)
        return log
    rows = queries.deliveries(account, log.terms)
    if log.state:
        rows = rows.filter(state=log.state)
    older, newer = _key(query, "older"), _key(query, "newer")
    if newer is not None:
        found = list(_light(rows.filter(pk__gt=newer)).order_by("pk")[: SIZE + 1])
        log.has_newer, log.has_older = len(found) > SIZE, True
        log.rows = found[:SIZE][::-1]
    else:
        if older is not None:
            rows = rows.filter(pk__lt=older)
        found = list(_light(rows).order_by("-pk")[: SIZE + 1])
        log.has_older, log.has_newer = len(found) > SIZE, older is not None
        log.rows = found[:SIZE]
    if not log.rows:
        log.has_older = log.has_newer = False
    return log


def _key(query: QueryDict, name: str) -> int | None:
    text = query.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _light(rows: QuerySet[Delivery]) -> QuerySet[Delivery]:
    return rows.select_related("webhook").only(
        "state", "forced", "created_at", "started_at", "attempts", "webhook__label"
    )


def _calls(log: Log) -> dict[int, dict[str, Any]]:
    """Return the latest call of each delivery, or the latest that the search is about."""
    rows = Attempt.objects.filter(queries.calls(log.terms), delivery__in=log.ids)
    if not queries.calls(log.terms):
        rows = rows.filter(number=F("delivery__attempts"))
    return {row["delivery_id"]: row for row in rows.order_by("number").values(*_SMALL)}


def _events(ids: Sequence[int]) -> dict[int, tuple[Event, int]]:
    """Return the first event of each delivery, and how many there are."""
    rows = Event.objects.filter(delivery__in=ids).order_by().values("delivery")
    counted = {r["first"]: r["n"] for r in rows.annotate(first=Min("pk"), n=Count("pk"))}
    return {e.delivery_id: (e, counted[e.pk]) for e in Event.objects.filter(pk__in=counted)}


def _again(ids: Sequence[int]) -> dict[int, str]:
    """Return what those are that are sent again, in words."""
    rows = Resend.objects.filter(pk__in=ids).values_list("pk", "repeats", "changed")
    return {
        pk: f"Sent again{' with changes' if changed else ''}, from "
        + (f"delivery {repeats}" if repeats else "one that is gone")
        for pk, repeats, changed in rows
    }


def _line(
    row: Delivery,
    call: dict[str, Any] | None,
    events: Mapping[int, tuple[Event, int]],
    again: Mapping[int, str],
) -> DeliveryRow:
    if call:
        call = {**call, "error": harmless(call["error"][:200])}
    event, count = events.get(row.pk, (None, 0))
    if row.pk in again:
        return DeliveryRow(row, again[row.pk], "", count, call)
    if event is None:
        return DeliveryRow(row, "Its events went with another delivery", "", 0, call)
    return DeliveryRow(row, event.change, event.object_id, count - 1, call)
