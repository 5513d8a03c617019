"""Rendering of responses as JSON."""

from __future__ import annotations

from typing import Any

from rest_framework.renderers import JSONRenderer

from requests_queue import assumptions
from requests_queue.api import fast_json

ROOT = "/public/v1/"


class FastJSONRenderer(JSONRenderer):
    """Render compact JSON; `AlwaysJSON` lets no client choose an indentation."""

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None
    ) -> bytes:
        """Return the JSON; no content for None."""
        context = renderer_context or {}
        response, request = context.pop("response", None), context.get("request")
        if "view" in context:
            # A cycle of view and response would keep rows and contents until garbage is collected:
            # its collector counts objects, and doesn't know how large they are.
            context.pop("view").response = None
        if data is None:
            return b""
        # Errors, and the sandbox's own API, are as they are documented.
        is_answer = response is not None and response.status_code < 400
        if is_answer and request is not None and request.path_info.startswith(ROOT):
            data = assumptions.as_sent(data)
        return fast_json.encode(data)
