"""Parsing of request bodies: none, `null`, or JSON with any content type."""

from __future__ import annotations

from typing import Any

from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from requests_queue.api import body


class ConnectJSONParser(BaseParser):
    """Parse a JSON object; an empty body and `null` are an empty object."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        """Return the body, `{}` if there is none; raises Invalid, RequestDataTooBig."""
        return body.read_object(stream)


class AlwaysJSON(BaseContentNegotiation):
    """Render JSON, whatever content type the client accepts."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        """Return the first parser."""
        return parsers[0]

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        """Return the first renderer."""
        return renderers[0], renderers[0].media_type
