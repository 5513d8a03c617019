"""What is shown of a trace: its moments, how objects were, and what belongs to the failure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from checks import timeline_lines, trace_states
from checks.trace_file import BadTrace
from requests_queue.api import json_diff
from requests_queue.api.json_diff import NOTHING, format_value

Json = dict[str, Any]


class BadMoment(ValueError):
    """A text is no moment of a trace; the message is one sentence."""


def _order(content: Json) -> dict[str, int]:
    return {entry["cursor"]: place for place, entry in enumerate(content["timeline"])}


def place(content: Json, moment: str | None) -> int:
    """Return the place of the last entry at a cursor or a platform time, -1 before the first one.

    None is the end. Raises BadMoment.
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
    found = {
        each["object"]: trace_states.at(each["moments"], until, order) for each in content["state"]
    }
    return {pk: state for pk, state in found.items() if state}


def changes(content: Json, since: int | None, until: int) -> list[Json]:
    """Return what differs in the objects between two places: `object, path, from, to`.

    Without `since`, from where each object was first shown.
    """
    order, found = _order(content), states(content, until)
    rows = []
    for each in content["state"]:
        pk, moments = each["object"], each["moments"]
        if pk not in found:
            continue
        if since is None:
            # The status alone, of a change, would compare with nothing.
            old = next((state for state in moments if state["values"]), moments[0])
        else:
            old = trace_states.at(moments, since, order) or {"status": None, "values": None}
        diff = json_diff.compare(_comparable(old), _comparable(found[pk]))
        rows += [
            {
                "object": pk,
                "path": row.path,
                "from": None if row.sent is NOTHING else row.sent,
                "to": row.received,
            }
            for row in diff.rows
        ]
    return rows


def _comparable(state: Mapping[str, Any]) -> Json:
    return state["values"] or {"status": state["status"]}


def change_text(row: Json) -> str:
    """Return a change as a line."""
    return f"{row['path']}: {format_value(row['from'])} → {format_value(row['to'])}"


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
