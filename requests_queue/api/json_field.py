"""A form field for JSON, whose errors name the line and column."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.fields import InvalidJSONInput

from requests_queue.api import json_validation


def _refuse_constant(name: str) -> Any:
    raise ValidationError(f"{name} is not JSON: use a number, a string or null.")


class JsonField(forms.JSONField):
    """JSON of a type (`dict`, `list`; None: any), shown indented; empty means an empty value.

    Rejects what the API rejects: NaN, deep nesting, and characters that PostgreSQL cannot store.
    """

    widget = forms.Textarea(
        attrs={"rows": 6, "cols": 80, "class": "sim-json", "spellcheck": "false"}
    )

    def __init__(self, *, kind: type | None = dict, **kwargs: Any) -> None:
        self.kind = kind
        super().__init__(**kwargs)

    def to_python(self, value: Any) -> Any:
        """Return the parsed value; raises ValidationError with line and column."""
        if isinstance(value, str) and not value.strip():
            value = None
        if value is None:
            return self.kind() if self.kind else None
        if not isinstance(value, str):
            return value
        found = _parse(value)
        if self.kind and not isinstance(found, self.kind):
            wanted = "an object, { … }" if self.kind is dict else "a list, [ … ]"
            raise ValidationError(f"This must be {wanted}.")
        return found

    def bound_data(self, data: Any, initial: Any) -> Any:
        """Return the submitted text unchanged."""
        if self.disabled or data is None:
            return initial if self.disabled else None
        return InvalidJSONInput(data)

    def prepare_value(self, value: Any) -> Any:
        """Return the text for the input."""
        if isinstance(value, InvalidJSONInput):
            return value
        if value is None:
            value = self.kind() if self.kind else None
        return "" if value is None else json.dumps(value, indent=2, ensure_ascii=False)


def _parse(text: str) -> Any:
    try:
        found = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise ValidationError(
            f"This is not valid JSON: {error.msg}, in line {error.lineno}, column {error.colno}."
        ) from None
    except RecursionError:
        raise ValidationError(
            f"This is nested deeper than {json_validation.MAX_DEPTH} levels."
        ) from None
    except ValueError:
        raise ValidationError("This has a number that is too long.") from None
    try:
        return json_validation.validate_json(found)
    except ValueError as refused:
        raise ValidationError(str(refused)) from None
