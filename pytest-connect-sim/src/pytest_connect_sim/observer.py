"""What happened during a test: the timeline since it began, deliveries, the handler's errors."""

from __future__ import annotations

import json
from typing import Any, Literal

from pytest_connect_sim.client import ApiError, Client
from pytest_connect_sim.literals import DeliveryState, EntryKind
from pytest_connect_sim.timeline_text import line, moment

# Reports of failed tests show no frames of this module.
__tracebackhide__ = True

Json = dict[str, Any]

ENTRIES = 1000  # entries of one request
SHOWN = 60  # latest entries that a report shows
_BODY = 400  # characters of a body that a report shows


class Observer:
    """Reads what has happened since a cursor of the timeline, by default that of the present."""

    def __init__(self, client: Client, since: str = "") -> None:
        self._client = client
        self.since: str = since or client.get("/sandbox/cursor")["cursor"]

    def timeline(self, about: str = "", kind: EntryKind | Literal[""] = "") -> list[Json]:
        """Return the entries about a webhook or an object, by default of all kinds."""
        cursor, entries = self.since, []
        query = {name_of(about): about} if about else {}
        while True:
            page = self._client.get(
                "/sandbox/timeline", since=cursor, limit=ENTRIES, kind=kind or None, **query
            )
            entries += page["entries"]
            cursor = page["cursor"]
            if len(page["entries"]) < ENTRIES:
                return entries

    def deliveries(self, about: str = "", state: DeliveryState | Literal[""] = "") -> list[Json]:
        """Return the latest deliveries of a webhook or about an object, the newest first."""
        query = {name_of(about): about} if about else {}
        rows: list[Json] = self._client.get(
            "/sandbox/deliveries", state=state or None, since=self.since, limit=200, **query
        )["deliveries"]
        return rows

    def report(self) -> list[str]:
        """Return what happened since the test began, as lines."""
        entries = self.timeline()
        hidden = max(0, len(entries) - SHOWN)
        lines = [f"  … {hidden} earlier entries"] if hidden else []
        return lines + [f"  {line(entry)}" for entry in entries[hidden:]] or ["  (nothing)"]

    def last_api_error(self) -> list[str]:
        """Return the last API call of the handler that was refused, or that none was, as lines."""
        calls = self._client.get("/sandbox/api-calls", since=self.since, limit=ENTRIES)["calls"]
        refused = [c for c in calls if c["actor"] == "handler" and c["status"] >= 400]
        if not refused:
            return ["  none"]
        call = refused[-1]
        query = f"?{call['query']}" if call["query"] else ""
        lines = [f"  {call['method']} {call['path']}{query} → {call['status']}"]
        if call["request_body"]:
            lines.append(f"    sent: {_cut(call['request_body'])}")
        lines.append(f"    response: {_errors(call['response_body'])}")
        return lines

    def failed_attempt(self, about: str) -> list[str]:
        """Return the latest failed attempt of the latest deliveries and its response, as lines."""
        failed = [
            (attempt, delivery)
            for delivery in self.deliveries(about)
            for attempt in delivery["attempts"]
            if attempt["outcome"] != "success"
        ]
        if not failed:
            return []
        attempt, delivery = max(failed, key=lambda found: str(found[0]["started_at"]))
        number, pk = attempt["number"], delivery["id"]
        lines = [
            f"Attempt {number} of delivery {pk} to {delivery['webhook']} failed at "
            f"{moment(attempt['started_at'])}: {attempt['error']}"
        ]
        # A list leaves out large bodies, such as pages with a traceback.
        attempts = self._client.get(f"/sandbox/deliveries/{pk}")["attempts"]
        [response] = [each["response"] for each in attempts if each["number"] == number]
        text = str((response or {}).get("body") or "").strip()
        if text.startswith("Traceback (most recent call last)"):
            text = text.splitlines()[-1]
        return [*lines, f"  response: {_cut(text)}"] if text else lines

    def notes(self, about: str) -> list[str]:
        """Return what is remarkable about the handler's work on the latest deliveries."""
        deliveries = self.deliveries(about)
        if about and not deliveries:
            if name_of(about) == "webhook":
                return [f"  {about} has no deliveries since the test began."]
            return [f"  {about} has no deliveries: no active webhook is for its product and queue."]
        lines: dict[str, None] = {}
        for delivery in deliveries[:5]:
            for attempt in delivery["attempts"]:
                for text in _remarks(attempt, bool(delivery["events"])):
                    lines[f"  delivery {delivery['id']}: {text}"] = None
        return list(lines)

    def safely(self, part: str, *arguments: str) -> list[str]:
        """Return the lines of a part of a report; a failure is a line of it."""
        try:
            lines: list[str] = getattr(self, part)(*arguments)
        except Exception as error:  # a report must not hide the failure of the test
            return [f"  ({error})"]
        return lines


def _remarks(attempt: Json, has_events: bool) -> list[str]:
    """Return what is remarkable about an attempt; a validator's has no events.

    The sandbox itself says only after a while that a handler has made no calls.
    """
    activity = attempt["handler_activity"]
    texts = [str(note["text"]) for note in activity["notes"]]
    if has_events and not texts and attempt["outcome"] == "success" and not activity["calls"]:
        texts = [f"returned {attempt['response']['status']}, and has made no API calls yet."]
    return texts


def name_of(pk: str) -> str:
    """Return how a query names an id: `webhook` or `object`."""
    return "webhook" if pk.startswith("WH-") else "object"


def _errors(body: str) -> str:
    try:
        content = json.loads(body)
        return f"{content['error_code']} {' '.join(content['errors'])}"
    except (ValueError, KeyError, TypeError):
        return _cut(body)


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _BODY else f"{text[:_BODY]}…"


def settle(client: Client, patience: float) -> None:
    """Run what is due now, and wait until the handlers have done their work."""
    body = {"by": "0s", "patience": patience}
    try:
        client.call("POST", "/sandbox/clock/advance", body, timeout=patience + 60)
    except ApiError as error:
        # Another part of the test moves the clock, which settles too.
        if error.status != 409:
            raise
