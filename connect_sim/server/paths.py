"""Paths of requests: normalized once, at the edge of the server, for all that decides by them."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from django.conf import settings

# Django decodes a percent-encoded slash, so it is one here too.
_SLASHES = re.compile(rb"(?:/|%2[Ff])+")


def normalize(raw_path: bytes) -> tuple[bytes, str]:
    """Return a path as it was sent and decoded, with single slashes, and none at an API's end.

    Nobody resolves dot segments: `/./forms/` is an unknown path, here as for Django.
    """
    raw_path = _SLASHES.sub(b"/", raw_path) or b"/"
    path = unquote_to_bytes(raw_path).decode(errors="replace")
    if is_api(path) and path.endswith("/"):
        return raw_path[:-1], path[:-1]
    return raw_path, path


def is_api(path: str) -> bool:
    """Return whether a normalized path belongs to an API, whose errors are JSON."""
    path = f"{path}/"
    return path.startswith("/public/") or (settings.SANDBOX and path.startswith("/sandbox/"))
