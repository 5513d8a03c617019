"""The timeline of one object, on its page: it has the place of the portal's history.

What the timeline doesn't have (changes of the demo data, or of a time whose entries were pruned)
is taken from that history.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from portal.queues import history
from portal.queues.history import HistoryDelivery, HistoryEntry
from requests_queue import clock
from requests_queue.catalog.models import Account
from requests_queue.conversations.models import Message, number_of
from sandbox import timeline
from sandbox.models import TimelineEntry
from sandbox.pages import stream, stream_rows
from sandbox.pages.stream import Filter
from sandbox.pages.stream_rows import Row

MAX_ROWS = 100


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
    page = stream.read(account, chosen, size=MAX_ROWS)
    rows = stream_rows.of(page.entries, account, pk)
    other = list(_of_history(history.of(pk, account), page.entries)) if page.older is None else []
    merged = heapq.merge(rows, other, key=lambda row: row.at, reverse=True)
    return ObjectStream(pk, list(merged), page.older is not None, clock.now())


def _of_history(
    history_entries: Iterable[HistoryEntry], entries: Sequence[TimelineEntry]
) -> Iterable[Row]:
    """Yield rows of what the timeline doesn't have."""
    changes = {
        (stream_rows.change_text(e.data["from"], e.data["to"]), clock.shown(e.at))
        for e in entries
        if e.kind == timeline.CHANGE
    }
    numbers = {
        number_of(Message.PREFIX, e.data["id"]) for e in entries if e.kind == timeline.MESSAGE
    }
    deliveries = {e.delivery_id for e in entries if e.kind in stream.GROUPS["delivery"][1]}
    for entry in history_entries:
        for each in entry.deliveries:
            if each.row.pk not in deliveries:
                yield _delivery(each, entry.at)
        if (entry.text, entry.at) not in changes and entry.message not in numbers:
            yield _entry(entry)


def _entry(entry: HistoryEntry) -> Row:
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


def _delivery(delivery: HistoryDelivery, at: datetime) -> Row:
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
