"""The entries of the timeline that a viewer may see, newest first, in pages by cursor.

An account sees the entries of its webhooks, its calls of the API, the objects that it is a party
to, and what concerns everybody: moves of the clock, holds and resets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import QueryDict

from portal.paging import with_values
from requests_queue.catalog.models import Account
from requests_queue.conversations.models import PRIVATE
from requests_queue.errors import Invalid
from requests_queue.queues import base
from sandbox.models import TimelineEntry
from sandbox.timeline import api_calls, timeline
from sandbox.timeline.timeline import Cursor
from webhooks.models import Webhook

SIZE = 50  # entries of a page
# Entries that one page reads at most, so that those of others cost a bounded time.
SCAN = 5000

ATTEMPTS = (timeline.ATTEMPT_STARTED, timeline.ATTEMPT_FINISHED)
# What a filter shows, by its name in the query.
GROUPS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "change": ("Status changes", (timeline.CHANGE,)),
    "delivery": ("Deliveries", (timeline.EVENT, *ATTEMPTS)),
    "api": ("API calls", (timeline.API_CALL,)),
    "message": ("Messages", (timeline.MESSAGE,)),
    "clock": ("Clock", (timeline.CLOCK, timeline.HOLD, timeline.RESET)),
    "fault": ("Faults", (timeline.FAULT,)),
}
GROUP_OF = {kind: name for name, (_, kinds) in GROUPS.items() for kind in kinds}


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries to show: a group, and those about a webhook and an object."""

    group: str = ""
    webhook: str = ""
    object: str = ""
    # Only entries after this cursor.
    after: Cursor | None = None

    def query(self, **values: str | Cursor | None) -> str:
        """Return the query string of the filter with some values changed."""
        own = {
            "kind": self.group,
            "webhook": self.webhook,
            "object": self.object,
            "after": self.after,
        }
        return with_values(QueryDict(), **{**own, **values})


@dataclass
class Page:
    """Entries, newest first; `until` is where newer ones begin, `older` where older ones do."""

    entries: list[TimelineEntry]
    until: Cursor
    older: Cursor | None = None


def parse(query: QueryDict) -> tuple[Filter, Cursor | None, Cursor | None]:
    """Return the filter, and the cursors `before` and `since`; raises Invalid."""
    group = query.get("kind", "")
    if group and group not in GROUPS:
        raise Invalid("kind", f"{group[:40]!r} is unknown. Available: {', '.join(GROUPS)}.")
    named = {name: query.get(name, "").strip() for name in ("webhook", "object")}
    for name, text in named.items():
        if "\0" in text or len(text) > 40:
            raise Invalid(name, "Enter an ID.")
    after, before, since = (_cursor(query, name) for name in ("after", "before", "since"))
    return Filter(group, named["webhook"], named["object"], after), before, since


def _cursor(query: QueryDict, name: str) -> Cursor | None:
    text = query.get(name, "")
    try:
        return timeline.parse_cursor(text) if text else None
    except Invalid as invalid:
        raise Invalid(name, invalid.errors[0].message) from None


def read(
    account: Account,
    chosen: Filter,
    before: Cursor | None = None,
    *,
    since: Cursor | None = None,
    size: int | None = None,
) -> Page:
    """Return the newest entries after `since`, or up to `before`; at most five statements."""
    api_calls.flush()
    size = size or SIZE
    until = timeline.now() if before is None else before
    floor = max(since or Cursor(), chosen.after or Cursor())
    # Those of one object or webhook are found by an index, all others are read one by one.
    about = _about(timeline.newest(floor, until), chosen)
    last = list(about.values_list("transaction", "pk")[SCAN : SCAN + 1])
    if last:
        floor = Cursor(*last[0])
        about = _about(timeline.newest(floor, until), chosen)
    entries = list(_visible(about, account, chosen.group)[: size + 1])
    if len(entries) > size:
        del entries[size:]
        return Page(entries, until, Cursor(entries[-1].transaction, entries[-1].pk - 1))
    return Page(entries, until, floor if last else None)


def _about(rows: QuerySet[TimelineEntry], chosen: Filter) -> QuerySet[TimelineEntry]:
    if chosen.webhook:
        # A subquery, so that SQLite uses its index, and doesn't read all entries in order.
        of_webhook = TimelineEntry.objects.order_by().filter(webhook_id=chosen.webhook)
        rows = rows.filter(pk__in=of_webhook.values("pk"))
    return timeline.about_object(rows, chosen.object) if chosen.object else rows


def _visible(
    rows: QuerySet[TimelineEntry], account: Account, group: str
) -> QuerySet[TimelineEntry]:
    """Return the entries that an account may see, of a group or of all."""
    own = Q(webhook_id__in=Webhook.objects.filter(account=account).values("pk"))
    called = Q(data__account=account.pk)
    party = reduce(
        or_,
        (
            Q(Exists(queue.model.visible_to(account).filter(pk=OuterRef("object_id"))))
            for queue in base.registered()
        ),
    )
    conditions = {
        "change": Q(kind=timeline.CHANGE) & party,
        "delivery": Q(kind__in=GROUPS["delivery"][1]) & own & _latest(),
        "api": Q(kind=timeline.API_CALL) & called,
        "message": Q(kind=timeline.MESSAGE) & party & (~Q(data__type=PRIVATE) | called),
        # A settle time names the URL of a handler, which may be another account's.
        "clock": Q(kind__in=(timeline.HOLD, timeline.RESET))
        | Q(kind=timeline.CLOCK) & ~Q(data__action="settle"),
        "fault": Q(kind=timeline.FAULT) & (own | called),
    }
    return rows.filter(conditions[group] if group else reduce(or_, conditions.values()))


def _latest() -> Q:
    """Return the condition for what nothing newer replaces.

    An event is replaced by the first attempt of its delivery, the start of an attempt by its end.
    After a restore, an attempt has the number of one before it, whose end is older.
    """
    same = TimelineEntry.objects.order_by().filter(delivery_id=OuterRef("delivery_id"))
    attempted = Exists(same.filter(kind__in=ATTEMPTS))
    later = same.filter(kind__in=ATTEMPTS, attempt=OuterRef("attempt"), pk__gt=OuterRef("pk"))
    return (~Q(kind=timeline.EVENT) | ~Q(attempted)) & (
        ~Q(kind=timeline.ATTEMPT_STARTED) | ~Q(Exists(later))
    )
