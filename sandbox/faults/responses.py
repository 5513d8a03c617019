"""The response of a fault that responds in place of a handler or of the API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class FaultResponse:
    """An HTTP response."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def build(name: str, parameters: Mapping[str, Any], instead_of: str) -> FaultResponse:
    """Return what the parameters of a fault say; by default an error as Connect's API has it."""
    status: int = parameters["status"]
    body: Any = parameters.get("body")
    if body is None:
        text = f"The fault {name} responds in place of {instead_of}."
        body = {"error_code": f"SYS_{status}", "errors": [text]}
    is_text = isinstance(body, str)
    content: str = body if is_text else json.dumps(body, ensure_ascii=False)
    headers = {"Content-Type": "text/plain; charset=utf-8" if is_text else "application/json"}
    if (seconds := parameters.get("retry_after")) is not None:
        headers["Retry-After"] = str(seconds)
    return FaultResponse(status, headers, content.encode())
