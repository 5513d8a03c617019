"""Rendering of responses as JSON."""

from __future__ import annotations

from typing import Any

from rest_framework.renderers import JSONRenderer

from requests_queue.api import fast_json


class FastJSONRenderer(JSONRenderer):
    """Render compact JSON; `AlwaysJSON` lets no client choose an indentation."""

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None
    ) -> bytes:
        """Return the JSON; no content for None."""
        return b"" if data is None else fast_json.encode(data)
