"""The responses of handlers in the OpenAPI document."""

from typing import TypedDict


class Response(TypedDict, total=False):
    """The handler's response, up to 64 KiB of its body; empty without a response."""

    headers: dict[str, str]
    body: str
