"""How a validator's response to an attempt differs from the object sent."""

from __future__ import annotations

import json

from requests_queue.api.json_validation import parse_json
from requests_queue.queues import response_diff
from requests_queue.queues.response_diff import Json, ResponseDiff
from webhooks.models import Attempt, Resend
from webhooks.types import EVENT


def is_validation(row: Attempt) -> bool:
    """Whether the attempt sent an object to a validator; Trigger now sends the payload instead."""
    return row.webhook.type != EVENT and "id" in _sent_object(row)


def build_diff(row: Attempt) -> ResponseDiff:
    """Return the differences of an attempt, or a note why there are none."""
    if not row.response_body:
        return ResponseDiff([], "There is no response body to compare.")
    if row.truncated:
        note = (
            "The response is longer than what is stored of it, so it cannot be compared. See above "
            "for what was merged."
        )
        return ResponseDiff([], note)
    try:
        response = parse_json(bytes(row.response_body))
    except (ValueError, RecursionError):
        return ResponseDiff([], "The response is not JSON, so there is nothing to compare.")
    # The response to a resend is never merged.
    is_ignored = (
        row.outcome != Attempt.SUCCESS
        or row.is_unmerged
        or Resend.objects.filter(pk=row.delivery_id).exists()
    )
    object_class = row.webhook.object_class
    return response_diff.build_diff(
        object_class, _sent_object(row), response, may_merge=not is_ignored
    )


def _sent_object(row: Attempt) -> Json:
    """Return the object that was sent; empty if the body is not an object."""
    try:
        body = json.loads(row.request_body)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}
