"""The JSON body of a request."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig

from requests_queue.api import json_validation
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
        return json_validation.validate_json(json_validation.parse_json(raw))
    except json_validation.NotStorable as refused:
        raise Invalid(refused.path, str(refused)) from None
    except (ValueError, RecursionError):
        raise Invalid("", "The body is not valid JSON.") from None


def read_object(stream: Any) -> dict[str, Any]:
    """Return the JSON object of a call, `{}` where there is no body; raises as `read` does."""
    value = read(stream)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Invalid("", f"The body must be a JSON object, not a {type(value).__name__}.")
    return value
