"""Recorded API calls for tests, and what is stored of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sandbox.models import ApiCall, TimelineEntry
from sandbox.timeline import timeline
from sandbox.timeline.call_storage import RecordedCall


def call(path: str = "/public/v1/requests", **more: Any) -> RecordedCall:
    """Return a recorded call."""
    fields: dict[str, Any] = {
        "started": datetime.now(UTC).timestamp(),
        "duration": 5.0,
        "actor": ApiCall.HANDLER,
        "account": None,
        "key": "",
        "method": "GET",
        "path": path,
        "query": "",
        "status": 200,
        "user_agent": "",
        **more,
    }
    return RecordedCall(**fields)


def paths() -> list[str]:
    """Return the paths of the stored calls, in order."""
    return list(ApiCall.objects.order_by("pk").values_list("path", flat=True))


def entries() -> list[TimelineEntry]:
    """Return the timeline's entries about API calls, in order."""
    return list(TimelineEntry.objects.filter(kind=timeline.API_CALL).order_by("pk"))
