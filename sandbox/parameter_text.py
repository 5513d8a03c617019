"""Parameters as text for a terminal: their values, and their changes by a validation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Param = Mapping[str, Any]
_LONGEST = 80
_MASK = "********"


def quote(value: Any) -> str:
    """Return a value as JSON on one line, which escapes control characters."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def format_value(param: Param) -> str:
    """Return a parameter's value; passwords are masked."""
    value = param.get("value") or param.get("structured_value") or ""
    return _MASK if value and param.get("type") == "password" else quote(value)


def describe_changes(before: Sequence[Param], after: Sequence[Param]) -> list[str]:
    """Return a line for each parameter that has an error or was changed, errors first."""
    old = {param["id"]: param for param in before}
    wrong = [param for param in after if param["value_error"]]
    rest = [param for param in after if not param["value_error"]]
    return [
        f"{param['id']} = {format_value(param)}: {'; '.join(changes)}"
        for param in (*wrong, *rest)
        if (changes := list(_changes(old.get(param["id"], {}), param)))
    ]


def _changes(old: Param, new: Param) -> Iterator[str]:
    if new["value_error"]:
        yield quote(new["value_error"])
    elif old.get("value_error"):
        yield f"cleared {quote(old['value_error'])}"
    if any(old.get(key) != new.get(key) for key in ("value", "structured_value")):
        yield f"was {format_value(old)}"
    choices = new.get("value_choices")
    if choices != old.get("value_choices"):
        yield f"choices {', '.join(choice['value'] for choice in choices or ()) or 'none'}"
    rules = old.get("constraints", {})
    for name, value in new["constraints"].items():
        if rules.get(name) != value:
            yield f"{name} {quote(value)}"
