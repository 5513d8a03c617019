"""Values of parameters: as a form shows them, as typed, and as entries of the API's `params`.

A value is a text, a list of selected boxes, or a dict of parts, depending on the type.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.http import QueryDict

from requests_queue.catalog.parameter_values import is_empty

Param = Mapping[str, Any]
Value = str | list[str] | dict[str, str]
Choices = list[tuple[str, str]]

PARTS: dict[str, dict[str, str]] = {
    "address": {
        "address_line1": "Address",
        "address_line2": "Address, second line",
        "postal_code": "Postal code",
        "city": "City",
        "state": "State or province",
        "country": "Country",
    },
    "phone": {
        "country_code": "Country code",
        "area_code": "Area code",
        "phone_number": "Number",
        "extension": "Extension",
    },
}
# The part that shows a value stored without parts.
_FLAT_AS = {"address": "address_line1", "phone": "phone_number"}
CHOOSING = ("dropdown", "choice")


def is_on(param: Param, name: str) -> bool:
    """Whether a constraint is set."""
    return bool(_constraints(param).get(name))


def limit(param: Param, name: str) -> int | None:
    """Return `min_length` or `max_length`, or None."""
    value = _constraints(param).get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _constraints(param: Param) -> Mapping[str, Any]:
    found = param.get("constraints")
    return found if isinstance(found, Mapping) else {}


def is_open(param: Param) -> bool:
    """Whether the customer may see the parameter."""
    return param["phase"] == "ordering" and not is_on(param, "hidden")


def is_unanswered(param: Param) -> bool:
    """Whether a required value is missing."""
    if not is_on(param, "required"):
        return False
    return is_empty(param) or (param["type"] == "checkbox" and not current(param))


def error(param: Param) -> str:
    """Return the error that the vendor has set."""
    return str(param.get("value_error") or "")


def choices(param: Param) -> Choices:
    """Return the choices as (value, label)."""
    rows = param.get("value_choices") or []
    found = [
        (str(row["value"]), str(row.get("label") or row["value"]))
        for row in rows
        if isinstance(row, Mapping) and "value" in row
    ]
    if param["type"] == "checkbox" and not found:
        names = list(_structured(param)) or ["accepted"]
        return [(name, str(param["title"])) if len(names) == 1 else (name, name) for name in names]
    return found


def current(param: Param) -> Value:
    """Return the stored value as the form shows it; empty for a password."""
    kind, value, structured = param["type"], str(param.get("value") or ""), _structured(param)
    if kind == "password":
        return ""
    if kind == "checkbox":
        return [name for name, _ in choices(param) if structured.get(name) in (True, "true")]
    if kind in PARTS:
        parts = {name: str(structured.get(name) or "") for name in PARTS[kind]}
        return parts if any(parts.values()) else {**parts, _FLAT_AS[kind]: value}
    if kind == "object":
        if not value and not structured:
            return ""
        try:
            return json.dumps(
                json.loads(value) if value else structured, indent=2, ensure_ascii=False
            )
        except (ValueError, RecursionError):
            return lines(value)
    if kind in CHOOSING and value not in dict(choices(param)):
        return ""
    return lines(value)


def _structured(param: Param) -> Mapping[str, Any]:
    found = param.get("structured_value")
    return found if isinstance(found, Mapping) else {}


def lines(text: str) -> str:
    """Return a text without the line ends of browsers."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def name(param: Param, part: str = "value") -> str:
    """Return the name of an input; parts have no colon, so the id follows one."""
    return f"{part}:{param['id']}"


def typed(param: Param, post: QueryDict) -> Value | None:
    """Return the typed value; None if the form had no such field."""
    kind = param["type"]
    if kind == "checkbox":
        ticked = post.getlist(name(param))
        return [value for value, _ in choices(param) if value in ticked]
    if kind in PARTS:
        parts = {part: post.get(name(param, part)) for part in PARTS[kind]}
        if all(value is None for value in parts.values()):
            return None
        was = current(param)
        assert isinstance(was, dict)
        return {k: was[k] if v is None else _trimmed(v, was[k]) for k, v in parts.items()}
    value = post.get(name(param))
    if value is None or kind in ("password", "object"):
        return None if value is None else lines(value)
    return _trimmed(value, current(param))


def _trimmed(text: str, was: Value) -> str:
    text = lines(text)
    # An unchanged value keeps its spaces.
    return text if text == was else text.strip()


def is_changed(param: Param, value: Value) -> bool:
    """Whether a typed value differs from the stored one."""
    return value != current(param)


def entry(param: Param, value: Value) -> dict[str, Any]:
    """Return a typed value for the API."""
    entry: dict[str, Any] = {"id": param["id"]}
    if isinstance(value, list):
        boxes = {name: name in value for name, _ in choices(param)}
        return {**entry, "structured_value": boxes}
    if isinstance(value, dict) and any(value.values()):
        return {**entry, "structured_value": {**_structured(param), **value}}
    if isinstance(value, dict) or (param["type"] == "object" and not value):
        return {**entry, "structured_value": {}, "value": ""}
    return {**entry, "value": value}


def current_entry(param: Param) -> dict[str, Any]:
    """Return the stored value for the API."""
    names = ("id", "structured_value") if _structured(param) else ("id", "value")
    return {key: param[key] for key in names}
