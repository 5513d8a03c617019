"""The log of deliveries, newest first; each is shown with its latest attempt that matches.

Pages are delimited by ids instead of counts, because the log grows all the time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from django.db.models import Max, QuerySet
from django.http import QueryDict

from portal import layout, panels
from portal.deliveries import causes, filters, queries, rows, search
from portal.deliveries.causes import Causes
from portal.deliveries.chart import build_chart
from portal.deliveries.rows import DeliveryRow
from portal.deliveries.search import SearchError, Term
from portal.paging import with_values
from portal.panels import FilledPanel
from requests_queue import clock
from requests_queue.catalog.models import Account
from webhooks.models import Delivery, Webhook

SIZE = 50


@dataclass
class Log:
    """A page of the log for a query of `q`, `older` and `newer`.

    With `webhook` (an id) it is the log of that webhook only, as a tab of its page.
    """

    account: Account
    query: QueryDict
    text: str
    webhook: str = ""
    # Why the search is invalid.
    error: str = ""
    terms: Sequence[Term] = ()
    # The names of the webhooks by id.
    webhooks: Mapping[str, str] = field(default_factory=dict)
    rows: list[Delivery] = field(default_factory=list)
    has_older: bool = False
    has_newer: bool = False

    exports = (("jsonl", "JSON lines"), ("har", "HAR 1.2"))

    @property
    def names_webhook(self) -> bool:
        """Whether the rows name their webhook."""
        return not self.webhook

    @property
    def is_filtered(self) -> bool:
        """Whether it is restricted by a search."""
        return bool(self.terms)

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

    @property
    def chips(self) -> list[dict[str, str]]:
        """The terms of the search."""
        return filters.chips(self.terms)

    @cached_property
    def menus(self) -> list[dict[str, Any]]:
        """The filters that can be added."""
        return filters.menus(self.terms, {} if self.webhook else self.webhooks)

    @cached_property
    def now(self) -> datetime:
        """Platform time, with which the rows are compared."""
        return clock.now()

    @cached_property
    def chart(self) -> dict[str, Any] | None:
        """How many deliveries match, by minute; None without any, and for a search in texts."""
        if self.error or self.searches_text:
            return None
        return build_chart(list(self.webhooks), self.terms)

    @cached_property
    def causes(self) -> Causes | None:
        """Why attempts failed; None if none did, and for a search in texts."""
        if self.error or self.searches_text:
            return None
        return causes.read(list(self.webhooks), self.terms)

    @cached_property
    def digest(self) -> str:
        """A value that changes with what the page shows."""
        shown = [
            (line.row.pk, line.row.state, line.row.attempts, line.row.started_at, line.last_event)
            for line in self.lines
        ]
        chart = self.chart and self.chart["digest"]
        return layout.digest(shown, chart, self.causes, [filled.data for filled in self.columns])

    @cached_property
    def removed_until(self) -> datetime | None:
        """Until when older deliveries have been pruned; None unless this is the oldest page."""
        if self.has_older or self.error or self.is_filtered:
            return None
        hooks = Webhook.objects.filter(account=self.account)
        if self.webhook:
            hooks = hooks.filter(pk=self.webhook)
        at: datetime | None = hooks.aggregate(at=Max("pruned_until"))["at"]
        return at

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
        return with_values(QueryDict(), q=self.text, **values)

    @cached_property
    def columns(self) -> list[FilledPanel]:
        """The columns that other apps add."""
        keys = (line.key for line in self.lines)
        return panels.fill(panels.DELIVERY_COLUMN, self.account.pk, keys)

    @property
    def shown(self) -> Iterator[tuple[DeliveryRow, str, list[tuple[str, Any]]]]:
        """The rows with the names of their webhooks, and titles and texts of further columns."""
        for line in self.lines:
            cells = [(each.panel.title, each.data.get(line.key, "")) for each in self.columns]
            yield line, self.webhooks[line.row.webhook_id], cells

    @cached_property
    def lines(self) -> list[DeliveryRow]:
        """The rows with their events and attempts."""
        return rows.load(self.rows, self.terms)


def read(query: QueryDict, account: Account, webhook: str = "") -> Log:
    """Return the page that the query requests, of one webhook if given.

    It has no rows if the search is invalid.
    """
    log = Log(account, query, query.get("q", "").strip(), webhook)
    try:
        log.terms = search.parse(log.text, clock.now())
    except SearchError as error:
        log.error = str(error)
        return log
    log.webhooks = queries.own_webhooks(account, webhook)
    found = queries.matching(list(log.webhooks), log.terms)
    older, newer = _id(query, "older"), _id(query, "newer")
    if newer is not None:
        page = list(_listed(found.filter(pk__gt=newer)).order_by("pk")[: SIZE + 1])
        log.has_newer, log.has_older = len(page) > SIZE, True
        log.rows = page[:SIZE][::-1]
    else:
        if older is not None:
            found = found.filter(pk__lt=older)
        page = list(_listed(found).order_by("-pk")[: SIZE + 1])
        log.has_older, log.has_newer = len(page) > SIZE, older is not None
        log.rows = page[:SIZE]
    if not log.rows:
        log.has_older = log.has_newer = False
    return log


def _id(query: QueryDict, name: str) -> int | None:
    text = query.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _listed(found: QuerySet[Delivery]) -> QuerySet[Delivery]:
    return found.only("webhook", "state", "created_at", "started_at", "attempts")
