"""The JSON body of a request."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig

from requests_queue import json_validation
from requests_queue.errors import Invalid


def read(stream: Any) -> Any:
    """Return the JSON of a call, None where there is no body; raises Invalid, RequestDataTooBig.

    Refused: malformed JSON, NaN, and what `json_validation` refuses.
    """
    # Django's own limit is for bodies that it reads itself.
    raw = stream.read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
    if len(raw) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
        raise RequestDataTooBig
    if not raw.strip():
        return None
    try:
        value = json_validation.parse_json(raw)
    except (ValueError, RecursionError):
        raise Invalid("", "The body is not valid JSON.") from None
    try:
        return json_validation.validate_json(value)
    except json_validation.NotStorable as refused:
        raise Invalid(refused.path, str(refused)) from None
