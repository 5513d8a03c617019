"""Entries of the timeline as rows of a page, read in a constant number of statements."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.urls import reverse

from portal.queues.history import HistoryDelivery, HistoryEntry
from requests_queue import clock
from requests_queue.catalog.models import Account
from requests_queue.conversations import writing
from requests_queue.conversations.models import PRIVATE, STATE_CHANGE, Message, number_of
from requests_queue.queues import base
from requests_queue.time_format import format_moment, format_span
from sandbox.clock import moves
from sandbox.models import ApiCall, TimelineEntry
from sandbox.timeline import handler_activity, timeline
from sandbox.timeline.handler_activity import Call
from webhooks.models import Attempt, Delivery, Webhook

GOOD, BAD, BUSY, WAIT = "good", "bad", "busy", "wait"
LABELS = {
    "change": "Status",
    "delivery": "Delivery",
    "task": "Task",
    "api": "API call",
    "message": "Message",
    "clock": "Clock",
    "fault": "Fault",
}
ATTEMPTS = (timeline.ATTEMPT_STARTED, timeline.ATTEMPT_FINISHED)
# What a filter shows, by its name in the query.
GROUPS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "change": ("Status changes", (timeline.CHANGE,)),
    "delivery": ("Deliveries", (timeline.EVENT, *ATTEMPTS)),
    "task": ("Tasks", (timeline.TASK,)),
    "api": ("API calls", (timeline.API_CALL,)),
    "message": ("Messages", (timeline.MESSAGE,)),
    "clock": ("Clock", (timeline.CLOCK, timeline.HOLD, timeline.RESET)),
    "fault": ("Faults", (timeline.FAULT,)),
}
GROUP_OF = {kind: name for name, (_, kinds) in GROUPS.items() for kind in kinds}
DELIVERY_KINDS = GROUPS["delivery"][1]
# As the buttons of the bar.
_MOVES = {
    moves.ADVANCE: "advance",
    moves.NEXT: "next attempt",
    moves.RUN_UNTIL_IDLE: "until idle",
    moves.WAIT: "for a test that waits",
}


@dataclass(frozen=True, slots=True)
class Row:
    """An entry: when, what kind, about which object and webhook, and what happened.

    `replaces` is the id of the row of an older entry that is not shown beside this one;
    `is_removed` is whether its delivery is no longer stored.
    """

    id: str
    at: datetime
    group: str
    text: str
    tone: str = ""
    more: str = ""
    object: str = ""
    object_url: str = ""
    webhook: str = ""
    webhook_label: str = ""
    delivery: int | None = None
    attempt: int | None = None
    call: Call | None = None
    replaces: str = ""
    is_removed: bool = False

    @property
    def label(self) -> str:
        """Return its kind in words."""
        return LABELS[self.group]


@dataclass(frozen=True, slots=True)
class _Related:
    """What the rows show besides their entries, by id."""

    urls: Mapping[str, str]
    labels: Mapping[str, str]
    calls: Mapping[int, Call]
    messages: Mapping[int, Message]
    authors: Mapping[tuple[str, str, datetime], str]
    deliveries: Collection[int]


def of(entries: Sequence[TimelineEntry], account: Account, page_of: str = "") -> list[Row]:
    """Return the rows of entries that the account may see, in order.

    On the page of an object, `page_of`, rows don't link to it.
    """
    related = _related(entries, account, page_of)
    return [_row(entry, related) for entry in entries]


def change_text(before: str | None, after: str) -> str:
    """Return what a change did, as the history of an object has it."""
    return f"Validated in {after}." if before == after and after else writing.said(before, after)


def _related(entries: Sequence[TimelineEntry], account: Account, page_of: str) -> _Related:
    def ids(name: str, *kinds: str) -> set[Any]:
        found = (getattr(e, name) for e in entries if not kinds or e.kind in kinds)
        return {each for each in found if each is not None}

    hooks = Webhook.objects.filter(account=account, pk__in=ids("webhook_id"))
    numbers = [e.data["id"] for e in entries if e.kind == timeline.API_CALL]
    rows = ApiCall.objects.filter(pk__in=numbers)
    # Bodies are loaded when a call is opened.
    calls = handler_activity.load(rows, handler_activity.NONE)
    # What has not been pruned.
    stored = Delivery.objects.filter(pk__in=ids("delivery_id", *DELIVERY_KINDS))
    return _Related(
        _object_urls(ids("object_id") - {page_of}, account),
        dict(hooks.values_list("pk", "label")),
        {call.row.pk: call for call in calls},
        _messages(entries, account),
        _authors(ids("object_id", timeline.CHANGE), entries, account),
        set(stored.values_list("pk", flat=True)),
    )


def _object_urls(ids: set[str], account: Account) -> dict[str, str]:
    """Return the pages of the objects that exist; at most one statement for each queue."""
    urls: dict[str, str] = {}
    for queue in base.registered():
        rows = queue.model.visible_to(account).filter(pk__in=ids - urls.keys())
        urls |= {
            pk: reverse("queue-object", args=[queue.object_class, pk])
            for pk in rows.values_list("pk", flat=True)
        }
    return urls


def _messages(entries: Iterable[TimelineEntry], account: Account) -> dict[int, Message]:
    numbers = [number_of("ME", e.data["id"]) for e in entries if e.kind == timeline.MESSAGE]
    rows = Message.visible_to(account).filter(pk__in=numbers)
    return {row.pk: row for row in rows.select_related("creator", "account")}


def _authors(
    objects: set[str], entries: Iterable[TimelineEntry], account: Account
) -> dict[tuple[str, str, datetime], str]:
    """Return who has made the changes, by object, text and time of their messages."""
    moments = {clock.shown(e.at) for e in entries if e.kind == timeline.CHANGE}
    rows = Message.visible_to(account).filter(
        type=STATE_CHANGE, conversation__instance_id__in=objects, created__in=moments
    )
    return {
        (row.conversation.instance_id, row.text, row.created): _author(row)
        for row in rows.select_related("conversation", "creator", "account")
    }


def _author(row: Message) -> str:
    """Return the user and the account, as far as they are known."""
    return ", ".join(each.name for each in (row.creator, row.account) if each)


def _row(entry: TimelineEntry, related: _Related) -> Row:
    text, tone, more = _TEXTS[entry.kind](entry, related)
    about, hook = entry.object_id or "", entry.webhook_id or ""
    is_end = entry.kind in (timeline.ATTEMPT_STARTED, timeline.ATTEMPT_FINISHED)
    return Row(
        id=_id(entry),
        at=entry.at,
        group=GROUP_OF[entry.kind],
        text=text,
        tone=tone,
        more=more,
        object=about,
        object_url=related.urls.get(about, ""),
        webhook=hook if hook in related.labels else "",
        webhook_label=related.labels.get(hook, ""),
        delivery=entry.delivery_id,
        attempt=entry.attempt,
        call=related.calls.get(entry.data["id"]) if entry.kind == timeline.API_CALL else None,
        replaces=_replaced(entry) if is_end else "",
        is_removed=entry.kind in DELIVERY_KINDS and entry.delivery_id not in related.deliveries,
    )


def _id(entry: TimelineEntry) -> str:
    """Return the id of the row, by which a newer one replaces it."""
    if entry.kind == timeline.EVENT and not entry.attempt:
        return f"event-{entry.delivery_id}"
    if entry.kind == timeline.ATTEMPT_STARTED:
        return f"started-{entry.delivery_id}-{entry.attempt}"
    return f"entry-{timeline.cursor_of(entry)}".replace(".", "-")


def _replaced(entry: TimelineEntry) -> str:
    if entry.kind == timeline.ATTEMPT_STARTED:
        return f"event-{entry.delivery_id}"
    return f"started-{entry.delivery_id}-{entry.attempt}"


# The text of each kind, its color, and a quieter rest.
_Text = tuple[str, str, str]


def _change(entry: TimelineEntry, related: _Related) -> _Text:
    data = entry.data
    before, after = data["from"], data["to"] or ""
    text = change_text(before, after)
    by = related.authors.get((entry.object_id or "", text, clock.shown(entry.at)))
    return text, "", f"by {by or data['actor']}" if by or data["actor"] else ""


def _event(entry: TimelineEntry, related: _Related) -> _Text:
    return "Pending: no attempt yet.", WAIT, ""


def _started(entry: TimelineEntry, related: _Related) -> _Text:
    return f"Attempt {entry.attempt} is in flight.", BUSY, ""


def _finished(entry: TimelineEntry, related: _Related) -> _Text:
    data = entry.data
    response = f"HTTP {data['status']}" if data["status"] else data["error"] or data["outcome"]
    tone = GOOD if data["outcome"] == Attempt.SUCCESS else BAD
    parts = [f"in {format_span((data['duration'] or 0) / 1000)}"]
    if data["out_of_order"]:
        parts.append("then out of order")
    elif data["next_attempt_at"] and tone == BAD:
        parts.append(
            f"next attempt at {format_moment(datetime.fromisoformat(data['next_attempt_at']))}"
        )
    return f"Attempt {entry.attempt}: {response}", tone, ", ".join(parts)


def _call(entry: TimelineEntry, related: _Related) -> _Text:
    data = entry.data
    code = f" {data['error_code']}" if data["error_code"] else ""
    status = data["status"] or 0
    tone = BAD if status >= 400 else ""
    text = f"{data['method']} {data['path']}: {status or 'no response yet'}{code}"
    return text, tone, "by a test" if data["actor"] == ApiCall.TEST else ""


def _message(entry: TimelineEntry, related: _Related) -> _Text:
    row = related.messages.get(number_of("ME", entry.data["id"]))
    if row is None:
        return "A message that no longer exists.", "", ""
    parts = ["private"] if row.type == PRIVATE else []
    parts += [f"by {author}"] if (author := _author(row)) else []
    return row.text, "", ", ".join(parts)


def _clock(entry: TimelineEntry, related: _Related) -> _Text:
    start, end = (datetime.fromisoformat(entry.data[name]) for name in ("from", "to"))
    span = format_span((end - start).total_seconds())
    action = str(entry.data["action"])
    return f"Moved {span} to {format_moment(end)}.", "", _MOVES.get(action, action)


def _hold(entry: TimelineEntry, related: _Related) -> _Text:
    return f"Hold {entry.data['id']} {entry.data['action']}.", "", entry.data.get("note") or ""


def _reset(entry: TimelineEntry, related: _Related) -> _Text:
    if entry.data["action"] == "restored":
        return f"Snapshot {entry.data['snapshot']} restored.", "", ""
    return "Reset to the demo data.", "", ""


def _task(entry: TimelineEntry, related: _Related) -> _Text:
    data = entry.data
    if data["action"] == "started":
        return f"Task {data['id']} was sent.", BUSY, data["type"]
    tone = {"success": GOOD, "skip": "", "reschedule": WAIT}.get(data["result"], BAD)
    return f"Task {data['id']}: {data['result']}", tone, data["why"] or data["message"][:200]


def _fault(entry: TimelineEntry, related: _Related) -> _Text:
    data = entry.data
    where = f"{data['method']} {data['path']}" if "path" in data else data.get("task", "")
    return f"{data['name']} ({data['kind']}) fired.", BAD, where


_TEXTS: dict[str, Callable[[TimelineEntry, _Related], _Text]] = {
    timeline.CHANGE: _change,
    timeline.EVENT: _event,
    timeline.ATTEMPT_STARTED: _started,
    timeline.ATTEMPT_FINISHED: _finished,
    timeline.API_CALL: _call,
    timeline.MESSAGE: _message,
    timeline.CLOCK: _clock,
    timeline.HOLD: _hold,
    timeline.RESET: _reset,
    timeline.TASK: _task,
    timeline.FAULT: _fault,
}


def of_entry(entry: HistoryEntry) -> Row:
    is_message = entry.kind in ("message", "private")
    parts = ["private"] if entry.kind == "private" else []
    by = ", ".join(filter(None, (entry.author, entry.account)))
    parts += [f"by {by}"] if by else []
    return Row(
        f"message-{entry.message}",
        entry.at,
        "message" if is_message else "change",
        entry.text,
        more=", ".join(parts),
    )


def of_delivery(delivery: HistoryDelivery, at: datetime) -> Row:
    row, response = delivery.row, f" · {delivery.response}" if delivery.response else ""
    return Row(
        f"delivery-{row.pk}",
        at,
        "delivery",
        f"{row.state}{response}",
        delivery.tone,
        webhook=delivery.webhook.pk,
        webhook_label=delivery.webhook.label,
        delivery=row.pk,
    )
