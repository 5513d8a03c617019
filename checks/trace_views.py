"""What is shown of a trace: its moments, how objects were, and what belongs to the failure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from checks import timeline_lines, trace_states
from checks.trace_file import BadTrace
from requests_queue.api import json_diff
from requests_queue.api.json_diff import NOTHING, format_value

Json = dict[str, Any]
_ROWS = 10_000  # differences of an object


class BadMoment(ValueError):
    """A text is no moment of a trace; the message is one sentence."""


def _order(content: Json) -> dict[str, int]:
    return {entry["cursor"]: place for place, entry in enumerate(content["timeline"])}


def place(content: Json, moment: str | None) -> int:
    """Return the place of the entry of a cursor, or of the last one at a platform time.

    It is -1 before the first entry, and the number of entries for None. Raises BadMoment.
    """
    order = _order(content)
    if moment is None:
        return len(order)
    if moment in order:
        return order[moment]
    try:
        at = datetime.fromisoformat(moment)
    except ValueError:
        raise BadMoment(
            f"{moment[:40]!r} is neither a cursor of the trace nor a time such as "
            "2026-11-26T13:50:35."
        ) from None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return sum(datetime.fromisoformat(each["at"]) <= at for each in content["timeline"]) - 1


def states(content: Json, until: int) -> dict[str, Json]:
    """Return how each object was after the entry at a place, if anything is known of it."""
    order = _order(content)
    by_object = {
        each["object"]: trace_states.state_after(each["moments"], until, order)
        for each in content["state"]
    }
    return {pk: state for pk, state in by_object.items() if state}


def changes(content: Json, since: int | None, until: int) -> list[Json]:
    """Return what differs in the objects between two places: `object, path, from, to`.

    Without `since`, from where each object was first shown.
    """
    order = _order(content)
    rows = []
    for each in content["state"]:
        pk, moments = each["object"], each["moments"]
        new = trace_states.state_after(moments, until, order)
        if new is None:
            continue
        old = (
            _first_seen(moments, until, order)
            if since is None
            else trace_states.state_after(moments, since, order)
        )
        diff = json_diff.compare(*_comparable(old, new), with_removed=True, limit=_ROWS)
        rows += [
            {"object": pk, "path": row.path, "from": _value(row.sent), "to": _value(row.received)}
            for row in diff.rows
        ]
    return rows


def _first_seen(moments: Sequence[Json], until: int, order: Mapping[str, int]) -> Json:
    """Return the first status of an object, with the first values that a response has shown."""
    earlier = [each for each in moments if order.get(each["cursor"], 0) <= until]
    values = next((each["values"] for each in earlier if each["values"]), None)
    status = earlier[0]["status"]
    return {"status": status, "values": values and {**values, "status": status}}


def _comparable(old: Json | None, new: Json) -> tuple[Json, Json]:
    """Return what both states have: their values, or only the status."""
    if old is None or (old["values"] and new["values"]):
        return (old or {}).get("values") or {}, new["values"] or {"status": new["status"]}
    return {"status": old["status"]}, {"status": new["status"]}


def _value(value: Any) -> Any:
    return None if value is NOTHING else value


def change_text(row: Json) -> str:
    """Return a change as a line."""
    return f"{row['path']}: {values_text(row)}"


def values_text(row: Json) -> str:
    """Return the values of a change: `"pending" → "approved"`."""
    return f"{format_value(row['from'])} → {format_value(row['to'])}"


def miss_texts(failure: Json) -> list[str]:
    """Return what came near to making an expectation true, in lines."""
    return [
        f"Near: {miss['object'] or miss['webhook'] or 'something'}, {each['field']}: "
        f"expected {each['expected']}, was {each['actual']}"
        for miss in failure["near_misses"]
        for each in miss["differs"]
    ]


def entry_text(entry: Json) -> str:
    """Return an entry of the timeline as a line; raises BadTrace."""
    try:
        return timeline_lines.describe(entry)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        # The schema doesn't say what the entries of each kind have.
        raise BadTrace(f"It is damaged: entry {entry['cursor']} lacks data of its kind.") from None


def attempt(content: Json) -> tuple[Json, Json] | None:
    """Return the delivery and the attempt that the failure is about."""
    moment = content["trace"]["moment"]
    for row in content["deliveries"]:
        for each in row["attempts"]:
            if (row["id"], each["number"]) == (moment["delivery"], moment["attempt"]):
                return row, each
    return None


def handler_calls(content: Json) -> list[Json]:
    """Return the handler's API calls after that attempt, without one all of them."""
    moment = content["trace"]["moment"]
    return [
        call
        for call in content["calls"]
        if call["actor"] == "handler"
        and moment["delivery"] in (None, call["delivery"])
        and moment["attempt"] in (None, call["attempt"])
    ]
