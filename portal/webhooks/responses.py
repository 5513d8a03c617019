"""What a handler answered, and other texts of programs, as harmless text of a page."""

from __future__ import annotations

import json
from typing import Any

from django.urls import reverse

from requests_queue.safe_text import visible
from webhooks.models import Attempt

# A dialog shows the beginning; the delivery's page has the whole of what is stored.
_SHOWN = 8000


def delivery_address(row: Attempt) -> str:
    """Return the page of the delivery that an attempt belongs to."""
    return reverse("delivery", args=[row.delivery_id])


def shown(row: Attempt) -> dict[str, Any]:
    """Return what the template shows of an attempt's answer."""
    body = visible(row.response_body[:_SHOWN] if row.response_body else b"")
    return {
        "attempt": row,
        "address": delivery_address(row),
        "headers": [(visible(str(k)), visible(str(v))) for k, v in row.response_headers],
        "body": body,
        "is_cut": row.truncated or len(row.response_body) > _SHOWN,
        "error": visible(row.error),
    }


def as_json(value: Any) -> str:
    """Return JSON, indented; empty for nothing."""
    return visible(json.dumps(value, indent=2, ensure_ascii=False)) if value else ""
