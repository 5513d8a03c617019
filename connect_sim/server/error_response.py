"""Errors that the web server returns without calling Django."""

from __future__ import annotations

import json


def body(path: str, code: str, text: str) -> tuple[bytes, bytes]:
    """Return content type and body: Connect's envelope for an API, otherwise plain text."""
    if path.lstrip("/").startswith(("public/", "sandbox/")):
        return b"application/json", json.dumps({"error_code": code, "errors": [text]}).encode()
    return b"text/plain; charset=utf-8", text.encode()
