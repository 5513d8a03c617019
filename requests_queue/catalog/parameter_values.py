"""Parameters of requests: created from the product's, filled in by callers, and checked."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from requests_queue.api import json_validation
from requests_queue.errors import FieldError, Invalid

if TYPE_CHECKING:
    from requests_queue.catalog.models import Parameter, Product

Params = list[dict[str, Any]]

STRUCTURED = ("address", "phone", "checkbox", "object")
CHOOSING = ("dropdown", "choice")
# The keys of a parameter that a caller may set.
SETTABLE = ("value", "structured_value", "value_error")


def blank(product: Product, scope: str = "asset") -> Params:
    """Return the ordering and fulfillment parameters of a scope of a product, without values."""
    rows = product.parameters.filter(scope=scope, phase__in=("ordering", "fulfillment"))
    return [_blank(row) for row in rows if row.type not in ("heading", "content")]


def with_added(params: Params, given: Any, product: Product, scope: str) -> Params:
    """Return the parameters, and without values those that only `given` names.

    These were added to the product after the order.
    """
    if not isinstance(given, list):
        return params
    held = {param["id"] for param in params}
    ids = [entry.get("id") for entry in given if isinstance(entry, Mapping)]
    added = {pk for pk in ids if isinstance(pk, str)} - held
    if not added:
        return params
    return [*params, *(param for param in blank(product, scope) if param["id"] in added)]


def _blank(row: Parameter) -> dict[str, Any]:
    constraints = dict(row.constraints)
    choices = constraints.pop("choices", None)
    param: dict[str, Any] = {
        "id": row.name,
        "name": row.name,
        "type": row.type,
        "phase": row.phase,
        "scope": row.scope,
        "title": row.title,
        "description": row.description,
        "value": "",
        "value_error": "",
        "constraints": {
            "hidden": False,
            "readonly": False,
            "required": False,
            "unique": False,
            "reconciliation": False,
            **constraints,
        },
    }
    if row.type in CHOOSING or choices:
        param["value_choices"] = choices or []
    if row.type in STRUCTURED:
        param["structured_value"] = {}
    if isinstance(row.default, str):
        param["value"] = row.default
    elif isinstance(row.default, dict) and row.type in STRUCTURED:
        param["structured_value"] = row.default
    return param


def fill(
    params: Params,
    given: Any,
    phases: Iterable[str],
    path: str = "asset.params",
    *,
    anew: bool = False,
) -> Params:
    """Return a copy of `params` with the `value`, `structured_value` and `value_error` given.

    Other keys of a given parameter are ignored. With `anew`, the values come from the customer:
    a new value clears the error of the old one, even where the body repeats that error.
    Raises Invalid for an unknown parameter, a phase that the caller may not set, or a value of
    the wrong type or outside the choices.
    """
    if given in (None, ""):
        return params
    if not isinstance(given, list):
        raise Invalid(path, f'Expected a list of items but got type "{type(given).__name__}".')
    by_id = {p["id"]: dict(p) for p in params}
    errors = [_fill_one(by_id, entry, tuple(phases), anew, path) for entry in given]
    if any(errors):
        raise Invalid.of(error for error in errors if error is not None)
    return list(by_id.values())


def about(pk: str, path: str, message: str, code: str = "invalid") -> FieldError:
    """Return an error of a parameter."""
    return FieldError(path, message, code, pk, f"Parameter {pk}: {message}")


def required(pk: str, path: str) -> FieldError:
    """Return the error of a required parameter without a value."""
    sentence = f"Parameter {pk} is required."
    return FieldError(path, "This field is required.", "required", pk, sentence)


def _fill_one(
    by_id: dict[str, dict[str, Any]], entry: Any, phases: tuple[str, ...], anew: bool, path: str
) -> FieldError | None:
    """Fill in one parameter; return the error, if any."""
    if not isinstance(entry, Mapping) or not isinstance(entry.get("id"), str):
        return FieldError(path, "Each parameter must be an object with an id.")
    pk = entry["id"]
    param = by_id.get(pk)
    if param is None:
        return FieldError(path, f"Parameter {pk} does not exist.", "does_not_exist", pk)
    changed = changes(param, entry)
    if not changed:
        return None
    if param["phase"] not in phases:
        message = f"Parameter {pk} of the {param['phase']} phase cannot be set here."
        return FieldError(path, message, "read_only", pk)
    before, has_new_error = dict(param), "value_error" in changed
    value_error = changed.pop("value_error", param["value_error"])
    if value_error is not None and not isinstance(value_error, str):
        return about(pk, path, "value_error must be a string.")
    message = set_value(param, changed) if changed else ""
    if (
        anew
        and not has_new_error
        and any(param.get(k) != before.get(k) for k in ("value", "structured_value"))
    ):
        value_error = ""
    param["value_error"] = value_error or ""
    if not value_error:
        param.pop("structured_error", None)
    return about(pk, path, message) if message else None


def changes(
    param: Mapping[str, Any], entry: Mapping[str, Any], keys: Iterable[str] = SETTABLE
) -> dict[str, Any]:
    """Return the keys of a parameter that an entry changes, with their new values.

    A structured value of `{}`, "" or null means none, whatever the type: CloudBlue's processor
    template and connect-processors-toolkit send it with every parameter. Without a `value`, ""
    and null change nothing.
    """
    values = {key: entry[key] for key in keys if key in entry}
    if "structured_value" in values and values["structured_value"] in (None, "", {}):
        empty = values.pop("structured_value")
        if "value" in values:
            clears = not values["value"] or values["value"] != param["value"]
        else:
            clears = empty == {}
        if clears and param["type"] in STRUCTURED and param.get("structured_value"):
            values["structured_value"] = {}
    return {key: value for key, value in values.items() if value != param.get(key, "")}


def set_value(param: dict[str, Any], changed: Mapping[str, Any]) -> str:
    """Set `value` and `structured_value`; return the message of the error, or an empty string."""
    structured = changed.get("structured_value")
    if structured is not None:
        if param["type"] not in STRUCTURED or not isinstance(structured, dict):
            return f"a {param['type']} has no such structured_value."
        param["structured_value"] = structured
        param["value"] = _flat(param["type"], structured) if structured else ""
    return _set_plain(param, changed["value"]) if "value" in changed else ""


def _set_plain(param: dict[str, Any], value: Any) -> str:
    if value is None:
        value = ""
    if isinstance(value, dict) and param["type"] in STRUCTURED:
        param["structured_value"], param["value"] = value, _flat(param["type"], value)
        return ""
    if isinstance(value, bool):
        value = "true" if value else "false"
    if isinstance(value, (int, float)):
        value = str(value)
    if not isinstance(value, str):
        return "value must be a string."
    choices = [c["value"] for c in param.get("value_choices", [])]
    if param["type"] in CHOOSING and value and choices and value not in choices:
        return f"{value!r} is not one of {', '.join(choices)}."
    if value or not param.get("structured_value"):
        param["value"] = value
    if param["type"] == "object" and value:
        try:
            # JSON inside a string: the body's own check has not seen it.
            structured = json_validation.validate_json(json_validation.parse_json(value))
        except (ValueError, RecursionError):
            return "value is not JSON that can be stored."
        param["structured_value"] = structured
    return ""


def _flat(kind: str, structured: Mapping[str, Any]) -> str:
    if kind == "phone":
        parts = (str(structured.get(k, "")) for k in ("country_code", "area_code", "phone_number"))
        return re.sub(r"[^+0-9]", "", "".join(parts))
    if kind == "address":
        keys = ("address_line1", "address_line2", "city", "state", "postal_code", "country")
        return ", ".join(str(structured[k]) for k in keys if structured.get(k))
    return json.dumps(structured, sort_keys=True)


def without_errors(params: Params, ids: Collection[str] | None = None) -> Params:
    """Return the parameters, those of `ids` (None: all) without their errors."""
    return [
        {**{k: v for k, v in p.items() if k != "structured_error"}, "value_error": ""}
        if ids is None or p["id"] in ids
        else p
        for p in params
    ]


def is_empty(param: Mapping[str, Any]) -> bool:
    """Return whether the parameter has neither a value nor a structured one."""
    return not param["value"] and not param.get("structured_value")


def missing(params: Params, phase: str) -> list[str]:
    """Return the ids of the required, visible parameters of a phase that are still empty."""
    return [
        p["id"]
        for p in params
        if p["phase"] == phase
        and p["constraints"].get("required")
        and not p["constraints"].get("hidden")
        and is_empty(p)
    ]
