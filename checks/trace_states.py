"""What a trace tells of objects: how each was after an entry, and the attempt of a failure.

Pure: from entries of the timeline and API calls, as the API of the sandbox shows them. No Django.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Json = dict[str, Any]
_FAILED = "failure"


def objects_of(entry: Mapping[str, Any]) -> list[str]:
    """Return the objects that an entry is about."""
    return [entry["object"]] if entry["object"] else list(entry["data"].get("objects") or ())


def states(entries: Sequence[Json], calls: Sequence[Json]) -> Iterator[tuple[str, Json]]:
    """Yield each object's state after the entries that have changed or shown it, in order.

    A change of the queue has the status; the responses of API calls have all values, as one account
    sees them, so that states can be compared: the handler's, else the first that has read them.
    """
    known = {each for entry in entries for each in objects_of(entry)}
    shown = {call["id"]: [each for each in _objects(call) if each["id"] in known] for call in calls}
    accounts: dict[str, str | None] = {}
    # False is before true: handlers' calls come first.
    for call in sorted(calls, key=lambda call: call["actor"] != "handler"):
        for each in shown[call["id"]]:
            accounts.setdefault(each["id"], call["account"])
    callers = {call["id"]: call["account"] for call in calls}
    last: dict[str, Json] = {}
    for entry in entries:
        data, found = entry["data"], []
        if entry["kind"] == "change" and data.get("to"):
            pk = entry["object"]
            values = last.get(pk, {}).get("values")
            values = values and {**values, "status": data["to"]}
            found = [(pk, data["to"], values, data.get("actor") or "")]
        elif entry["kind"] == "api_call" and data.get("id") in shown:
            found = [
                (each["id"], each.get("status"), each, "")
                for each in shown[data["id"]]
                if callers[data["id"]] == accounts[each["id"]]
            ]
        for pk, status, values, actor in found:
            state = {"status": status, "account": values and accounts[pk], "values": values}
            if last.get(pk) != state:
                last[pk] = state
                yield pk, {"cursor": entry["cursor"], "at": entry["at"], "actor": actor, **state}


def _objects(call: Mapping[str, Any]) -> list[Json]:
    """Return the objects that the response of a call shows whole."""
    if not 200 <= call["status"] < 300 or "select" in call["query"]:
        return []
    try:
        content = json.loads(call["response_body"])
    except (ValueError, RecursionError):
        # It is empty, or was cut.
        return []
    rows = content if isinstance(content, list) else [content]
    return [
        row
        for row in rows
        if isinstance(row, dict)
        and isinstance(row.get("id"), str)
        and isinstance(row.get("status"), str | None)
    ]


def moment(failures: Sequence[Json], entries: Sequence[Json], now: str) -> Json:
    """Return where a test or check failed: the last entry, and what the failure is about.

    The attempt is that of the nearest miss, else the last one that failed, else the last one, of
    those about the object and webhook of the failure.
    """
    about = _about(failures)
    finished = [
        entry
        for entry in entries
        if entry["kind"] == "attempt_finished"
        and (not about["object"] or about["object"] in objects_of(entry))
        and about["webhook"] in (None, entry["webhook"])
        and about["delivery"] in (None, entry["delivery"])
        and about["attempt"] in (None, entry["attempt"])
    ]
    failed = [entry for entry in finished if entry["data"].get("outcome") == _FAILED]
    for entry in (failed or finished)[-1:]:
        objects = objects_of(entry)
        about["object"] = about["object"] or (objects[0] if objects else None)
        about |= {name: entry[name] for name in ("webhook", "delivery", "attempt")}
    if not about["object"]:
        changed = [entry["object"] for entry in entries if entry["kind"] == "change"]
        about["object"] = changed[-1] if changed else None
    return {
        "cursor": entries[-1]["cursor"] if entries else None,
        "at": entries[-1]["at"] if entries else now,
        **about,
    }


def _about(failures: Sequence[Json]) -> Json:
    about: Json = dict.fromkeys(("object", "webhook", "delivery", "attempt"))
    for failure in failures[:1]:
        about |= {name: failure[name] for name in ("object", "webhook")}
        for miss in failure["near_misses"][:1]:
            about |= {name: about.get(name) or miss[name] for name in about}
    return about


def state_after(moments: Sequence[Json], place: int, order: Mapping[str, int]) -> Json | None:
    """Return how an object was after the entry at a place; None: nothing is known of it.

    `order` has the places of all entries by their cursors.
    """
    until = [each for each in moments if order.get(each["cursor"], 0) <= place]
    return until[-1] if until else None
