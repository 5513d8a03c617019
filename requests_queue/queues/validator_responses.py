"""Parsing of validators' responses, and merging of their changes into parameters.

A response is the whole object with edits, or as little as `{"params": [{"id", …}]}`. Its changes
are the differences from the request, so that unchanged values do not revert concurrent writes.
`POST /requests/{id}/validate` of Connect's OpenAPI document has the fields; how strictly they are
checked is ours (docs/fidelity.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from requests_queue.catalog import parameter_values as parameters

Params = parameters.Params
# Parameter id -> key -> new value; `constraints` has the changed ones only.
Changes = dict[str, dict[str, Any]]

_SWITCHES = ("hidden", "required", "readonly", "unique", "reconciliation")
_SHARED = ("none", "view", "edit")
_SET = (*_SWITCHES, "shared")
_KEYS = ("value", "structured_value", "value_error", "structured_error", "value_choices")


class InvalidResponse(ValueError):
    """A response that cannot be merged; the text continues "Handler returned HTTP 200, but"."""


@dataclass(slots=True)
class ParsedResponse:
    """The changes of a response, and its differences that a validation ignores."""

    changes: Changes = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)
    # Called with the reason if the changes are not written after all.
    drop: Callable[[str], None] = lambda why: None

    @property
    def message(self) -> str:
        """What was merged and what was ignored."""
        merged = ", ".join(f"{pk} ({', '.join(keys)})" for pk, keys in self.changes.items())
        message = f"Merged: {merged}." if merged else "No parameter was changed."
        if self.ignored:
            message += f" Ignored: {', '.join(self.ignored)}."
        return message


def read(sent: Params, given: Any) -> ParsedResponse:
    """Return the changes of a response's parameters relative to those in the request.

    Unknown ids are ignored. Raises InvalidResponse with all errors.
    """
    parsed, errors = ParsedResponse(), []
    if given is None:
        return parsed
    if not isinstance(given, list):
        raise InvalidResponse(f"its params are {_name(given)}, not a list.")
    by_id = {param["id"]: param for param in sent}
    seen: set[str] = set()
    for entry in given:
        pk = entry.get("id") if isinstance(entry, Mapping) else None
        if not isinstance(entry, Mapping):
            errors.append(f"Expected an object, got {_name(entry)}.")
        elif not isinstance(pk, str):
            parsed.ignored.append("a parameter without an id")
        elif pk not in by_id:
            parsed.ignored.append(f"unknown parameter {pk}")
        elif pk in seen:
            errors.append(f"Parameter {pk} occurs twice.")
        else:
            seen.add(pk)
            _compare(by_id[pk], entry, parsed, errors)
    if errors:
        raise InvalidResponse(f"its params are invalid. {' '.join(errors)}")
    return parsed


def _compare(
    sent: dict[str, Any], entry: Mapping[str, Any], parsed: ParsedResponse, errors: list[str]
) -> None:
    """Add the changes of an entry to `parsed`, or its error to `errors`."""
    edited = {**sent, "constraints": dict(sent["constraints"])}
    message = (
        _set_choices(edited, entry, parsed)
        or _set_constraints(edited, entry.get("constraints"))
        or _set_errors(edited, entry)
        or _set_value(edited, entry)
    )
    if message:
        errors.append(f"Parameter {sent['id']}: {message}")
        return
    changed = {key: edited.get(key) for key in _KEYS if edited.get(key) != sent.get(key)}
    before = sent["constraints"]
    rules = {k: v for k, v in edited["constraints"].items() if k not in before or before[k] != v}
    if rules:
        changed["constraints"] = rules
    if changed:
        parsed.changes[sent["id"]] = changed
    parsed.ignored += _unchangeable(sent, entry)


def _unchangeable(sent: Mapping[str, Any], entry: Mapping[str, Any]) -> list[str]:
    """Return the names of an entry's differences that a validation ignores."""
    own = [key for key in entry if key not in (*_KEYS, "id", "constraints")]
    found = [f"{key} of {sent['id']}" for key in own if entry[key] != sent.get(key)]
    rules, before = entry.get("constraints") or {}, sent["constraints"]
    return found + [
        f"constraints.{name} of {sent['id']}"
        for name, value in rules.items()
        if name not in _SET and value != before.get(name)
    ]


def _set_choices(param: dict[str, Any], entry: Mapping[str, Any], parsed: ParsedResponse) -> str:
    given = entry.get("value_choices")
    if given is None or given == param.get("value_choices"):
        return ""
    if "value_choices" not in param and param["type"] not in parameters.CHOOSING:
        parsed.ignored.append(f"value_choices of {param['id']}, which is a {param['type']}")
        return ""
    if not isinstance(given, list):
        return f"value_choices is {_name(given)}, not a list."
    found: list[dict[str, str]] = []
    for choice in given:
        if not isinstance(choice, Mapping) or not isinstance(choice.get("value"), str):
            return "each of value_choices must be an object with a value and a label, both strings."
        label = choice.get("label")
        if label is not None and not isinstance(label, str):
            return "the label of a choice must be a string."
        found.append({"value": choice["value"], "label": label or choice["value"]})
    param["value_choices"] = found
    return ""


def _set_constraints(param: dict[str, Any], given: Any) -> str:
    """Apply the constraints that a validator may set; return an error or an empty text."""
    if given is None:
        return ""
    if not isinstance(given, Mapping):
        return f"constraints is {_name(given)}, not an object."
    for name in _SWITCHES:
        value = given.get(name)
        if value is not None and not isinstance(value, bool):
            return f"the constraint {name} must be true or false, not {_name(value)}."
        if value is not None:
            param["constraints"][name] = value
    shared = given.get("shared")
    if shared is not None and shared != param["constraints"].get("shared"):
        if shared not in _SHARED:
            return f"the constraint shared must be one of {', '.join(_SHARED)}."
        param["constraints"]["shared"] = shared
    return ""


def _set_errors(param: dict[str, Any], entry: Mapping[str, Any]) -> str:
    if "value_error" in entry:
        said = entry["value_error"]
        if said is not None and not isinstance(said, str):
            return f"value_error is {_name(said)}, not a string."
        if (said or "") != param["value_error"]:
            # The stored details belong to another error.
            known = param.pop("structured_error", None)
            if entry.get("structured_error") == known:
                entry = {**entry, "structured_error": None}
        param["value_error"] = said or ""
    structured = entry.get("structured_error")
    if structured in (None, "", {}):
        return ""
    if not _is_structured_error(structured):
        return "structured_error must be an object with the objects message and context."
    if param["value_error"] or "value_error" not in entry:
        param["structured_error"] = structured
        said = structured.get("message", {}).get("value")
        param["value_error"] = param["value_error"] or said or "This value is not accepted."
    return ""


def _is_structured_error(given: Any) -> bool:
    """Whether it has the form `{"message": {"id", "external_id", "value"}, "context": {}}`."""
    if not isinstance(given, Mapping):
        return False
    message, context = given.get("message", {}), given.get("context", {})
    return (
        isinstance(message, Mapping)
        and all(isinstance(value, str) for value in message.values() if value is not None)
        and isinstance(context, Mapping)
    )


def _set_value(param: dict[str, Any], entry: Mapping[str, Any]) -> str:
    keys = ("value", "structured_value")
    changed = parameters.changes(param, entry, keys)
    if not changed:
        return ""
    # A value with an error may be invalid: it is the customer's input.
    offered = {} if param["value_error"] else {"value_choices": param.get("value_choices", [])}
    trial = {**param, "value_choices": [], **offered}
    message = parameters.set_value(trial, changed)
    for key in keys:
        if key in trial:
            param[key] = trial[key]
    return message


def merge(params: Params, responses: Sequence[ParsedResponse]) -> Params:
    """Return the parameters with the changes of responses; later ones override earlier ones."""
    return [_merged(param, responses) for param in params]


def _merged(param: dict[str, Any], responses: Sequence[ParsedResponse]) -> dict[str, Any]:
    for parsed in responses:
        changed = dict(parsed.changes.get(param["id"], {}))
        if not changed:
            continue
        rules = {**param["constraints"], **changed.pop("constraints", {})}
        param = {**param, **changed, "constraints": rules}
        if param.get("structured_error") is None:
            param.pop("structured_error", None)
    return param


def _name(value: Any) -> str:
    """Return the JSON type of a value, with its article."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return "a string"
        case int() | float():
            return "a number"
        case list():
            return "a list"
    return "an object"
