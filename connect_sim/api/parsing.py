"""Bodies as published clients send them: none, `null`, or JSON whatever its label."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from rest_framework.exceptions import ParseError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from requests_queue import storable


class ConnectJSONParser(BaseParser):
    """JSON, and nothing else: an empty body and `null` are no body.

    Refused with a sentence: malformed JSON, NaN, nesting too deep, and characters
    that PostgreSQL can't store (NUL, lone surrogates).
    """

    media_type = "*/*"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        """Return the parsed body, `{}` where there is none; raises ParseError, and
        RequestDataTooBig."""
        # Django's own limit is for bodies that it reads itself.
        raw = stream.read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
        if len(raw) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise RequestDataTooBig
        if not raw.strip():
            return {}
        try:
            value = json.loads(raw, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            raise ParseError("The body is not valid JSON.") from None
        if value is None:
            return {}
        try:
            storable.check(value)
        except ValueError as refused:
            raise ParseError(str(refused)) from None
        if not isinstance(value, dict):
            raise ParseError(f"The body is a JSON object, not a {type(value).__name__}.")
        return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


class AlwaysJSON(BaseContentNegotiation):
    """One renderer: a client that asks for anything else gets JSON all the same."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        """Return the first parser."""
        return parsers[0]

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        """Return the first renderer."""
        return renderers[0], renderers[0].media_type
