"""Rules for the custom headers of a webhook, checked when it is saved.

The client checks each header again before it is sent. No ORM, no Django.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from requests_queue.redaction import MASK

MAX_HEADERS = 20
MAX_BYTES = 4096

# They frame the message or control the connection: a custom value could split a request in two.
FRAMING = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_TOKEN_HEADERS = frozenset({"authorization", "authentication"})

# Pages mask the values of all others, since a header is often a credential.
HARMLESS = _TOKEN_HEADERS | {
    "accept",
    "accept-language",
    "cache-control",
    "content-type",
    "user-agent",
}

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class HeaderRefused(ValueError):
    """A header that a webhook can't have; `name` is its name, the text says why."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


def check_headers(headers: Mapping[Any, Any]) -> dict[str, str]:
    """Return the headers as they will be sent; raises HeaderRefused for the first invalid one."""
    if not isinstance(headers, Mapping):
        raise HeaderRefused("", "The headers must be pairs of a name and a value.")
    if len(headers) > MAX_HEADERS:
        raise HeaderRefused("", f"A webhook may have at most {MAX_HEADERS} headers.")
    checked: dict[str, str] = {}
    names: dict[str, str] = {}
    for name, value in headers.items():
        check_written(name, value)
        _check_owner(name)
        if first := names.get(name.lower()):
            raise HeaderRefused(name, f"{name} is the same header as {first}: keep one of them.")
        names[name.lower()] = name
        # Whitespace around a value is not part of it (RFC 9110, 5.5).
        checked[name] = value.strip(" \t")
        if len(name) + len(checked[name]) > MAX_BYTES:
            raise HeaderRefused(
                name, f"The header {name[:100]} is longer than {MAX_BYTES} bytes, name included."
            )
    return checked


def check_written(name: Any, value: Any) -> None:
    """Raise HeaderRefused if the header can't be written as HTTP."""
    if not isinstance(name, str) or not name:
        raise HeaderRefused("", "A header needs a name.")
    if not _TOKEN.fullmatch(name):
        raise HeaderRefused(
            name,
            f"{name[:100]!r} is not a valid header name: use letters, digits and hyphens.",
        )
    if not isinstance(value, str):
        raise HeaderRefused(name, f"The value of the header {name[:100]} must be text.")
    if CONTROL.search(value):
        raise HeaderRefused(
            name,
            f"The value of the header {name[:100]} may not contain line breaks "
            f"or other control characters.",
        )
    if not value.isascii():
        # It would be sent as UTF-8, and most frameworks decode Latin-1.
        raise HeaderRefused(
            name,
            f"The value of the header {name[:100]} may contain only ASCII characters: receivers "
            f"decode others differently. Encode them, for example with percent signs.",
        )


def check_sent(headers: Mapping[str, str]) -> None:
    """Raise HeaderRefused if a header of a request would not be sent as it is."""
    for name, value in headers.items():
        check_written(name, value)
        if name.lower() in FRAMING:
            raise HeaderRefused(
                name, f"The header {name} is reserved for the connection and cannot be set."
            )


def _check_owner(name: str) -> None:
    lower = name.lower()
    if lower in _TOKEN_HEADERS:
        raise HeaderRefused(name, f"{name} is reserved: it carries the JWT.")
    if lower in FRAMING or lower.startswith("proxy-"):
        raise HeaderRefused(name, f"{name} is reserved for the connection and cannot be set.")
    if lower == "accept-encoding":
        raise HeaderRefused(name, f"{name} cannot be set: responses are not decompressed.")


def secret_values(headers: Mapping[str, str]) -> list[str]:
    """Return the values that pages mask."""
    return [value for name, value in headers.items() if value and name.lower() not in HARMLESS]


def masked(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers with masked values, as pages show them."""
    return {
        name: value if name.lower() in HARMLESS or not value else MASK
        for name, value in headers.items()
    }


def unmasked(headers: Mapping[str, Any], current: Mapping[str, str]) -> dict[str, Any]:
    """Return the headers of a form, with stored values in place of masks.

    Raises HeaderRefused for a mask of a header that has no stored value.
    """
    values = {name.lower(): value for name, value in current.items()}
    result: dict[str, Any] = {}
    for name, value in headers.items():
        if value == MASK:
            if name.lower() not in values:
                raise HeaderRefused(
                    name, f"The value of {name[:100]} is not stored: enter it instead of {MASK}."
                )
            value = values[name.lower()]
        result[name] = value
    return result
