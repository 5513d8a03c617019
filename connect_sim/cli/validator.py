"""Validation in a terminal: a validator by rules, and the parameters of an object as text.

The rules are those of `connect-sim listen --validate "region=Not offered"`.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
Param = Mapping[str, Any]
_LONGEST = 80
_MASK = "********"


class BadRule(ValueError):
    """A malformed rule; the text is a sentence."""


@dataclass(frozen=True, slots=True)
class Rule:
    """The error of a parameter: for any value, or for one value only."""

    param: str
    error: str
    value: str | None = None

    def applies(self, param: Mapping[str, Any]) -> bool:
        """Return whether the parameter has the rule's value."""
        return self.value is None or self.value == (param.get("value") or "")


@dataclass(slots=True)
class Validation:
    """The validated object, log lines about the request, and a summary of the result."""

    response: Json
    lines: list[str] = field(default_factory=list)
    summary: str = ""


def parse(text: str) -> Rule:
    """Return the rule of `PARAM=ERROR` or `PARAM:VALUE=ERROR`; raises BadRule."""
    target, equals, error = text.partition("=")
    name, colon, value = target.partition(":")
    if not equals or not name.strip():
        raise BadRule(f"--validate must be PARAM=ERROR or PARAM:VALUE=ERROR, not {text!r}.")
    return Rule(name.strip(), error.strip(), value if colon else None)


def parse_object(body: bytes) -> Json | None:
    """Return the object of a validation request; None for other requests: no parameters."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and _params(value) is not None else None


def _params(obj: Mapping[str, Any]) -> list[Json] | None:
    """Return the parameters of a fulfillment request, or else of a tier configuration request."""
    asset = obj.get("asset")
    for parent in (asset, obj):
        params = parent.get("params") if isinstance(parent, Mapping) else None
        if isinstance(params, list) and all(isinstance(p, dict) for p in params):
            return params
    return None


def validate(obj: Json, rules: Sequence[Rule]) -> Validation:
    """Return the object with the errors of its parameters set or cleared by the rules.

    The first rule that applies to a parameter wins; if none applies, the error is cleared.
    """
    result = Validation(copy.deepcopy(obj))
    params = {str(param.get("id")): param for param in _params(result.response) or ()}
    named = list(dict.fromkeys(rule.param for rule in rules))
    head = (str(obj.get(key)) for key in ("id", "type", "status"))
    result.lines.append(f"validate {' '.join(head)}")
    result.lines += [f"  {name} = {format_value(param)}" for name, param in params.items()]
    for name in named:
        if name not in params:
            available = ", ".join(params) or "none"
            result.lines.append(f"warning: unknown parameter {name}; available: {available}")
    changes = [_apply(name, params[name], rules) for name in named if name in params]
    result.summary = "; ".join(changes) or "nothing changed"
    return result


def _apply(name: str, param: Json, rules: Sequence[Rule]) -> str:
    """Set the parameter's error; return a description of the change."""
    errors = (rule.error for rule in rules if rule.param == name and rule.applies(param))
    error, before = next(errors, ""), param.get("value_error")
    param["value_error"] = error
    if error:
        return f"{name}: {quote(error)}"
    return f"{name}: {'error cleared' if before else 'valid'}"


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
