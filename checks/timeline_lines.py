"""Entries of the timeline as lines."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from requests_queue.time_format import format_moment, format_span

_HOLDS = {"taken": "was taken", "released": "was released", "expired": "has expired"}


def moment(text: str) -> str:
    """Return a time of the API as `2026-11-26 01:42:30 UTC`."""
    return format_moment(datetime.fromisoformat(text))


def describe(entry: Mapping[str, Any]) -> str:
    """Return an entry of the timeline as one line."""
    data = entry["data"]
    names = " ".join(
        str(name) for name in (entry["webhook"], entry["object"] or _objects(data)) if name
    )
    head = f"{moment(entry['at'])}  {entry['kind']:<16}  {names}"
    return f"{head}  {_text(entry['kind'], entry, data)}".rstrip()


def _objects(data: Mapping[str, Any]) -> str:
    return ", ".join(data.get("objects") or ())


def _text(kind: str, entry: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    if kind in ("change", "event"):
        return change(data) if data.get("to") else ""
    if kind in ("attempt_started", "attempt_finished"):
        text = f"delivery {entry['delivery']}, attempt {entry['attempt']}"
        if kind == "attempt_started":
            return f"{text}: {data['method']} {data['url']}"
        return f"{text}: {data['status'] or data['error']}, {data['duration']} ms"
    if kind == "api_call":
        text = f"{data['method']} {data['path']}"
        if data["status"] is None:
            return f"{text}, no response yet"
        return f"{text} {data['status']}, {data['duration']:.0f} ms"
    if kind == "fault":
        where = f"delivery {entry['delivery']}, attempt {entry['attempt']}"
        if data["side"] == "api":
            where = f"{data['method']} {data['path']}"
        elif data["side"] == "task":
            where = data["task"]
        return f"{fault(data)}: {where}"
    if kind == "clock":
        if data["action"] == "settle":
            time = "learned again" if data["ms"] is None else f"{data['ms']:g} ms"
            return f"The settle time of {data['url']} is {time}."
        start, end = (datetime.fromisoformat(data[name]) for name in ("from", "to"))
        span = format_span((end - start).total_seconds())
        return f"Time was moved {span}, to {moment(data['to'])} ({data['action']})."
    if kind == "task":
        what = "was sent" if data["action"] == "started" else f"{data['result']} {data['why']}"
        return f"{data['id']} ({data['type']}): {what}"
    if kind == "hold":
        note = f": {data['note']}" if data.get("note") else "."
        return f"Hold {data['id']} {_HOLDS[data['action']]}{note}"
    if kind == "reset":
        is_restored = data["action"] == "restored"
        what = f"restored to snapshot {data['snapshot']}" if is_restored else "reset"
        return f"The sandbox was {what}."
    return " ".join(f"{name}={value}" for name, value in data.items() if value not in (None, ""))


def change(data: Mapping[str, Any]) -> str:
    """Return a change of status."""
    return f"{data['from'] or 'created'} → {data['to']}"


def fault(fired: Mapping[str, str]) -> str:
    """Return a fault with its kind, which a name given by the sandbox begins with."""
    name, kind = fired["name"], fired["kind"]
    return name if name.startswith(kind) else f"{name} ({kind})"
