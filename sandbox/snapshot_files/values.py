"""A value of a column as JSON, and back: exact types, within what the column allows."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Collection
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import models

from requests_queue.alternatives import ALTERNATIVES
from sandbox.timeline.call_storage import storable_text

Field: TypeAlias = "models.Field[Any, Any]"

# Primary keys that are texts: `PR-1234-5678-9012-001`, `CT-0000-0000-0000-PRD-…`.
_ID = re.compile(r"[A-Z]+(-[A-Z0-9]+)+")


def encode(value: Any) -> Any:
    """Return a value of a column as JSON."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date | Decimal | UUID):
        return str(value)
    if isinstance(value, bytes | memoryview):
        return base64.b64encode(value).decode()
    return _portable(value)


def _portable(value: Any) -> Any:
    """Return a JSON value without what PostgreSQL cannot store: NUL and lone surrogates."""
    if isinstance(value, str):
        return storable_text(value)
    if isinstance(value, list | tuple):
        return list(map(_portable, value))
    if isinstance(value, dict):
        return {_portable(key): _portable(each) for key, each in value.items()}
    return value


class Wrong(Exception):
    """A value that a column cannot have; the text says why."""


def decode(field: Field, value: Any) -> Any:
    """Return a column's value of JSON; raises Wrong."""
    if value is None:
        if not field.null:
            raise Wrong("it may not be null")
        return None
    decoded = _decode(field, value)
    if field.choices and decoded not in {key for key, _ in field.flatchoices} | {""}:
        raise Wrong("it is not one of the column's values")
    try:
        field.run_validators(decoded)
    except ValidationError as error:
        raise Wrong(" ".join(error.messages)) from None
    return decoded


def _decode(field: Field, value: Any) -> Any:
    if isinstance(field, models.ForeignKey):
        return _decode(field.target_field, value)
    for kind, (json_type, convert) in _KINDS.items():
        if isinstance(field, kind):
            # true is an int in Python.
            if json_type is not object and type(value) not in json_type:
                raise Wrong("it has the wrong type")
            try:
                decoded = convert(value)
            except (ValueError, InvalidOperation, OverflowError, RecursionError):
                raise Wrong(f"it is no valid {kind.__name__.removesuffix('Field')}") from None
            _check(field, decoded)
            return decoded
    raise Wrong(f"{type(field).__name__} is not supported")


def _check(field: Field, value: Any) -> None:
    if field.primary_key:
        # Above them there is room for the rows that follow.
        most = 2**30 if field.get_internal_type() == "AutoField" else 2**53
        is_valid = _ID.fullmatch(value) if isinstance(value, str) else 0 < value <= most
        is_reading = str(field) == "sandbox.Reading.id" and value in ALTERNATIVES
        if not (is_valid or is_reading):
            raise Wrong("it is not an id")
    if isinstance(field, models.JSONField):
        default = field.get_default()
        if isinstance(default, list | dict) and type(value) is not type(default):
            raise Wrong(f"it is not a {'list' if isinstance(default, list) else 'JSON object'}")
        shape = _SHAPES.get(str(field)) or _SHAPES.get(field.name)
        if shape and not shape[1](value):
            raise Wrong(f"it is not {shape[0]}")


def _same(value: Any) -> Any:
    """Return a text or a JSON value; raises ValueError if PostgreSQL cannot store it."""
    if _portable(value) != value:
        raise ValueError
    return value


def _moment(value: str) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.utcoffset() != timedelta():
        raise ValueError
    return moment.astimezone(UTC)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _has_texts(value: Any, names: Collection[str] = ()) -> bool:
    """Return whether a value is an object in which these are texts."""
    return isinstance(value, dict) and all(_is_text(value.get(name)) for name in names)


def _list_of(is_valid: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(is_valid, value))


_NUMBERS = ("a list of numbers", _list_of(lambda each: type(each) is int))
_IDENTIFIED = ("a list of objects with ids", _list_of(lambda each: _has_texts(each, ("id",))))
# JSON that code reads without a check, by the name of a column, or by its table and name.
_SHAPES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "items": _IDENTIFIED,
    "params": _IDENTIFIED,
    "usage_file.UsageRecord.params": (
        "a list of names and values",
        _list_of(lambda each: _has_texts(each, ("parameter_name", "parameter_value"))),
    ),
    "errors": (
        "a list of errors",
        _list_of(lambda each: _has_texts(each, ("column", "code", "message", "raw_value"))),
    ),
    "faults": ("a list of faults", _list_of(lambda each: _has_texts(each, ("name", "kind")))),
    "scopes": ("a list of texts", _list_of(_is_text)),
    "deliveries": _NUMBERS,
    "latest": _NUMBERS,
    "request_headers": ("an object of texts", lambda value: _has_texts(value, value)),
    "response_headers": (
        "a list of names and values",
        _list_of(lambda each: _list_of(_is_text)(each) and len(each) == 2),
    ),
}
# The first that a column is one of.
_KINDS: dict[type[Field], tuple[Any, Callable[[Any], Any]]] = {
    models.JSONField: (object, _same),
    models.CharField: ((str,), _same),
    models.TextField: ((str,), _same),
    models.BooleanField: ((bool,), bool),
    models.IntegerField: ((int,), int),
    models.FloatField: ((int, float), float),
    models.DateTimeField: ((str,), _moment),
    models.DateField: ((str,), date.fromisoformat),
    models.DecimalField: ((str,), Decimal),
    models.UUIDField: ((str,), UUID),
    models.BinaryField: ((str,), lambda text: base64.b64decode(text, validate=True)),
}
