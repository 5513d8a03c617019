"""How a validator's response differs from the object sent, and which differences were merged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from requests_queue.api.json_diff import DiffRow, ItemId, JsonDiff, Steps, compare, format_value
from requests_queue.api.json_paths import value_at
from requests_queue.queues import validation
from requests_queue.queues.validator_responses import InvalidResponse
from requests_queue.safe_text import visible

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ResponseDiff:
    """The differences as path, sent, received and result, with a note for the user."""

    rows: list[tuple[str, str, str, str]]
    note: str


def build_diff(object_class: str, sent: Json, received: Any, *, may_merge: bool) -> ResponseDiff:
    """Return the differences; without `may_merge` nothing of the response was merged."""
    validated = validation.find(object_class)
    diff = compare(_as_read(validated, sent, received), received)
    if not diff.rows:
        return ResponseDiff([], f"No differences. {_left_out(diff)}".strip())
    merged = _merged(validated, sent, received) if may_merge else None
    rows = []
    for each in diff.rows:
        left, right = (visible(format_value(v)) or "–" for v in (each.sent, each.received))
        rows.append((visible(each.path), left, right, _result(each, merged)))
    return ResponseDiff(rows, _note(diff, merged))


def _as_read(validated: validation.Validated | None, sent: Json, received: Any) -> Json:
    """Return what was sent, with its parameters at the path where the response has them.

    The response for a tier configuration request may have them below `configuration`.
    """
    if validated is None or not isinstance(received, dict):
        return sent
    for path in validated.paths:
        if value_at(received, path) is not None:
            return _with_value(sent, path, validated.params_of(sent))
    return sent


def _with_value(node: Json, path: tuple[str, ...], value: Any) -> Json:
    key, *rest = path
    inner = node.get(key)
    below = (
        _with_value(inner if isinstance(inner, dict) else {}, tuple(rest), value) if rest else value
    )
    return {**node, key: below}


def _merged(validated: validation.Validated | None, sent: Json, received: Any) -> set[Steps]:
    """Return the steps to all values that were merged."""
    if validated is None:
        return set()
    try:
        changes = validation.read(validated, sent, received).changes
    except (InvalidResponse, LookupError, TypeError):
        # The rules have changed since.
        return set()
    places: set[Steps] = set()
    for path in validated.paths:
        for pk, changed in changes.items():
            rules = changed.get("constraints", {})
            places |= {(*path, ItemId(pk), key) for key in changed if key != "constraints"}
            places |= {(*path, ItemId(pk), "constraints", name) for name in rules}
    return places


def _note(diff: JsonDiff, merged: set[Steps] | None) -> str:
    sentences = [
        f"{diff.more} more differences are not shown." if diff.more else "",
        "" if merged is not None else "Nothing of the response was merged.",
        _left_out(diff),
        "Long values are shortened: see the bodies below."
        if any(row.is_long for row in diff.rows)
        else "",
    ]
    return " ".join(filter(None, sentences))


def _result(row: DiffRow, merged: set[Steps] | None) -> str:
    """Return the result of a difference; differences within a merged value were merged too."""
    if merged is None:
        return "not merged"
    is_merged = any(row.steps[:n] in merged for n in range(1, len(row.steps) + 1))
    return "merged" if is_merged else "ignored"


def _left_out(diff: JsonDiff) -> str:
    if not diff.left_out:
        return ""
    parts = "1 part" if diff.left_out == 1 else f"{diff.left_out} parts"
    return f"The response leaves out {parts} of the object, which changes nothing."
