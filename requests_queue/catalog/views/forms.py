"""Forms with a part `body` of JSON, as connect-cli sends them with a picture."""

from __future__ import annotations

import io
from typing import Any

from rest_framework.parsers import BaseParser, MultiPartParser

from requests_queue.api import body
from requests_queue.errors import Invalid


class FormParser(BaseParser):
    """A multipart form, or a JSON object."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        """Return what DRF makes of a form, or the object of a JSON body; raises Invalid."""
        if str(media_type).startswith("multipart/form-data"):
            return MultiPartParser().parse(stream, media_type, parser_context)
        return body.read_object(stream)


class BodyParser(FormParser):
    """The JSON part `body` of a multipart form, or a JSON object; files are left out."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        """Return the object; raises Invalid."""
        found = super().parse(stream, media_type, parser_context)
        return found if isinstance(found, dict) else json_part(found.data, found.files)


def json_part(data: Any, files: Any) -> dict[str, Any]:
    """Return the object in the part `body` of a form, `{}` without one; raises Invalid."""
    # A part with a file name is a file, whatever it holds.
    file = files.get("body")
    if file is None and "body" not in data:
        return {}
    text = file.read() if file else str(data["body"]).encode()
    found = body.read(io.BytesIO(text))
    if found is not None and not isinstance(found, dict):
        raise Invalid("body", "Expected an object.")
    return found or {}
