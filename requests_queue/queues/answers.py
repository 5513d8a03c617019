"""What a validator's answer changes of an object's parameters, and how it is merged.

An answer is the whole object with edits, or as little as `{"params": [{"id", …}]}`. What it
changes is the difference from what was sent, so an echo reverts nothing that somebody else wrote
while the handler was thinking. `POST /requests/{id}/validate` of Connect's OpenAPI document has
the fields; how strictly they are read is ours (docs/fidelity.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from requests_queue.catalog import parameter_values as parameters

Params = parameters.Params
# Parameter id -> key -> new value; `constraints` are the ones that change.
Changes = dict[str, dict[str, Any]]

_SWITCHES = ("hidden", "required", "readonly", "unique", "reconciliation")
_SHARED = ("none", "view", "edit")
_SET = (*_SWITCHES, "shared")
_KEYS = ("value", "structured_value", "value_error", "structured_error", "value_choices")


class WrongAnswer(ValueError):
    """An answer that can't be merged; the text continues "Handler returned HTTP 200, but"."""


@dataclass(slots=True)
class Reading:
    """What an answer changes, and what else it says that a validation never changes."""

    changes: Changes = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)
    # Told, and why, where nothing of it is written after all.
    drop: Callable[[str], None] = lambda why: None

    @property
    def said(self) -> str:
        """Return in words what was merged and what was not."""
        merged = ", ".join(f"{pk} ({', '.join(keys)})" for pk, keys in self.changes.items())
        said = f"Merged: {merged}." if merged else "The answer changes no parameter."
        if self.ignored:
            said += f" Ignored: {', '.join(self.ignored)}."
        return said


def read(sent: Params, given: Any) -> Reading:
    """Return what a list of parameters in an answer changes of those that were sent.

    Unknown ids are ignored. Raises WrongAnswer with all that is wrong at once.
    """
    reading, errors = Reading(), []
    if given is None:
        return reading
    if not isinstance(given, list):
        raise WrongAnswer(f"its params are {_name(given)} instead of a list.")
    by_id = {param["id"]: param for param in sent}
    seen: set[str] = set()
    for entry in given:
        pk = entry.get("id") if isinstance(entry, Mapping) else None
        if not isinstance(entry, Mapping):
            errors.append(f"There is {_name(entry)} instead of an object.")
        elif not isinstance(pk, str):
            reading.ignored.append("a parameter without an id")
        elif pk not in by_id:
            reading.ignored.append(f"parameter {pk}, which the request hasn't")
        elif pk in seen:
            errors.append(f"Parameter {pk} is there twice.")
        else:
            seen.add(pk)
            _compare(by_id[pk], entry, reading, errors)
    if errors:
        raise WrongAnswer(f"its params are wrong. {' '.join(errors)}")
    return reading


def _compare(
    sent: dict[str, Any], entry: Mapping[str, Any], reading: Reading, errors: list[str]
) -> None:
    """Add what an entry changes of its parameter, or what is wrong with it."""
    edited = {**sent, "constraints": dict(sent["constraints"])}
    message = (
        _set_choices(edited, entry, reading)
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
        reading.changes[sent["id"]] = changed
    reading.ignored += _unchangeable(sent, entry)


def _unchangeable(sent: Mapping[str, Any], entry: Mapping[str, Any]) -> list[str]:
    """Return the names of what an entry has otherwise, though a validation never changes it."""
    own = [key for key in entry if key not in (*_KEYS, "id", "constraints")]
    found = [f"{key} of {sent['id']}" for key in own if entry[key] != sent.get(key)]
    rules, before = entry.get("constraints") or {}, sent["constraints"]
    return found + [
        f"constraints.{name} of {sent['id']}" for name, value in rules.items()
        if name not in _SET and value != before.get(name)
    ]  # fmt: skip


def _set_choices(param: dict[str, Any], entry: Mapping[str, Any], reading: Reading) -> str:
    given = entry.get("value_choices")
    if given is None or given == param.get("value_choices"):
        return ""
    if "value_choices" not in param and param["type"] not in parameters.CHOOSING:
        reading.ignored.append(f"value_choices of {param['id']}, which is a {param['type']}")
        return ""
    if not isinstance(given, list):
        return f"value_choices is {_name(given)} instead of a list."
    found: list[dict[str, str]] = []
    for choice in given:
        if not isinstance(choice, Mapping) or not isinstance(choice.get("value"), str):
            return "each of value_choices is an object with a value and a label, both strings."
        label = choice.get("label")
        if label is not None and not isinstance(label, str):
            return "the label of a choice is a string."
        found.append({"value": choice["value"], "label": label or choice["value"]})
    param["value_choices"] = found
    return ""


def _set_constraints(param: dict[str, Any], given: Any) -> str:
    """Take over the constraints that a validator may set; others keep their values."""
    if given is None:
        return ""
    if not isinstance(given, Mapping):
        return f"constraints is {_name(given)} instead of an object."
    for name in _SWITCHES:
        value = given.get(name)
        if value is not None and not isinstance(value, bool):
            return f"the constraint {name} is true or false, not {_name(value)}."
        if value is not None:
            param["constraints"][name] = value
    shared = given.get("shared")
    if shared is not None and shared != param["constraints"].get("shared"):
        if shared not in _SHARED:
            return f"the constraint shared is one of {', '.join(_SHARED)}."
        param["constraints"]["shared"] = shared
    return ""


def _set_errors(param: dict[str, Any], entry: Mapping[str, Any]) -> str:
    if "value_error" in entry:
        said = entry["value_error"]
        if said is not None and not isinstance(said, str):
            return f"value_error is {_name(said)} instead of a string."
        if (said or "") != param["value_error"]:
            # Its details were of another error.
            known = param.pop("structured_error", None)
            if entry.get("structured_error") == known:
                entry = {**entry, "structured_error": None}
        param["value_error"] = said or ""
    structured = entry.get("structured_error")
    if structured in (None, "", {}):
        return ""
    if not _is_structured_error(structured):
        return "structured_error is an object with a message (an object, too) and a context."
    if param["value_error"] or "value_error" not in entry:
        param["structured_error"] = structured
        said = structured.get("message", {}).get("value")
        param["value_error"] = param["value_error"] or said or "This value is not accepted."
    return ""


def _is_structured_error(given: Any) -> bool:
    """Whether it is `{"message": {"id", "external_id", "value"}, "context": {}}`, or a part."""
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
    # A value that is complained of may be any: it is what the customer wants to have.
    offered = {} if param["value_error"] else {"value_choices": param.get("value_choices", [])}
    trial = {**param, "value_choices": [], **offered}
    message = parameters.set_value(trial, changed)
    for key in keys:
        if key in trial:
            param[key] = trial[key]
    return message


def merge(params: Params, readings: Sequence[Reading]) -> Params:
    """Return the parameters with what the answers change, the later one last."""
    return [_merged(param, readings) for param in params]


def _merged(param: dict[str, Any], readings: Sequence[Reading]) -> dict[str, Any]:
    for reading in readings:
        changed = dict(reading.changes.get(param["id"], {}))
        if not changed:
            continue
        rules = {**param["constraints"], **changed.pop("constraints", {})}
        param = {**param, **changed, "constraints": rules}
        if param.get("structured_error") is None:
            param.pop("structured_error", None)
    return param


def _name(value: Any) -> str:
    """Return what kind of JSON a value is, in JSON's words."""
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
