"""What a validator's answer has otherwise than what its handler was sent, and what became of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from requests_queue.queues import validation as queues
from requests_queue.queues.answers import WrongAnswer
from requests_queue.safe_text import visible
from webhooks.delivery.json_diff import DiffRow, ItemId, JsonDiff, Steps, compare, format_value
from webhooks.delivery.validators import NOTHING_MERGED
from webhooks.models import Attempt, Resend
from webhooks.types import EVENT

Json = dict[str, Any]


def is_validation(row: Attempt) -> bool:
    """Whether the call sent an object to a validator; Trigger now sends the payload instead."""
    return row.webhook.type != EVENT and "id" in _sent(row)


@dataclass(frozen=True, slots=True)
class ResponseDiff:
    """The differences as path, sent, came back, what became of it; and what else is to be said."""

    rows: list[tuple[str, str, str, str]]
    said: str


def build_diff(row: Attempt) -> ResponseDiff:
    """Return the differences, none where there is nothing to compare: what is said tells why."""
    if not row.response_body:
        return ResponseDiff([], "There is no body of an answer to compare.")
    if row.truncated:
        said = (
            "The answer was longer than what is stored of it, so it can't be compared here. What "
            "was merged stands above."
        )
        return ResponseDiff([], said)
    try:
        got = json.loads(bytes(row.response_body), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return ResponseDiff([], "The answer is no JSON, so there is nothing to compare.")
    sent = _sent(row)
    about = queues.of(row.webhook.object_class)
    found = compare(_as_read(about, sent, got), got)
    if not found.rows:
        return ResponseDiff([], f"Nothing differs. {_left_out(found)}".strip())
    # Nobody waits for what is sent again.
    nothing = (
        row.outcome != Attempt.SUCCESS
        or row.why.startswith(NOTHING_MERGED)
        or Resend.objects.filter(pk=row.delivery_id).exists()
    )
    merged = None if nothing else _merged(about, sent, got)
    return ResponseDiff([_cells(each, merged) for each in found.rows], _said(found, merged))


def _sent(row: Attempt) -> Json:
    """Return the object that was sent, an empty one where the body was none."""
    try:
        found = json.loads(row.request_body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON.")


def _as_read(about: queues.Validated | None, sent: Json, got: Any) -> Json:
    """Return what was sent, with its parameters where the answer has them.

    An answer about a tier configuration's request may have them below `configuration`.
    """
    if about is None or not isinstance(got, dict):
        return sent
    for path in about.paths:
        if _at(got, path) is not None:
            return _with(sent, path, about.params_of(sent))
    return sent


def _at(node: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        node = node.get(key) if isinstance(node, Mapping) else None
    return node


def _with(node: Json, path: tuple[str, ...], value: Any) -> Json:
    key, *rest = path
    inner = node.get(key)
    below = _with(inner if isinstance(inner, dict) else {}, tuple(rest), value) if rest else value
    return {**node, key: below}


def _merged(about: queues.Validated | None, sent: Json, got: Any) -> set[Steps]:
    """Return the places whose values are taken over, by the reading that takes them."""
    if about is None:
        return set()
    try:
        changes = queues.read(about, sent, got).changes
    except (WrongAnswer, LookupError, TypeError):
        # Read by other rules than it was then.
        return set()
    places: set[Steps] = set()
    for path in about.paths:
        for pk, changed in changes.items():
            rules = changed.get("constraints", {})
            places |= {(*path, ItemId(pk), key) for key in changed if key != "constraints"}
            places |= {(*path, ItemId(pk), "constraints", name) for name in rules}
    return places


def _said(found: JsonDiff, merged: set[Steps] | None) -> str:
    said = [
        f"There are {found.more} more differences than these." if found.more else "",
        "" if merged is not None else "Nothing of the answer was merged.",
        _left_out(found),
        "What is shortened here is whole in the two bodies below."
        if any(row.is_long for row in found.rows)
        else "",
    ]
    return " ".join(filter(None, said))


def _cells(row: DiffRow, merged: set[Steps] | None) -> tuple[str, str, str, str]:
    sent, got = (visible(format_value(value)) or "–" for value in (row.sent, row.got))
    return visible(row.path), sent, got, _became(row, merged)


def _became(row: DiffRow, merged: set[Steps] | None) -> str:
    """Return what became of a difference; of several within one value all were taken over."""
    if merged is None:
        return "not merged"
    taken = any(row.steps[:n] in merged for n in range(1, len(row.steps) + 1))
    return "merged" if taken else "ignored"


def _left_out(found: JsonDiff) -> str:
    match found.left_out:
        case 0:
            return ""
        case 1:
            return "The answer leaves out one part of what was sent, which changes nothing."
    return f"The answer leaves out {found.left_out} parts of what was sent, which changes nothing."
