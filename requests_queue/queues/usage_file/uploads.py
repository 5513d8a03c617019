"""Parsing of uploads: a file in a multipart form, and a JSON array as a body."""

from __future__ import annotations

from typing import Any

from django.core.files.uploadedfile import UploadedFile
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from requests_queue.api import body
from requests_queue.catalog.spreadsheets import limits
from requests_queue.errors import Invalid
from requests_queue.queues.usage_file import spreadsheet
from requests_queue.queues.usage_file.effects import Content


def find(request: Request, *fields: str) -> UploadedFile[bytes]:
    """Return the file of the first of these fields that is present.

    Raises Invalid, or Refused (413) before a body above the limit is read.
    """
    limits.check_length(request, fields[0])
    field = next((name for name in fields if name in request.FILES), None)
    if field is None:
        if any(name in request.data for name in fields):
            raise Invalid(fields[0], "The submitted data was not a file.")
        raise Invalid(fields[0], "No file was submitted.")
    file: UploadedFile[bytes] = request.FILES[field]
    return file


def read(file: UploadedFile[bytes], field: str) -> Content:
    """Return the name and the content of a file, checked against the limits; raises Refused."""
    if (file.size or 0) > limits.MAX_BYTES:
        raise limits.too_large(field)
    content = file.read()
    spreadsheet.check(content, field)
    name = str(file.name or "usage.xlsx").replace("\0", "")[:255]
    return Content(name, content)


class ListParser(BaseParser):
    """Parses a JSON array, the body of `close-records`."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        """Return the list, empty for an empty body; raises Invalid, RequestDataTooBig."""
        value = body.read(stream)
        if value is None:
            return []
        if not isinstance(value, list):
            raise Invalid("", f"The body must be a JSON array, not a {type(value).__name__}.")
        return value
