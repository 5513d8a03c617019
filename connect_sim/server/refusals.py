"""Errors that the web server answers by itself, before Django is asked."""

from __future__ import annotations

import json


def body(path: str, code: str, text: str) -> tuple[bytes, bytes]:
    """Return content type and body: Connect's error form for an API, else plain text."""
    if path.lstrip("/").startswith(("public/", "sandbox/")):
        return b"application/json", json.dumps({"error_code": code, "errors": [text]}).encode()
    return b"text/plain; charset=utf-8", text.encode()
