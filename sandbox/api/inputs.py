"""Query parameters and bodies of `/sandbox/…`, declared as serializers and checked strictly."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, ClassVar, NoReturn

from django.http import QueryDict
from rest_framework.exceptions import ValidationError
from rest_framework.fields import SkipField

from requests_queue import time_format
from requests_queue.api.fields import Input, Integer, List, Number, String, Values
from requests_queue.errors import FieldError, Invalid, field_errors
from sandbox.timeline import timeline

_EXAMPLE = "A duration is required, for example 5m or PT5M."


class DurationField(String):
    """A duration as text, for example `5m` or `PT5M`."""

    default_error_messages = dict.fromkeys(("required", "invalid", "blank"), _EXAMPLE)

    def to_internal_value(self, data: Any) -> timedelta:  # type: ignore[override]
        """Return the duration; raises ValidationError."""
        return _parse(super().to_internal_value(data))


class NumberField(Number):
    """A number within limits, in the unit that `unit` names."""

    default_error_messages = {
        "invalid": "A number of {unit} is required.",
        "range": "Ensure this value is between {low:g} and {high:g} {unit}.",
    }

    def __init__(self, low: float, high: float, unit: str, **kwargs: Any) -> None:
        super().__init__(help_text=f"From {low:g} to {high:g} {unit}.", **kwargs)
        self.limits: dict[str, Any] = {"low": low, "high": high, "unit": unit}

    def to_internal_value(self, data: Any) -> float:
        """Return the number; raises ValidationError."""
        value = super().to_internal_value(data)
        # Refuses NaN too.
        if not self.limits["low"] <= value <= self.limits["high"]:
            self.fail("range")
        return value

    def fail(self, key: str, **kwargs: Any) -> NoReturn:
        """Raise ValidationError; every message may name the limits."""
        super().fail(key, **{**self.limits, **kwargs})


class SecondsField(NumberField):
    """Seconds of real time, as a number or as a duration, within limits."""

    openapi: ClassVar = {"oneOf": [{"type": "number"}, {"type": "string"}]}
    default_error_messages = {
        "invalid": "A number of seconds is required, or a duration, for example 30 or 5m.",
    }

    def __init__(self, low: float, high: float, **kwargs: Any) -> None:
        super().__init__(low, high, "seconds", **kwargs)

    def to_internal_value(self, data: Any) -> float:
        """Return the seconds; raises ValidationError."""
        if isinstance(data, str):
            data = _parse(data).total_seconds()
        return super().to_internal_value(data)


def _parse(text: str) -> timedelta:
    try:
        return time_format.parse_span(text)
    except ValueError as error:
        raise ValidationError(str(error)) from None


class CursorField(String):
    """A cursor of the timeline."""

    def to_internal_value(self, data: Any) -> Any:
        """Return the cursor; raises ValidationError."""
        try:
            return timeline.parse_cursor(super().to_internal_value(data))
        except Invalid as refused:
            raise ValidationError(refused.errors[0].message) from None


class NumberText(Integer):
    """A whole number, written as digits."""

    def __init__(self, low: int, high: int, **kwargs: Any) -> None:
        super().__init__(low, high, **kwargs)
        self.openapi = {"type": "integer", "minimum": low, "maximum": high}

    def to_internal_value(self, data: Any) -> int:
        """Return the number; raises ValidationError."""
        # Python refuses to read thousands of digits.
        if isinstance(data, str) and data.isascii() and data.isdigit() and len(data) < 20:
            data = int(data)
        return super().to_internal_value(data)


class Word(String):
    """One of some words."""

    default_error_messages = {"unknown": "Unknown value {value!r}. Available: {words}."}

    def __init__(self, words: Iterable[str], **kwargs: Any) -> None:
        super().__init__(**{"allow_blank": False} | kwargs)
        self.words = tuple(words)
        self.openapi = {"type": "string", "enum": list(self.words)}

    def to_internal_value(self, data: Any) -> str:
        """Return the word; raises ValidationError."""
        value = super().to_internal_value(data)
        if value not in self.words:
            self.fail("unknown", value=value[:40], words=", ".join(self.words))
        return value


class Query(Input):
    """The parameters of a query; lists may be repeated or separated by commas."""

    def check_query(self, params: QueryDict) -> Values:
        """Return the values of the parameters; raises Invalid, with all errors."""
        fields = self.fields
        errors: list[FieldError] = []
        values: Values = {}
        for name, texts in params.lists():
            if name not in fields:
                text = f"Unknown parameter. Available: {', '.join(fields)}."
                errors.append(FieldError(name[:40], text))
            elif not isinstance(fields[name], List) and len(texts) > 1:
                errors.append(FieldError(name, "Must be given once."))
        for name, field in fields.items():
            texts = params.getlist(name)
            if not texts and not field.required:
                continue
            data: Any = texts[0] if texts else None
            if isinstance(field, List):
                data = [part.strip() for text in texts for part in text.split(",")]
            elif not isinstance(data, str) or not data:
                errors.append(FieldError(name, "May not be blank.", "blank"))
                continue
            try:
                values[name] = field.run_validation(data)
            except SkipField:
                pass
            except ValidationError as error:
                errors += field_errors(error.detail, name)
        if errors:
            raise Invalid.of(errors)
        return values


class NoQuery(Query):
    """No parameters."""
