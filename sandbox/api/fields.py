"""Fields of request bodies that several parts of the API share."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar, NoReturn

from rest_framework.exceptions import ValidationError

from requests_queue.fields import Number, String
from sandbox import durations

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
        return durations.parse(text)
    except ValueError as error:
        raise ValidationError(str(error)) from None
