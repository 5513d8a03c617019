"""A value of a column as JSON, and back: exact types, within what the column allows."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import models

from requests_queue.db.encryption import EncryptedJSONField

Field: TypeAlias = "models.Field[Any, Any]"

# Primary keys that are texts: `PR-1234-5678-9012-001`, `CT-0000-0000-0000-PRD-…`.
_ID = re.compile(r"[A-Z]+(-[A-Z0-9]+)+")
_REPLACED = "\N{REPLACEMENT CHARACTER}"


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
        return value.replace("\0", _REPLACED).encode(errors="replace").decode()
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
    found = _decode(field, value)
    if field.choices and found not in {key for key, _ in field.flatchoices} | {""}:
        raise Wrong("it is not one of the column's values")
    try:
        field.run_validators(found)
    except ValidationError as error:
        raise Wrong(" ".join(error.messages)) from None
    return found


def _decode(field: Field, value: Any) -> Any:
    if isinstance(field, models.ForeignKey):
        return _decode(field.target_field, value)
    for kind, (json_type, convert) in _KINDS.items():
        if isinstance(field, kind):
            # true is an int in Python.
            if json_type is not object and type(value) not in json_type:
                raise Wrong("it has the wrong type")
            try:
                found = convert(value)
            except (ValueError, InvalidOperation, OverflowError, RecursionError):
                raise Wrong(f"it is no valid {kind.__name__.removesuffix('Field')}") from None
            _check(field, found)
            return found
    raise Wrong(f"{type(field).__name__} is not supported")


def _check(field: Field, value: Any) -> None:
    if field.primary_key:
        is_valid = _ID.fullmatch(value) if isinstance(value, str) else value > 0
        if not is_valid:
            raise Wrong("it is not an id")
    if isinstance(field, models.JSONField) and not isinstance(field, EncryptedJSONField):
        default = field.get_default()
        if isinstance(default, list | dict) and type(value) is not type(default):
            raise Wrong(f"it is not a {'list' if isinstance(default, list) else 'JSON object'}")
        # Everything that reads them expects it.
        are_objects = field.name not in ("items", "params") or not isinstance(value, list)
        if not (are_objects or all(isinstance(each, dict) for each in value)):
            raise Wrong("it is not a list of objects")


def _same(value: Any) -> Any:
    """Return a text or a JSON value; raises ValueError if PostgreSQL cannot store it."""
    if _portable(value) != value:
        raise ValueError
    return value


def _moment(value: str) -> datetime:
    found = datetime.fromisoformat(value)
    if found.utcoffset() != timedelta():
        raise ValueError
    return found.astimezone(UTC)


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
