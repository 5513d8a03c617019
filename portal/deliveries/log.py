"""The log of deliveries, newest first; each is shown with its latest attempt that matches.

Pages are delimited by ids instead of counts, because the log grows all the time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.db.models import Count, F, Max, Min, Q, QuerySet
from django.http import QueryDict
from django.urls import reverse

from portal import layout, panels
from portal.deliveries import queries, search
from portal.deliveries.search import SearchError, Term
from portal.paging import with_values
from portal.panels import FilledPanel
from requests_queue import clock
from requests_queue.catalog.models import Account
from webhooks.delivery import retry
from webhooks.models import Attempt, Delivery, Event, Resend

SIZE = 25
_LISTED = ("delivery_id", "number", "outcome", "status_code", "duration", "error")


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """A delivery in the log: its first event, and its latest attempt that matches the search."""

    row: Delivery
    about: str
    object_id: str
    more_events: int
    attempt: Mapping[str, Any] | None

    @property
    def key(self) -> tuple[int, int]:
        """The key of its columns of other apps; there is no attempt 0."""
        return self.row.pk, self.attempt["number"] if self.attempt else 0

    @property
    def address(self) -> str:
        """The page of the delivery, at the attempt that is shown here."""
        address = reverse("delivery", args=[self.row.pk])
        if self.attempt is None or self.attempt["number"] == self.row.attempts:
            return address
        return f"{address}?attempt={self.attempt['number']}"


@dataclass
class Log:
    """A page of the log for a query of `q`, `state`, `older` and `newer`."""

    account: Account
    query: QueryDict
    text: str
    state: str
    # Why the search is invalid.
    error: str = ""
    terms: Sequence[Term] = ()
    rows: list[Delivery] = field(default_factory=list)
    has_older: bool = False
    has_newer: bool = False

    states = retry.STATES

    @property
    def is_filtered(self) -> bool:
        """Whether it is restricted by a search or a state."""
        return bool(self.terms or self.state)

    @property
    def searches_text(self) -> bool:
        """Whether the search covers only the newest rows."""
        return queries.searches_text(self.terms)

    @property
    def is_first(self) -> bool:
        """Whether it is the page of the newest deliveries."""
        return not ({"older", "newer"} & self.query.keys()) or not self.has_newer

    @property
    def is_live(self) -> bool:
        """Whether the page polls; searching texts every few seconds would cost too much."""
        return self.is_first and not self.error and not self.searches_text

    @cached_property
    def digest(self) -> str:
        """A value that changes with what the page shows."""
        shown = [(row.pk, row.state, row.attempts, row.started_at) for row in self.rows]
        events = Event.objects.filter(delivery__in=self.ids).aggregate(last=Max("pk"))["last"]
        return layout.digest(shown, events, [filled.data for filled in self.columns])

    @property
    def ids(self) -> list[int]:
        """The ids of the deliveries on the page."""
        return [row.pk for row in self.rows]

    @property
    def newest(self) -> str:
        """The query of the first page."""
        return self._query()

    @property
    def poll(self) -> str:
        """The query by which htmx polls the page."""
        return self._query(seen=self.digest)

    @property
    def older(self) -> str:
        """The query of the next page, empty on the last."""
        return self._query(older=self.rows[-1].pk) if self.has_older else ""

    @property
    def newer(self) -> str:
        """The query of the previous page, empty on the first."""
        return self._query(newer=self.rows[0].pk) if self.has_newer else ""

    def _query(self, **values: Any) -> str:
        return with_values(QueryDict(), q=self.text, state=self.state, **values)

    @cached_property
    def columns(self) -> list[FilledPanel]:
        """The columns that other apps add."""
        return panels.fill(
            panels.DELIVERY_COLUMN, self.account.pk, (line.key for line in self.lines)
        )  # fmt: skip

    @cached_property
    def lines(self) -> list[DeliveryRow]:
        """The rows with their events and attempts: three statements for all."""
        attempts, events, resends = _attempts(self), _events(self.ids), _resends(self.ids)
        return [_line(row, attempts.get(row.pk), events, resends) for row in self.rows]


def read(query: QueryDict, account: Account) -> Log:
    """Return the page that the query requests; it has no rows if the search is invalid."""
    state = query.get("state", "")
    log = Log(account, query, query.get("q", ""), state if state in retry.STATES else "")
    try:
        log.terms = search.parse(log.text, clock.now())
    except SearchError as error:
        log.error = str(error)
        return log
    rows = queries.deliveries(account, log.terms)
    if log.state:
        rows = rows.filter(state=log.state)
    older, newer = _id(query, "older"), _id(query, "newer")
    if newer is not None:
        page = list(_listed(rows.filter(pk__gt=newer)).order_by("pk")[: SIZE + 1])
        log.has_newer, log.has_older = len(page) > SIZE, True
        log.rows = page[:SIZE][::-1]
    else:
        if older is not None:
            rows = rows.filter(pk__lt=older)
        page = list(_listed(rows).order_by("-pk")[: SIZE + 1])
        log.has_older, log.has_newer = len(page) > SIZE, older is not None
        log.rows = page[:SIZE]
    if not log.rows:
        log.has_older = log.has_newer = False
    return log


def _id(query: QueryDict, name: str) -> int | None:
    text = query.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _listed(rows: QuerySet[Delivery]) -> QuerySet[Delivery]:
    return rows.select_related("webhook").only(
        "state", "forced", "created_at", "started_at", "attempts", "webhook__label"
    )


def _attempts(log: Log) -> dict[int, dict[str, Any]]:
    """Return the latest attempt of each delivery, or the latest that matches the search."""
    condition = queries.attempts(log.terms) or Q(number=F("delivery__attempts"))
    rows = Attempt.objects.filter(condition, delivery__in=log.ids)
    return {row["delivery_id"]: row for row in rows.order_by("number").values(*_LISTED)}


def _events(ids: Sequence[int]) -> dict[int, tuple[Event, int]]:
    """Return the first event of each delivery, and how many there are."""
    rows = Event.objects.filter(delivery__in=ids).order_by().values("delivery")
    counts = {r["first"]: r["n"] for r in rows.annotate(first=Min("pk"), n=Count("pk"))}
    return {e.delivery_id: (e, counts[e.pk]) for e in Event.objects.filter(pk__in=counts)}


def _resends(ids: Sequence[int]) -> dict[int, str]:
    """Return a description of each delivery that is a resend."""
    rows = Resend.objects.filter(pk__in=ids).values_list("pk", "repeats", "changed")
    return {
        pk: f"Resend of {f'delivery {repeats}' if repeats else 'a deleted delivery'}"
        + (" with changes" if changed else "")
        for pk, repeats, changed in rows
    }


def _line(
    row: Delivery,
    attempt: dict[str, Any] | None,
    events: Mapping[int, tuple[Event, int]],
    resends: Mapping[int, str],
) -> DeliveryRow:
    event, count = events.get(row.pk, (None, 0))
    if row.pk in resends:
        return DeliveryRow(row, resends[row.pk], "", count, attempt)
    if event is None:
        return DeliveryRow(row, "Its events were moved to another delivery", "", 0, attempt)
    return DeliveryRow(row, event.change, event.object_id, count - 1, attempt)
