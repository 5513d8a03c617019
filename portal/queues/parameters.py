"""Parameters of an object: as rows of a table, and as fields of a form."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict

from portal.inquiry import fields, values
from portal.inquiry.checks import WHOLE, FieldErrors
from portal.inquiry.fields import Field
from portal.inquiry.values import Param, Value
from requests_queue.catalog.parameter_values import is_empty
from requests_queue.errors import FieldError
from requests_queue.queues import validation
from requests_queue.queues.base import Queue

MASK = "••••••••"


def of(queue: Queue, shown: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the parameters of an object from its JSON."""
    about = validation.find(queue.object_class)
    if about is not None:
        params = about.params_of(shown)
    else:
        asset = shown.get("asset")
        inner = asset.get("params") if isinstance(asset, Mapping) else None
        params = shown.get("params") or inner
    return [row for row in params or [] if isinstance(row, dict) and "id" in row]


def table(params: Iterable[Param]) -> list[dict[str, Any]]:
    """Return the rows of the table; passwords are masked."""
    rows = []
    for param in params:
        rules = param.get("constraints") or {}
        value, is_code = _text(param)
        rows.append(
            {
                "id": param["id"],
                "title": param.get("title") or param.get("name") or param["id"],
                "type": param.get("type") or "",
                "phase": param.get("phase") or "",
                "value": value,
                "is_code": is_code,
                "error": param.get("value_error") or "",
                "flags": [n for n in ("required", "hidden", "readonly", "unique") if rules.get(n)],
            }
        )
    return rows


def _text(param: Param) -> tuple[str, bool]:
    """Return the value as text, and whether it is code."""
    value, structured = param.get("value"), param.get("structured_value")
    if param.get("type") == "password":
        return (MASK if value else ""), False
    if param.get("type") == "checkbox" and isinstance(structured, Mapping):
        labels = dict(values.choices({**param, "title": param.get("title") or param["id"]}))
        ticked = [str(labels.get(k, k)) for k, on in structured.items() if on in (True, "true")]
        return ", ".join(ticked) or ("Not selected" if structured else ""), False
    if param.get("type") == "object":
        return (json.dumps(structured, indent=2) if structured else str(value or "")), True
    if param.get("type") in values.CHOOSING:
        labels = {str(r.get("value")): str(r.get("label")) for r in param.get("value_choices", [])}
        label = labels.get(str(value), "")
        return (f"{label} ({value})" if label and label != value else str(value or "")), False
    return str(value or ""), False


def masked(node: Any) -> Any:
    """Return JSON of the API with values of passwords masked."""
    if isinstance(node, list):
        return [masked(each) for each in node]
    if not isinstance(node, Mapping):
        return node
    result = {key: masked(value) for key, value in node.items()}
    if result.get("type") == "password" and result.get("value"):
        result["value"] = MASK
    return result


def has_password(node: Any) -> bool:
    """Whether `masked` hides anything."""
    return bool(masked(node) != node)


@dataclass
class ParameterFields:
    """Parameters as fields of a form, with typed values and their errors."""

    params: list[dict[str, Any]]
    post: QueryDict | None = None
    # Whether the form sets errors of values (by a vendor), and values.
    sets_errors: bool = False
    sets_values: bool = True
    errors: dict[str, FieldErrors] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Parameters that are read-only for customers can be set here.
        self.params = copy.deepcopy(self.params)
        for param in self.params:
            param["constraints"] = {**(param.get("constraints") or {}), "readonly": False}

    def _typed(self, param: Param) -> Value | None:
        return (
            values.typed(param, self.post) if self.post is not None and self.sets_values else None
        )

    def _error(self, param: Param) -> str:
        current = values.error(param)
        if self.post is None:
            return current
        return self.post.get(f"error:{param['id']}", current).strip()

    def entries(self) -> list[dict[str, Any]]:
        """Return the changed parameters for the API."""
        changed = []
        for param in self.params:
            typed = self._typed(param)
            entry: dict[str, Any] = {}
            # An empty password keeps the current one.
            if typed is not None and (typed != "" or param["type"] != "password"):
                entry = values.entry(param, typed) if values.is_changed(param, typed) else {}
            if self.sets_errors and self._error(param) != values.error(param):
                entry |= {"id": param["id"], "value_error": self._error(param)}
            changed += [entry] if entry else []
        return changed

    def all_entries(self) -> list[dict[str, Any]]:
        """Return all values, changed or not, for the API."""
        changed = {entry["id"]: entry for entry in self.entries()}
        current = {p["id"]: values.current_entry(p) for p in self.params if not is_empty(p)}
        return list((current | changed).values())

    def refuse(self, errors: Iterable[FieldError]) -> list[FieldError]:
        """Keep errors of these parameters and return the others."""
        rest = []
        ids = {param["id"] for param in self.params}
        for error in errors:
            if error.entry in ids:
                self.errors[error.entry] = {WHOLE: error.message[0].upper() + error.message[1:]}
            else:
                rest.append(error)
        return rest

    def fields(self) -> list[tuple[Field, str, str, str]]:
        """Return the fields, each with its phase, its error, and its current value."""
        return [
            (
                fields.make(n, param, None, self._typed(param), self.errors.get(param["id"])),
                str(param.get("phase") or ""),
                self._error(param),
                _text(param)[0],
            )
            for n, param in enumerate(self.params, 1)
        ]
