"""Responses as JSON: byte for byte as DRF renders it, several times faster."""

from __future__ import annotations

from typing import Any

from rest_framework.renderers import JSONRenderer

from requests_queue import fast_json

# The first bytes of the characters that DRF escapes: JavaScript takes them for ends of lines.
_SEPARATORS = b"\xe2\x80"
_ESCAPED = {b"\xe2\x80\xa8": b"\\u2028", b"\xe2\x80\xa9": b"\\u2029"}


class FastJSONRenderer(JSONRenderer):
    """Render JSON types; values of other types are left to DRF where msgspec has none of them."""

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None
    ) -> bytes:
        """Return the JSON; `AlwaysJSON` lets no client choose an indentation."""
        encoded = None if data is None else fast_json.encode_exactly(data)
        if encoded is None:
            rendered: bytes = super().render(data, accepted_media_type, renderer_context)
            return rendered
        if _SEPARATORS in encoded:
            for character, escaped in _ESCAPED.items():
                encoded = encoded.replace(character, escaped)
        return encoded
