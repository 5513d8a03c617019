"""Entries of the timeline as lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_KINDS = {"attempt_started": "attempt", "attempt_finished": "attempt", "api_call": "API call"}
_HOLDS = {"taken": "was taken", "released": "was released", "expired": "has expired"}
LONGEST = 200  # characters of a line


def line(entry: Mapping[str, Any]) -> str:
    """Return an entry as a line: time, kind, ids, and what happened."""
    data = entry["data"]
    kind = entry["kind"]
    about = entry["object"] or ", ".join(data.get("objects") or ())
    names = " ".join(part for part in (entry["webhook"], about) if part)
    text = f"{moment(entry['at'])}  {_KINDS.get(kind, kind):<8}  {names}  {_text(entry, data)}"
    text = " ".join(text.split("\n")).rstrip()
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def moment(value: str) -> str:
    """Return a moment of the API in UTC: `2026-11-26 13:50:35.000`."""
    return value[:23].replace("T", " ")


def _text(entry: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    kind = entry["kind"]
    if kind in ("change", "event"):
        by = f" by {data['actor']}" if data.get("actor") else ""
        if not data.get("to"):
            # Billing requests have no status, and Trigger now is about no object.
            return f"created{by}" if entry["object"] else "Trigger now"
        return f"{data.get('from') or 'created'} → {data['to']}{by}"
    if kind in ("attempt_started", "attempt_finished"):
        number = f"delivery {entry['delivery']}, attempt {entry['attempt']}"
        if kind == "attempt_started":
            return f"{number}: {data.get('method')} {data.get('url')}"
        return f"{number}: {_result(data)}"
    if kind == "api_call":
        code = f" {data['error_code']}" if data.get("error_code") else ""
        who = "handler" if data.get("actor") == "handler" else "test"
        result = data.get("status") or "no response yet"
        return f"{who}: {data.get('method')} {data.get('path')} {result}{code}"
    if kind == "fault":
        return f"{data['name']} ({data.get('kind')}){_where(entry, data)}"
    if kind == "task":
        text = f"{data['id']} {data['type']} "
        if data["action"] == "started":
            return f"{text}was sent"
        return f"{text}{data['result']}: {data['message'] or data['why']}".rstrip(": ")
    if kind == "clock" and data.get("to"):
        return f"time was moved to {moment(data['to'])} ({data['action']})"
    if kind == "hold":
        note = f": {data['note']}" if data.get("note") else ""
        return f"{data['id']} {_HOLDS.get(data['action'], data['action'])}{note}"
    return " ".join(f"{name}={value}" for name, value in data.items() if value not in (None, ""))


def _where(entry: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    if data.get("path"):
        return f": {data['method']} {data['path']}"
    if data.get("task"):
        return f": {data['task']}"
    return f": delivery {entry['delivery']}, attempt {entry['attempt']}"


def _result(data: Mapping[str, Any]) -> str:
    parts = [str(data.get("status") or data.get("outcome")), f"{data.get('duration')} ms"]
    if data.get("next_attempt_at"):
        parts.append(f"next attempt at {moment(data['next_attempt_at'])}")
    if data.get("out_of_order"):
        parts.append("the webhook is out of order")
    # At the end, where a long line is cut.
    if data.get("error"):
        parts.append(str(data["error"]))
    return ", ".join(parts)
