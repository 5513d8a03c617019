"""The parameters of an object: as a table that is read, and as fields that are filled in."""

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


@dataclass(frozen=True, slots=True)
class ParameterRow:
    """A parameter in the table."""

    id: str
    title: str
    type: str
    phase: str
    value: str
    is_code: bool
    error: str
    flags: tuple[str, ...]


def of(queue: Queue, shown: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the parameters of an object as the API shows it."""
    about = validation.find(queue.object_class)
    if about is not None:
        found = about.params_of(shown)
    else:
        asset = shown.get("asset")
        inner = asset.get("params") if isinstance(asset, Mapping) else None
        found = shown.get("params") or inner
    return [row for row in found or [] if isinstance(row, dict) and "id" in row]


def table(params: Iterable[Param]) -> list[ParameterRow]:
    """Return the parameters as lines; no password is shown."""
    return [_line(param) for param in params]


def _line(param: Param) -> ParameterRow:
    rules = param.get("constraints") or {}
    names = ("required", "hidden", "readonly", "unique")
    text, is_code = _text(param)
    return ParameterRow(
        str(param["id"]), str(param.get("title") or param.get("name") or param["id"]),
        str(param.get("type") or ""), str(param.get("phase") or ""), text, is_code,
        str(param.get("value_error") or ""), tuple(n for n in names if rules.get(n)),
    )  # fmt: skip


def _text(param: Param) -> tuple[str, bool]:
    """Return the value in words, and whether it is a program's."""
    value, structured = param.get("value"), param.get("structured_value")
    if param.get("type") == "password":
        return (MASK if value else ""), False
    if param.get("type") == "checkbox" and isinstance(structured, Mapping):
        labels = dict(values.choices({**param, "title": param.get("title") or param["id"]}))
        ticked = [str(labels.get(k, k)) for k, on in structured.items() if on in (True, "true")]
        return ", ".join(ticked) or ("Not ticked" if structured else ""), False
    if param.get("type") == "object":
        return (json.dumps(structured, indent=2) if structured else str(value or "")), True
    if param.get("type") in values.CHOOSING:
        labels = {str(r.get("value")): str(r.get("label")) for r in param.get("value_choices", [])}
        label = labels.get(str(value), "")
        return (f"{label} ({value})" if label and label != value else str(value or "")), False
    return str(value or ""), False


def masked(node: Any) -> Any:
    """Return JSON of the API with the values of password parameters made unreadable."""
    if isinstance(node, list):
        return [masked(each) for each in node]
    if not isinstance(node, Mapping):
        return node
    found = {key: masked(value) for key, value in node.items()}
    if found.get("type") == "password" and found.get("value"):
        found["value"] = MASK
    return found


def has_password(node: Any) -> bool:
    """Whether `masked` hides anything."""
    return bool(masked(node) != node)


@dataclass
class ParameterFields:
    """Parameters as fields of a form, with what was typed and what is wrong with it.

    A value that differs from the parameter's own is a change; `errors` are what the vendor says
    is wrong, where the form asks for that.
    """

    params: list[dict[str, Any]]
    post: QueryDict | None = None
    # Whether the vendor may say what is wrong with each, and whether values may be set at all.
    judges: bool = False
    fills: bool = True
    wrong: dict[str, FieldErrors] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # What customers can't change whoever fills in here can.
        self.params = copy.deepcopy(self.params)
        for param in self.params:
            param["constraints"] = {**(param.get("constraints") or {}), "readonly": False}

    def _given(self, param: Param) -> Value | None:
        return values.typed(param, self.post) if self.post is not None and self.fills else None

    def _error(self, param: Param) -> str:
        held = values.error(param)
        return held if self.post is None else self.post.get(f"error:{param['id']}", held).strip()

    def entries(self) -> list[dict[str, Any]]:
        """Return what was changed, as the API takes it."""
        found = []
        for param in self.params:
            given = self._given(param)
            entry: dict[str, Any] = {}
            # A password that is left empty stays.
            if given not in (None, "") or (given == "" and param["type"] != "password"):
                assert given is not None
                entry = values.entry(param, given) if values.is_changed(param, given) else {}
            if self.judges and self._error(param) != values.error(param):
                entry |= {"id": param["id"], "value_error": self._error(param)}
            found += [entry] if entry else []
        return found

    def whole(self) -> list[dict[str, Any]]:
        """Return every value that there is, changed or proposed, as the API takes it."""
        changed = {entry["id"]: entry for entry in self.entries()}
        proposed = {p["id"]: values.held(p) for p in self.params if not is_empty(p)}
        return list((proposed | changed).values())

    def refuse(self, errors: Iterable[FieldError]) -> list[FieldError]:
        """Note errors at the parameters that they are about, and return the others."""
        rest = []
        ids = {param["id"] for param in self.params}
        for error in errors:
            if error.entry in ids:
                self.wrong[error.entry] = {WHOLE: error.message[0].upper() + error.message[1:]}
            else:
                rest.append(error)
        return rest

    def fields(self) -> list[tuple[Field, str, str, str]]:
        """Return the fields, each with its phase, what is said to be wrong with its value, and
        the value that the object has."""
        return [
            (
                fields.make(n, param, None, self._given(param), self.wrong.get(param["id"])),
                str(param.get("phase") or ""),
                self._error(param),
                _text(param)[0],
            )
            for n, param in enumerate(self.params, 1)
        ]
