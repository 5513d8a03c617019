"""What several endpoints of `/sandbox/…` take and answer.

Query parameters and bodies are serializers, checked strictly. Responses are types for the OpenAPI
document: the timeline, deliveries, attempts and API calls; what only one module of endpoints
answers is declared there. Moments have milliseconds and an offset, spans are in the unit that the
description names.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal, NoReturn, TypedDict

from django.http import QueryDict
from rest_framework.exceptions import ValidationError
from rest_framework.fields import SkipField

from requests_queue import time_format
from requests_queue.api.fields import Input, Integer, List, Number, String, Values
from requests_queue.api.schema import Also, Stamp
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


CursorText = Annotated[
    str, Also(description="A place in the timeline: opaque, monotonic, valid after a restart.")
]
Milliseconds = Annotated[int, Also(description="Milliseconds.")]
Redacted = Annotated[
    bool, Also(description="Whether secrets that somebody has repeated were replaced by ••••••••.")
]
Seconds = Annotated[float, Also(description="Seconds.")]


class Entry(TypedDict):
    """An entry of the timeline; `at` is platform time, `real_at` real time."""

    cursor: CursorText
    kind: Literal[
        "change",
        "event",
        "attempt_started",
        "attempt_finished",
        "api_call",
        "message",
        "clock",
        "fault",
        "hold",
        "reset",
    ]
    at: Stamp
    real_at: Stamp
    webhook: str | None
    delivery: int | None
    attempt: int | None
    object: str | None
    data: dict[str, Any]


class _Earlier(TypedDict, total=False):
    earlier: int


class Timeline(_Earlier):
    """Entries, and the cursor to continue from; with `latest`, how many others there are."""

    entries: list[Entry]
    cursor: CursorText


class CursorAnswer(TypedDict):
    """The cursor of the present."""

    cursor: CursorText


DeliveryEvent = TypedDict(
    "DeliveryEvent", {"object": str | None, "from": str | None, "to": str | None, "at": Stamp}
)


class SentRequest(TypedDict):
    """A request to a handler; `body` is null where a list leaves it out, `size` is in bytes."""

    method: str
    url: str
    headers: dict[str, str]
    body: str | None
    size: int


class HandlerResponse(TypedDict):
    """A handler's response."""

    status: int
    headers: list[list[str]]
    body: str | None
    size: int
    is_truncated: bool


class Token(TypedDict):
    """A decoded token, and the headers that carried it; its signature is not stored."""

    sent_in: list[str]
    header: dict[str, str]
    claims: dict[str, Any]


class FiredFault(TypedDict):
    """A fault that fired for a request."""

    name: str
    kind: str


class ApiCall(TypedDict):
    """A call of Connect's API; `link` says how sure it is that the attempt led to it."""

    id: int
    method: str
    path: str
    query: str
    status: int
    error_code: str
    duration: Annotated[float, Also(description="Milliseconds.")]
    started_at: Stamp
    real_started_at: Stamp
    actor: Literal["handler", "test"]
    account: str | None
    key: str
    user_agent: str
    objects: list[str]
    webhook: str | None
    delivery: int | None
    attempt: int | None
    link: Literal["certain", "likely", ""]
    request_body: str
    response_body: str
    is_truncated: bool
    redacted: Redacted
    faults: list[FiredFault]


class ApiCalls(TypedDict):
    """API calls in order, and the cursor to continue from."""

    calls: list[ApiCall]
    cursor: CursorText


class Note(TypedDict):
    """What is remarkable about a handler's activity."""

    code: str
    text: str
    call: int | None
    object: str | None


class HandlerActivity(TypedDict):
    """What a handler did because of an attempt."""

    summary: str
    notes: list[Note]
    calls: list[ApiCall]


class Attempt(TypedDict):
    """An HTTP request of a delivery, and what followed from it."""

    number: int
    outcome: Literal["success", "failure", "unknown"]
    started_at: Stamp
    finished_at: Stamp
    duration: Milliseconds
    request: SentRequest
    token: Token | None
    response: HandlerResponse | None
    error: str
    redacted: Redacted
    reason: str
    next_attempt_at: Stamp | None
    faults: list[FiredFault]
    handler_activity: HandlerActivity


class Delivery(TypedDict):
    """A delivery; a list has its latest attempts."""

    id: int
    webhook: str
    state: Literal["waiting", "calling", "delivered", "failed", "cancelled"]
    forced: bool
    created_at: Stamp
    objects: list[str]
    events: list[DeliveryEvent]
    attempts_made: int
    attempts: list[Attempt]
    next_attempt_at: Stamp | None
    next_attempt_reason: str


class Deliveries(TypedDict):
    """Deliveries, the newest first."""

    deliveries: list[Delivery]


class ForecastRow(TypedDict):
    """An attempt, and whether its failure makes the webhook out of order."""

    attempt: int
    at: Stamp
    reason: str
    out_of_order: bool


class Forecast(TypedDict):
    """The next attempts of a webhook if every one fails; `delivery` is sent first."""

    webhook: str
    now: Stamp
    delivery: int | None
    reason: str
    rows: list[ForecastRow]


class Unsettled(TypedDict):
    """Something that has to happen before the sandbox is settled."""

    kind: str
    text: str
