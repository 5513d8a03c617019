"""Check JSON by a JSON Schema, by the keywords that the schemas of traces and reports use.

The documents may come from anywhere, so the check itself never fails.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime
from typing import Any

Json = dict[str, Any]
MAX_DEPTH = 200  # the sandbox stores at most 60 levels of JSON, which are parts of others
_LARGEST = 2**63
_TYPES: Json = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}


def problem(value: Any, schema: Json, definition: str = "", optional: Collection[str] = ()) -> str:
    """Return in which point a value is not as the schema, or a definition in it, says; or "".

    `optional` are properties that may be missing although the schema requires them.
    """
    if _is_deep(value):
        return "a value is nested too deeply"
    root = schema["$defs"][definition] if definition else schema
    found = _Check(schema, optional).problems(value, root, "")
    return next((f"{place or 'it'} {text}" for place, text in found), "")


def _is_deep(value: Any) -> bool:
    """Return whether a value is nested deeper than recursion can follow."""
    # A stack rather than recursion, for that reason.
    todo = [(value, 0)]
    while todo:
        each, depth = todo.pop()
        if depth > MAX_DEPTH:
            return True
        if isinstance(each, dict | list):
            parts = each.values() if isinstance(each, dict) else each
            todo += [(part, depth + 1) for part in parts]
    return False


class _Check:
    """A check of a value by a schema, whose definitions its parts refer to."""

    def __init__(self, schema: Json, optional: Collection[str]) -> None:
        self._definitions, self._optional = schema["$defs"], optional

    def problems(self, value: Any, rule: Json, place: str) -> Iterator[tuple[str, str]]:
        """Yield where a value is not as a rule says."""
        if "$ref" in rule:
            rule = self._definitions[rule["$ref"].rpartition("/")[2]]
        if not _has_type(value, rule.get("type", [])):
            yield place, "has the wrong type"
            return
        if isinstance(value, int | float) and not abs(value) < _LARGEST:
            yield place, "is too large"
        if "const" in rule and value != rule["const"]:
            yield place, "has the wrong value"
        if "enum" in rule and value not in rule["enum"]:
            yield place, "has the wrong value"
        if "minimum" in rule and value < rule["minimum"]:
            yield place, "is too small"
        if isinstance(value, str) and not _has_format(value, rule.get("format", "")):
            yield place, "is no moment"
        if isinstance(value, list):
            for number, each in enumerate(value):
                yield from self.problems(each, rule.get("items", {}), f"{place}[{number}]")
        if isinstance(value, dict):
            for name in rule.get("required", ()):
                if name not in value and name not in self._optional:
                    yield f"{place}.{name}".lstrip("."), "is missing"
            known, other = rule.get("properties", {}), rule.get("additionalProperties", {})
            for name, each in value.items():
                if found := known.get(name, other):
                    yield from self.problems(each, found, f"{place}.{name[:40]}".lstrip("."))


def _has_type(value: Any, kinds: str | list[str]) -> bool:
    names = [kinds] if isinstance(kinds, str) else kinds
    # To Python, true is an integer.
    if isinstance(value, bool) and names:
        return "boolean" in names
    return not names or any(isinstance(value, _TYPES[name]) for name in names)


def _has_format(text: str, name: str) -> bool:
    try:
        if name == "date":
            date.fromisoformat(text)
        if name == "date-time":
            at = datetime.fromisoformat(text)
            return at.tzinfo is not None and at.astimezone(UTC) is not None
    except (ValueError, OverflowError):
        # In UTC, it may be before the year 1.
        return False
    return True
