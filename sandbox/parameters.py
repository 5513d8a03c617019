"""Parameters as a terminal shows them: their values, and what a validation made of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Param = Mapping[str, Any]
_LONGEST = 80
_MASK = "********"


def shown(value: Any) -> str:
    """Return a value on one line; what a terminal would obey is escaped."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def value_of(param: Param) -> str:
    """Return a parameter's value as it is shown, a password's masked."""
    value = param.get("value") or param.get("structured_value") or ""
    return _MASK if value and param.get("type") == "password" else shown(value)


def compared(before: Sequence[Param], after: Sequence[Param]) -> list[str]:
    """Return a line for each parameter that has an error or was changed, errors first."""
    known = {param["id"]: param for param in before}
    wrong = [param for param in after if param["value_error"]]
    rest = [param for param in after if not param["value_error"]]
    return [
        f"{param['id']} = {value_of(param)}: {'; '.join(said)}"
        for param in (*wrong, *rest)
        if (said := list(_said(known.get(param["id"], {}), param)))
    ]


def _said(old: Param, new: Param) -> Iterator[str]:
    if new["value_error"]:
        yield shown(new["value_error"])
    elif old.get("value_error"):
        yield f"no longer {shown(old['value_error'])}"
    if any(old.get(key) != new.get(key) for key in ("value", "structured_value")):
        yield f"was {value_of(old)}"
    choices = new.get("value_choices")
    if choices != old.get("value_choices"):
        yield f"choices {', '.join(choice['value'] for choice in choices or ()) or 'none'}"
    rules = old.get("constraints", {})
    for name, value in new["constraints"].items():
        if rules.get(name) != value:
            yield f"{name} {shown(value)}"
