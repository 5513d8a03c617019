"""`/sandbox/schema`, `/sandbox/docs`, `/sandbox/version`: the OpenAPI document of `/sandbox/…`.

It is built from the operations that each view declares, with the docstrings of its methods and
without the settings of the document of Connect's API:

    class HoldsView(APIView):
        operations = {"post": Operation("Holds", "Take a hold", HOLD, 201, body=HoldInput)}

Query parameters and bodies are serializers, checked strictly, whose fields are here. What an
operation answers is declared by parts, beside what it is made of.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from http import HTTPStatus
from operator import itemgetter
from typing import Any, ClassVar, NoReturn, TypedDict

from django.conf import settings
from django.http import HttpResponse, JsonResponse, QueryDict
from django.urls import include, path
from drf_spectacular.generators import EndpointEnumerator, SchemaGenerator
from drf_spectacular.plumbing import (
    build_root_object,
    normalize_result_object,
    sanitize_result_object,
)
from rest_framework.exceptions import ValidationError
from rest_framework.fields import SkipField
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.schemas.generators import EndpointEnumerator as BaseEndpointEnumerator
from rest_framework.views import APIView

from portal.swagger import SwaggerPage
from requests_queue import time_format
from requests_queue.api.fields import Input, Integer, List, Number, String, Values
from requests_queue.api.openapi import Components, OperationSchema
from requests_queue.api.schema import Form, Json, Untrusted
from requests_queue.errors import FieldError, Invalid, field_errors
from requests_queue.suggestions import did_you_mean
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

    default_error_messages = {"unknown": "Unknown value {value!r}. Available: {words}.{nearest}"}

    def __init__(self, words: Iterable[str], **kwargs: Any) -> None:
        super().__init__(**{"allow_blank": False} | kwargs)
        self.words = tuple(words)
        self.openapi = {"type": "string", "enum": list(self.words)}

    def to_internal_value(self, data: Any) -> str:
        """Return the word; raises ValidationError."""
        value = super().to_internal_value(data)
        if value not in self.words:
            nearest = did_you_mean(value, self.words)
            self.fail("unknown", value=value[:40], words=", ".join(self.words), nearest=nearest)
        return value


class Exact(Input):
    """A body that has no other keys: a misspelled one would ask for something else."""

    def to_internal_value(self, data: Any) -> Values:
        """Return the values; raises ValidationError."""
        if isinstance(data, Mapping):
            text = f"Unknown key. Available: {', '.join(self.fields) or 'none'}."
            unknown = [str(name) for name in data if name not in self.fields]
            if unknown:
                raise ValidationError(
                    {name[:40]: text + did_you_mean(name, self.fields) for name in unknown}
                )
        return super().to_internal_value(data)


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
                text += did_you_mean(name, fields)
                errors.append(FieldError(name[:40], text))
            elif not isinstance(fields[name], List) and len(texts) > 1:
                errors.append(FieldError(name, "Must be given once."))
        for name, each in fields.items():
            texts = params.getlist(name)
            if not texts and not each.required:
                continue
            data: Any = texts[0] if texts else None
            if isinstance(each, List):
                data = [part.strip() for text in texts for part in text.split(",")]
            elif not isinstance(data, str) or not data:
                errors.append(FieldError(name, "May not be blank.", "blank"))
                continue
            try:
                values[name] = each.run_validation(data)
            except SkipField:
                pass
            except ValidationError as error:
                errors += field_errors(error.detail, name)
        if errors:
            raise Invalid.of(errors)
        return values


class NoQuery(Query):
    """No parameters."""


# The document.

Operations = Mapping[str, "Operation"]
PREFIX = "/sandbox"
_DESCRIPTION = (
    "Connect Sim's own API: time, the timeline, waits and everything else that a test of a handler "
    "needs. Any API key of an account may use it; it shows and moves the whole sandbox. Moments "
    "have milliseconds and are platform time unless named otherwise."
)
_ERRORS = {
    400: "Invalid body or query; see `errors`.",
    401: "The API key is missing or invalid.",
    403: "The caller does not have permission.",
    404: "There is no such object.",
    409: "A concurrent request prevents it, for example a move of the clock.",
    413: "A file is too large.",
    429: "The API key has too many waits.",
    503: "It is not possible now; nothing has changed.",
}


@dataclass(frozen=True, slots=True)
class Operation:
    """A method of a view: its chapter, what it does, and its answer (None: no content).

    An answer that is `bytes` is a file of one of the `media_types`. `errors` are the statuses of
    errors besides 400 and 401; `others` have a type of their own.
    """

    tag: str
    summary: str
    answer: Any
    status: int = 200
    query: type[Query] | None = None
    body: type[Input] | Form | None = None
    errors: tuple[int, ...] = ()
    others: Mapping[int, Any] = field(default_factory=dict)
    media_types: tuple[str, ...] = ("application/json",)


class Error(TypedDict):
    """An error, in the form of Connect's API; `retryable` if the same request may succeed later."""

    error_code: str
    errors: list[Untrusted]
    hint: str
    retryable: bool


class SandboxSchema(OperationSchema):
    """One operation of the document."""

    @property
    def operation(self) -> Operation:
        """Return the view's declaration."""
        view: Any = self.view
        found: Operation = view.operations[self.method.lower()]
        return found

    @property
    def call(self) -> str:
        """Return no name: a body is required if one of its fields is."""
        return ""

    def get_tags(self) -> list[str]:
        return [self.operation.tag]

    def get_summary(self) -> str:
        return self.operation.summary

    def get_description(self) -> str:  # type: ignore[override]
        """Return the docstring of the view's method."""
        method = getattr(self.view, self.method.lower())
        return " ".join((method.__doc__ or "").split())

    def get_operation_id(self) -> str:
        """Return the method and the path as words: `post_clock_advance`."""
        words = re.findall(r"\w+", self.path.removeprefix(PREFIX).replace("-", "_"))
        return "_".join([self.method.lower(), *words])

    def parameters(self) -> list[Json]:
        """Return the parameters in the path and in the query."""
        parameters: list[Json] = [
            {
                "in": "path",
                "name": name,
                "required": True,
                "schema": {"type": "string"},
                "description": "Its identifier, or its name.",
            }
            for name in re.findall(r"\{(\w+)\}", self.path)
        ]
        query = self.operation.query
        for name, each in query().fields.items() if query else ():
            schema = Components(self.registry).body_field(each)
            # The parameter says both itself.
            for key in ("nullable", "description"):
                schema.pop(key, None)
            parameters.append(
                {
                    "in": "query",
                    "name": name,
                    "required": each.required,
                    "schema": schema,
                    "description": each.help_text or "",
                }
            )
        return parameters

    def request_body(self) -> Json | None:
        """Return the request body; None if there is none."""
        body = self.operation.body
        if isinstance(body, Form):
            return self.form_body(body)
        return self.json_body(body()) if body else None

    def responses(self) -> Json:
        components = Components(self.registry)
        operation = self.operation
        description = "No content." if operation.answer is None else "Success."
        responses: Json = {str(operation.status): {"description": description}}
        if operation.answer is not None:
            responses[str(operation.status)]["content"] = _answer(components, operation)
        for status in sorted({400, 401, 403, *operation.errors}):
            content = _content(components, Error)
            responses[str(status)] = {"description": _ERRORS[status], "content": content}
        for status, answer in operation.others.items():
            content = _content(components, answer)
            text = f"{HTTPStatus(status).phrase}."
            responses[str(status)] = {"description": text, "content": content}
        return dict(sorted(responses.items()))


def _answer(components: Components, operation: Operation) -> Json:
    if operation.answer is not bytes:
        return _content(components, operation.answer)
    file = {"schema": {"type": "string", "format": "binary"}}
    return dict.fromkeys(operation.media_types, file)


def _content(components: Components, answer: Any) -> Json:
    return {"application/json": {"schema": components.schema(answer)}}


class _Endpoints(EndpointEnumerator):
    """The endpoints with a declaration, without the hooks of the other document."""

    def __init__(self, patterns: Any) -> None:
        super().__init__(patterns)
        self.expressions: dict[str, str] = {}

    def get_path_from_regex(self, path_regex: str) -> str:
        """Return the path of the document, and keep its expression, which has the converters."""
        found: str = super().get_path_from_regex(path_regex)  # type: ignore[no-untyped-call]
        self.expressions[found] = path_regex
        return found

    def should_include_endpoint(self, path: str, callback: Any) -> bool:
        """Return whether the view declares its operations."""
        # A page is a function.
        return hasattr(getattr(callback, "cls", None), "operations")

    def get_api_endpoints(self, patterns: Any = None, prefix: str = "") -> list[Any]:
        """Return path, method and view of the endpoints, by path."""
        rows: list[Any] = BaseEndpointEnumerator.get_api_endpoints(self, patterns, prefix)
        return sorted(rows, key=itemgetter(0, 1))


@cache
def document() -> Json:
    """Return the OpenAPI document, which is generated once per process."""
    patterns = [path("", include("sandbox.urls"))]
    generator = SchemaGenerator(patterns=patterns)  # type: ignore[no-untyped-call]
    paths: Json = {}
    endpoints = _Endpoints(patterns)
    for path_, method, callback in endpoints.get_api_endpoints():
        view = generator.create_view(callback, method)  # type: ignore[no-untyped-call]
        inspector: Any = SandboxSchema()
        inspector.view = view
        operation = inspector.get_operation(
            path_, endpoints.expressions[path_], PREFIX, method, generator.registry
        )
        paths.setdefault(path_, {})[method.lower()] = operation
    root = build_root_object(
        paths=paths, components=generator.registry.build({}), webhooks={}, version=settings.VERSION
    )
    # The settings of the other document have its title, servers and tags.
    root["info"] = {
        "title": "Connect Sim: the sandbox",
        "version": settings.VERSION,
        "description": _DESCRIPTION,
    }
    root["servers"] = [{"url": "/"}]
    result: Json = sanitize_result_object(normalize_result_object(root))  # type: ignore[no-untyped-call]
    return result


class SchemaView(APIView):
    """`GET /sandbox/schema`: the OpenAPI document as JSON; no API key is needed."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    def get(self, request: Request) -> HttpResponse:
        """Return the document."""
        return JsonResponse(document(), json_dumps_params={"ensure_ascii": False})


class Version(TypedDict):
    """The version of Connect Sim."""

    version: str


class VersionView(APIView):
    """`GET /sandbox/version`, with any API key."""

    operations: Operations = {"get": Operation("Version", "Read the version", Version)}

    def get(self, request: Request) -> Response:
        """Return the version of Connect Sim, as `connect-sim --version` prints it."""
        return Response({"version": settings.VERSION})


urlpatterns = [
    path("version", VersionView.as_view()),
    path("schema", SchemaView.as_view(), name="sandbox-schema"),
    path("docs", SwaggerPage.as_view(url_name="sandbox-schema")),
]
