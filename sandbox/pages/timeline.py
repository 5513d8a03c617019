"""The pages of the timeline, of one object's part of it, and of an API call.

An account sees the entries of its webhooks, its calls of the API, the objects that it is a party
to, and what concerns everybody: moves of the clock, holds and resets. They are read newest first,
in pages by cursor, and new ones are added to the page while it is open.

The timeline of one object, on its page, has the place of the portal's history: what the timeline
doesn't have (changes of the demo data, or of a time whose entries were pruned) is taken from there.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict

from portal import layout, pages
from portal.deliveries import bodies
from portal.deliveries.bodies import Body
from portal.identity import Viewer
from portal.paging import with_values
from portal.queues import history
from portal.queues.history import HistoryEntry
from requests_queue import clock
from requests_queue.catalog.models import Account
from requests_queue.conversations.models import PRIVATE, Message, number_of
from requests_queue.errors import Invalid, Missing
from requests_queue.queues import base
from sandbox.models import ApiCall, TimelineEntry
from sandbox.pages import timeline_rows
from sandbox.pages.timeline_rows import ATTEMPTS, DELIVERY_KINDS, GROUPS, Row
from sandbox.timeline import api_calls, handler_activity, timeline
from sandbox.timeline.handler_activity import Call
from sandbox.timeline.timeline import Cursor
from webhooks.models import Webhook

SIZE = 50  # entries of a page
# Entries that one page reads at most, so that those of others cost a bounded time.
SCAN = 5000
MAX_ROWS = 100  # of an object
MAX_BODY = 3000  # characters of a body that are shown
MAX_WEBHOOKS = 200  # in the filter


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
        "delivery": Q(kind__in=DELIVERY_KINDS) & own & _latest(),
        "api": Q(kind=timeline.API_CALL) & called,
        "message": Q(kind=timeline.MESSAGE) & party & (~Q(data__type=PRIVATE) | called),
        # A settle time names the URL of a handler, which may be another account's.
        "clock": Q(kind__in=(timeline.HOLD, timeline.RESET))
        | Q(kind=timeline.CLOCK) & ~Q(data__action="settle"),
        "fault": Q(kind=timeline.FAULT) & (own | called),
        "task": Q(kind=timeline.TASK, data__account=account.pk),
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


# The page of an object.


@dataclass(frozen=True, slots=True)
class ObjectStream:
    """The rows of an object, newest first, and whether the timeline has older ones."""

    object: str
    rows: Sequence[Row]
    has_more: bool
    now: datetime = field(repr=False)


def load(account_id: str, keys: Sequence[str]) -> dict[str, ObjectStream]:
    """Return the rows of each object that has any, for the panel."""
    account = Account.objects.get(pk=account_id)
    streams = [_stream(key, account) for key in keys]
    return {each.object: each for each in streams if each.rows}


def _stream(pk: str, account: Account) -> ObjectStream:
    # After a reset or restore the object may be another one of the same id, with a new history.
    chosen = Filter(object=pk, after=timeline.last_reset())
    page = read(account, chosen, size=MAX_ROWS)
    rows = timeline_rows.of(page.entries, account, pk)
    other = list(_of_history(history.of(pk, account), page.entries)) if page.older is None else []
    merged = heapq.merge(rows, other, key=lambda row: row.at, reverse=True)
    return ObjectStream(pk, list(merged), page.older is not None, clock.now())


def _of_history(
    history_entries: Iterable[HistoryEntry], entries: Sequence[TimelineEntry]
) -> Iterable[Row]:
    """Yield rows of what the timeline doesn't have."""
    changes = {
        (timeline_rows.change_text(e.data["from"], e.data["to"]), clock.shown(e.at))
        for e in entries
        if e.kind == timeline.CHANGE
    }
    numbers = {
        number_of(Message.PREFIX, e.data["id"]) for e in entries if e.kind == timeline.MESSAGE
    }
    deliveries = {e.delivery_id for e in entries if e.kind in DELIVERY_KINDS}
    for entry in history_entries:
        for each in entry.deliveries:
            if each.row.pk not in deliveries:
                yield timeline_rows.of_delivery(each, entry.at)
        if (entry.text, entry.at) not in changes and entry.message not in numbers:
            yield timeline_rows.of_entry(entry)


# Views.


def shown(call: Call) -> dict[str, Any]:
    """Return an API call as templates have it: its bodies, cut, and the ids of their elements."""
    return {
        "call": call,
        "request_body": read_body(call.request_body),
        "request_id": f"call-{call.row.pk}-request",
        "response_body": read_body(call.response_body),
        "response_id": f"call-{call.row.pk}-response",
    }


def read_body(text: str) -> Body:
    """Return a text as the body of a part of a page."""
    body = bodies.read(text.encode("utf-8", "replace"), [], as_sent=False, full=False)
    left_out = max(0, len(body.text) - MAX_BODY)
    body.text, body.more = body.text[:MAX_BODY], body.more + left_out
    return body


@layout.signed_in("GET")
def page(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Show the entries, or with `since` those that are new, which htmx polls."""
    try:
        chosen, before, since = parse(request.GET)
    except Invalid as invalid:
        context = {"chosen": Filter(), "error": str(invalid), **_choices(viewer, Filter())}
        return layout.render(request, viewer, "sandbox/timeline.html", context, 400)
    if since is not None and layout.is_htmx(request):
        return _newer(request, viewer, chosen, since)
    section = read(viewer.account, chosen, before)
    context = {
        "chosen": chosen,
        "page": section,
        "rows": timeline_rows.of(section.entries, viewer.account),
        "is_newest": before is None,
        **_queries(chosen, section),
    }
    if layout.is_htmx(request):
        return layout.render(request, viewer, "sandbox/stream.html", context)
    context |= _choices(viewer, chosen)
    return layout.render(request, viewer, "sandbox/timeline.html", context)


def _newer(request: HttpRequest, viewer: Viewer, chosen: Filter, since: Cursor) -> HttpResponse:
    section = read(viewer.account, chosen, since=since)
    if not section.entries:
        return pages.empty()
    context = {
        "rows": timeline_rows.of(section.entries, viewer.account),
        "is_newest": True,
        **_queries(chosen, section),
    }
    if section.older is None:
        return layout.render(request, viewer, "sandbox/stream_newer.html", context)
    # There is a gap above the page's rows: these replace them.
    response = layout.render(request, viewer, "sandbox/stream.html", context)
    response["HX-Retarget"], response["HX-Reswap"] = "#stream", "outerHTML"
    return response


def _queries(chosen: Filter, section: Page) -> dict[str, object]:
    return {
        "is_filtered": chosen != Filter(),
        "newest": chosen.query(),
        "older": chosen.query(before=section.older) if section.older else "",
        "poll": chosen.query(since=section.until),
    }


def _choices(viewer: Viewer, chosen: Filter) -> dict[str, object]:
    rows = Webhook.objects.filter(account=viewer.account).order_by("label", "pk")
    groups = [("", "All", chosen.query(kind=None))]
    groups += [(name, label, chosen.query(kind=name)) for name, (label, _) in GROUPS.items()]
    return {
        "groups": groups,
        "webhooks": list(rows.values_list("pk", "label")[:MAX_WEBHOOKS]),
        "without_after": chosen.query(after=None) if chosen.after else "",
    }


@layout.signed_in("GET")
def call(request: HttpRequest, viewer: Viewer, pk: int) -> HttpResponse:
    """Show an API call of the viewer's account; for htmx only what a row of the timeline lacks."""
    own = ApiCall.objects.filter(account_id=viewer.account.pk)
    # A larger number would be an error of the database.
    calls = handler_activity.load(own.filter(pk=pk)) if pk < 2**63 else []
    if not calls:
        raise Missing(str(pk))
    context = {"call": calls[0], "shown": shown(calls[0]), "names_attempt": True}
    template = "sandbox/call_part.html" if layout.is_htmx(request) else "sandbox/api_call.html"
    return layout.render(request, viewer, template, context)
