"""Serializer fields for request bodies: exact JSON types, nothing coerced or trimmed.

DRF's own fields read "true" and 1 as booleans, "7" as an integer, and strip texts; Connect does
not. Fields are optional unless `required`. What may be null (`allow_null`) is null to mean nothing:
the field is then left out of the values, or has its `null_value`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from copy import copy
from datetime import UTC, datetime
from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.fields import SkipField, empty

from requests_queue.api.moments import parse_moment
from requests_queue.errors import Invalid, field_errors

Values = dict[str, Any]


class Strict(serializers.Field[Any, Any, Any, Any]):
    """How every field treats a value that is absent or null."""

    # What null becomes where it is allowed; `empty` leaves the field out.
    null_value: Any = empty
    # Other values that mean null.
    nulls: tuple[Any, ...] = ()
    # The error where null is not allowed.
    null_error = "required"

    def __init__(self, *, required: bool = False, null_value: Any = ..., **kwargs: Any) -> None:
        super().__init__(required=required, **kwargs)
        if null_value is not ...:
            self.null_value = null_value

    def run_validation(self, data: Any = empty) -> Any:
        """Return the value; raises ValidationError, SkipField."""
        return super().run_validation(None if data in self.nulls else data)

    def validate_empty_values(self, data: Any) -> tuple[bool, Any]:
        """Return whether the value is complete already, and the value; raises SkipField."""
        if data is None and self.allow_null and self.null_value is empty:
            data = empty
        if data is empty:
            # A partial body may lack what a whole one requires; objects within it are whole.
            if self.required and not getattr(self.parent, "partial", False):
                self.fail("required")
            raise SkipField
        if data is not None:
            return False, data
        if not self.allow_null:
            self.fail(self.null_error)
        return True, copy(self.null_value)


class Text(Strict, serializers.CharField):
    """A text of at most that many characters; Connect takes a number as its digits.

    An optional text is empty where it is null; a required one is not blank.
    """

    null_value: Any = ""

    def __init__(
        self, max_length: int | None = None, *, required: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(
            max_length=max_length,
            required=required,
            allow_null=not required,
            trim_whitespace=False,
            **{"allow_blank": not required} | kwargs,
        )

    def to_internal_value(self, data: Any) -> str:
        """Return the text; raises ValidationError."""
        value: str = super().to_internal_value(data)
        if not self.allow_blank and not value.strip():
            self.fail("blank")
        return value


class String(Text):
    """A text that a number is not taken for."""

    def to_internal_value(self, data: Any) -> str:
        """Return the text; raises ValidationError."""
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Id(String):
    """An identifier: 0 names no object. None where it is optional and null or blank."""

    null_value = None
    nulls = ("",)


class Choice(Strict, serializers.ChoiceField):
    """One of some words."""

    def __init__(self, words: Iterable[str], **kwargs: Any) -> None:
        super().__init__(choices=tuple(words), **kwargs)

    def to_internal_value(self, data: Any) -> str:
        """Return the word; raises ValidationError."""
        is_blank = data == "" and self.allow_blank
        if not isinstance(data, str) or not (is_blank or data in self.choices):
            self.fail("invalid_choice", input=data)
        return data


class AnyCaseChoice(Choice):
    """One of some words, written in any case."""

    def to_internal_value(self, data: Any) -> str:
        """Return the word as it is declared; raises ValidationError."""
        if isinstance(data, str):
            data = {word.lower(): word for word in self.choices}.get(data.lower(), data)
        return super().to_internal_value(data)


class Boolean(Strict, serializers.BooleanField):
    """true or false."""

    null_error = "invalid"

    def to_internal_value(self, data: Any) -> bool:
        """Return the value; raises ValidationError."""
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class Integer(Strict, serializers.IntegerField):
    """A whole number between two."""

    null_error = "invalid"
    default_error_messages = {"range": "Ensure this value is between {low} and {high}."}

    def __init__(self, low: int, high: int, **kwargs: Any) -> None:
        super().__init__(min_value=low, max_value=high, **kwargs)
        self.low, self.high = low, high
        # One message for both bounds.
        self.validators = []

    def to_internal_value(self, data: Any) -> int:
        """Return the number; raises ValidationError."""
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        if not self.low <= data <= self.high:
            self.fail("range", low=self.low, high=self.high)
        return data


class Digits(Integer):
    """A whole number between two, or its digits."""

    def to_internal_value(self, data: Any) -> int:
        """Return the number; raises ValidationError."""
        is_digits = isinstance(data, str) and data.isascii() and data.isdecimal() and len(data) < 4
        return super().to_internal_value(int(data) if is_digits else data)


class Number(Strict, serializers.FloatField):
    """A number."""

    null_error = "invalid"

    def to_internal_value(self, data: Any) -> float:
        """Return the number; raises ValidationError."""
        if isinstance(data, bool) or not isinstance(data, (int, float)):
            self.fail("invalid")
        return data


class Date(Strict, serializers.DateTimeField):
    """A date in whole seconds of UTC: in any offset, without one, or a day alone."""

    null_value = None
    nulls = ("",)
    default_error_messages = {"invalid": "Not a valid date."}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            allow_null=not kwargs.get("required"),
            help_text="In any offset, or a day alone.",
            **kwargs,
        )

    def to_internal_value(self, data: Any) -> Any:
        """Return the moment in UTC; raises ValidationError."""
        return self.parse(data).astimezone(UTC).replace(microsecond=0)

    def parse(self, data: Any) -> datetime:
        """Return the moment in its own offset; raises ValidationError."""
        if isinstance(data, str):
            with suppress(ValueError):
                return parse_moment(data)
        self.fail("invalid")


class Free(Strict, serializers.DictField):
    """An object of any keys and values."""

    default_error_messages = {"not_a_dict": "Expected an object."}

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Return the object as it is; raises ValidationError."""
        if not isinstance(data, Mapping):
            self.fail("not_a_dict")
        return dict(data)


class Anything(Strict, serializers.JSONField):
    """Any JSON value."""

    null_value = None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_null=True, **kwargs)

    def to_internal_value(self, data: Any) -> Any:
        return data


class List(Strict, serializers.ListField):
    """A list; its errors have the list's path, without the place in it."""

    null_value: Any = []

    def __init__(self, child: serializers.Field[Any, Any, Any, Any], **kwargs: Any) -> None:
        super().__init__(child=child, allow_null=not kwargs.get("required"), **kwargs)


class Input(Strict, serializers.Serializer[Any]):
    """An object of a request body, or a whole body.

    `texts` declares optional texts by their greatest length, `booleans` optional booleans. Keys
    without a field are ignored. An instance has no state, so one serves every request.
    """

    texts: ClassVar[Mapping[str, int]] = {}
    booleans: ClassVar[tuple[str, ...]] = ()
    # Whether a text may come in place of the object.
    also_text = False
    default_error_messages = {"invalid": "Expected an object."}

    def get_fields(self) -> dict[str, Any]:
        """Return the fields, those of `texts` and `booleans` first."""
        texts = {name: Text(limit) for name, limit in self.texts.items()}
        booleans = {name: Boolean() for name in self.booleans}
        return {**texts, **booleans, **super().get_fields()}

    def run_validation(self, data: Any = empty) -> Any:
        """Return the values; raises ValidationError, SkipField."""
        is_complete, data = self.validate_empty_values(None if data in self.nulls else data)
        return data if is_complete else self.validate(self.to_internal_value(data))

    def to_internal_value(self, data: Any) -> Values:
        """Return the values of the fields that the object has; raises ValidationError."""
        if not isinstance(data, Mapping):
            self.fail("invalid")
        values, errors = self.collect(data)
        if errors:
            raise ValidationError(errors)
        return values

    def collect(self, data: Mapping[str, Any]) -> tuple[Values, dict[str, Any]]:
        """Return the values of the fields that are right, and what is wrong with the others."""
        values, errors = Values(), Values()
        for name, field in self.fields.items():
            try:
                values[name] = field.run_validation(data.get(name, empty))
            except SkipField:
                pass
            except ValidationError as error:
                errors[name] = error.detail
        return values, errors

    def check(self, data: Any, path: str = "") -> Any:
        """Return the values of a body, or of its object at `path`; raises Invalid."""
        try:
            return self.run_validation(data)
        except ValidationError as error:
            raise Invalid.of(field_errors(error.detail, path)) from None


class Reference(Input):
    """An object that another one is named by; its value is the id, None where it names none."""

    null_value = None
    id = Id()

    def validate(self, attrs: Values) -> Any:
        """Return the id; raises ValidationError where it is required and missing."""
        if self.required and attrs.get("id") is None:
            raise ValidationError({"id": self.error_messages["required"]}, "required")
        return attrs.get("id")
