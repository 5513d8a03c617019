"""What happened since a moment: the handler's API calls and the changes of objects."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from checks.outcomes import Exhibit

_ID = re.compile(r"^[A-Z]{2,4}(-\d+)+$|^\d+$")
_SHOWN = 40  # calls of an exhibit
_BODY = 200  # characters of a body in an exhibit
# The outcome of an attempt whose response was 2xx.
SUCCESS = "success"
# The statuses of an order to which the vendor has done nothing.
UNTOUCHED = ("pending", "tiers_setup")
# The actions that end a fulfillment request or hand it to somebody else.
ACTIONS = ("approve", "fail", "inquire", "pend", "schedule", "revoke", "assign", "unassign")


@dataclass(frozen=True, slots=True)
class Call:
    """An API call of the handler; `path` below `/public/v1`, times in seconds of real time."""

    id: int
    method: str
    path: str
    query: str
    status: int
    began: float
    seconds: float
    sent: str
    returned: str
    objects: tuple[str, ...]
    faults: tuple[str, ...] = ()
    # The service user of its API key.
    key: str = ""

    @property
    def is_read(self) -> bool:
        """Whether it changes nothing."""
        return self.method in ("GET", "HEAD", "OPTIONS")

    @property
    def pattern(self) -> str:
        """The path with `*` for ids, as a fault names it."""
        return "/".join("*" if _ID.match(part) else part for part in self.path.split("/"))

    @property
    def action(self) -> str:
        """The action of a request that it runs, or an empty text."""
        last = self.path.rpartition("/")[2]
        return last if self.method == "POST" and last in ACTIONS else ""

    def line(self) -> str:
        query = f"?{self.query}" if self.query else ""
        took = f"{self.seconds * 1000:.0f} ms"
        fault = f"  [fault: {', '.join(self.faults)}]" if self.faults else ""
        return f"{self.method} {self.path}{query} → {self.status}  {took}{fault}"


@dataclass(frozen=True, slots=True)
class Change:
    """A change of an object's status; `actor` is vendor, distributor or system."""

    object: str
    status_from: str | None
    status_to: str
    actor: str


@dataclass(frozen=True, slots=True)
class Effects:
    """What a handler has made of one request.

    `params` are the filled ones by name, `approvals` the statuses of the approve calls,
    `other_actions` names of further actions, `overwritten` parameters for which a second value was
    sent.
    """

    status: str
    params: Mapping[str, str]
    approvals: tuple[int, ...]
    other_actions: tuple[str, ...]
    overwritten: tuple[str, ...]

    @property
    def successful_approvals(self) -> int:
        """How many approve calls succeeded."""
        return sum(200 <= status < 300 for status in self.approvals)


@dataclass(frozen=True, slots=True)
class History:
    """Calls and changes in order; `attempts` are finished attempts of webhooks, as entries."""

    calls: tuple[Call, ...]
    changes: tuple[Change, ...]
    attempts: tuple[Mapping[str, Any], ...]

    @property
    def writes(self) -> tuple[Call, ...]:
        """The calls that may change something."""
        return tuple(call for call in self.calls if not call.is_read)

    def without_faults(self) -> History:
        """Return the history without the calls that a fault has changed."""
        return replace(self, calls=tuple(call for call in self.calls if not call.faults))

    def about(self, object_id: str) -> tuple[Call, ...]:
        """Return the calls with this object in their path."""
        return tuple(call for call in self.calls if object_id in call.path.split("/"))

    def exhibit(self, title: str = "API calls of the handler") -> Exhibit:
        """Return the calls as evidence."""
        lines = []
        for call in self.calls[-_SHOWN:]:
            lines.append(call.line())
            if call.sent and not call.is_read:
                lines.append(f"    sent: {_cut(call.sent)}")
            if call.status >= 400:
                lines.append(f"    response: {_cut(call.returned)}")
        hidden = len(self.calls) - _SHOWN
        first = [f"… {hidden} earlier calls"] if hidden > 0 else []
        return Exhibit(title, tuple(first + lines) or ("(none)",))

    @property
    def last_failure(self) -> str:
        """How the last attempt has failed, for a sentence; empty if it succeeded."""
        if not self.attempts or self.attempts[-1]["data"]["outcome"] == SUCCESS:
            return ""
        data = self.attempts[-1]["data"]
        return str(data["status"] or data["error"])

    def attempts_exhibit(self) -> Exhibit:
        lines = [
            f"attempt {entry['attempt']} of delivery {entry['delivery']}: "
            f"{entry['data']['outcome']}, {entry['data']['status'] or entry['data']['error']}"
            for entry in self.attempts
        ]
        return Exhibit("Attempts of the webhook", tuple(lines) or ("(none)",))


def call_of(row: Mapping[str, Any]) -> Call:
    """Return a call from its representation in `/sandbox/api-calls`."""
    began = datetime.fromisoformat(row["real_started_at"]).timestamp()
    faults = tuple(
        str(fault["name"] if isinstance(fault, Mapping) else fault)
        for fault in row.get("faults", ())
    )
    return Call(
        row["id"],
        row["method"],
        row["path"].partition("/public/v1")[2],
        row["query"],
        row["status"],
        began,
        row["duration"] / 1000,
        row["request_body"],
        row["response_body"],
        tuple(row["objects"]),
        faults,
        row["key"],
    )


def change_of(entry: Mapping[str, Any]) -> Change:
    """Return a change from its entry in the timeline."""
    data = entry["data"]
    return Change(entry["object"], data["from"], data["to"], data["actor"])


def effects(history: History, request: Mapping[str, Any], before: Mapping[str, str]) -> Effects:
    """Return what became of a request: its representation now, and its values before."""
    calls = history.about(request["id"])
    return Effects(
        request["status"],
        filled(request),
        tuple(call.status for call in calls if call.action == "approve"),
        tuple(call.action for call in calls if call.action not in ("", "approve")),
        tuple(sorted(_overwritten(calls, before))),
    )


def filled(request: Mapping[str, Any]) -> dict[str, str]:
    """Return the parameters of a request that have a value."""
    return {
        str(row["id"]): _value(row)
        for row in request.get("asset", {}).get("params", ())
        if _value(row)
    }


def _overwritten(calls: Iterable[Call], before: Mapping[str, str]) -> set[str]:
    """Return the parameters for which another value was sent than they had.

    Also if it was refused: a run that was too late has made a value of its own all the same.
    """
    values, changed = dict(before), set()
    for call in calls:
        if call.method not in ("PUT", "PATCH"):
            continue
        for name, value in _updated(call.sent):
            if value and values.get(name) not in (None, "", value):
                changed.add(name)
            if value and call.status < 400:
                values[name] = value
    return changed


def _updated(body: str) -> list[tuple[str, str]]:
    try:
        content = json.loads(body)
        rows = content.get("asset", content)["params"]
        return [(str(row["id"]), _value(row)) for row in rows]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []


def _value(row: Mapping[str, Any]) -> str:
    structured = row.get("structured_value")
    if structured:
        return json.dumps(structured, sort_keys=True)
    value = row.get("value")
    return "" if value is None else str(value)


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _BODY else f"{text[:_BODY]}…"
