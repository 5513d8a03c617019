"""The rules for headers that a webhook brings along: checked when it is saved.

`transport` looks at each header once more before it is written. No ORM, no Django.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MAX_HEADERS = 20
MAX_BYTES = 4096

# They frame the message or steer the connection: set by hand, they let one request pose as two.
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
_SIGNER = frozenset({"authorization", "authentication"})

# Pages show the values of all others as MASK: a header of a webhook is often a credential.
HARMLESS = _SIGNER | {"accept", "accept-language", "cache-control", "content-type", "user-agent"}
MASK = "\N{BULLET}" * 8

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class HeaderRefused(ValueError):
    """A header that a webhook can't have; `name` is the header's, the text says why."""

    def __init__(self, name: str, sentence: str) -> None:
        super().__init__(sentence)
        self.name = name


def check_headers(headers: Mapping[Any, Any]) -> dict[str, str]:
    """Return the headers as they will be sent; raises HeaderRefused for the first that can't be."""
    if not isinstance(headers, Mapping):
        raise HeaderRefused("", "The headers must be pairs of a name and a value.")
    if len(headers) > MAX_HEADERS:
        raise HeaderRefused("", f"A webhook may have at most {MAX_HEADERS} headers.")
    kept: dict[str, str] = {}
    seen: dict[str, str] = {}
    for name, value in headers.items():
        check_written(name, value)
        _check_owner(name)
        if first := seen.get(name.lower()):
            raise HeaderRefused(name, f"{name} is the same header as {first}: keep one of them.")
        seen[name.lower()] = name
        # White space around a value is no part of it (RFC 9110, 5.5).
        kept[name] = value.strip(" \t")
        if len(name) + len(kept[name]) > MAX_BYTES:
            raise HeaderRefused(
                name, f"The header {name[:100]} is longer than {MAX_BYTES} bytes, name included."
            )
    return kept


def check_written(name: Any, value: Any) -> None:
    """Raise HeaderRefused if the header can't be written as HTTP."""
    if not isinstance(name, str) or not name:
        raise HeaderRefused("", "A header needs a name.")
    if not _TOKEN.fullmatch(name):
        raise HeaderRefused(
            name,
            f"{name[:100]!r} can't be the name of a header: use letters, digits and hyphens.",
        )
    if not isinstance(value, str):
        raise HeaderRefused(name, f"The value of the header {name[:100]} must be text.")
    if _CONTROL.search(value):
        raise HeaderRefused(
            name,
            f"The value of the header {name[:100]} may not contain line breaks "
            f"or other control characters.",
        )
    if not value.isascii():
        # Sent as UTF-8 and read as Latin-1 by most frameworks, it would arrive as something else.
        raise HeaderRefused(
            name,
            f"The value of the header {name[:100]} may contain ASCII only: receivers don't agree "
            f"how to read other characters. Encode them, for instance by percent signs.",
        )


def _check_owner(name: str) -> None:
    lower = name.lower()
    if lower in _SIGNER:
        raise HeaderRefused(name, f"{name} belongs to the signer: it carries the JWT.")
    if lower in FRAMING or lower.startswith("proxy-"):
        raise HeaderRefused(name, f"{name} belongs to the connection and can't be set by hand.")
    if lower == "accept-encoding":
        raise HeaderRefused(name, f"{name} can't be set: answers are taken as they are sent.")


def masked(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers as pages show them."""
    return {
        name: value if name.lower() in HARMLESS or not value else MASK
        for name, value in headers.items()
    }


def unmasked(headers: Mapping[str, Any], stored: Mapping[str, str]) -> dict[str, Any]:
    """Return headers of a form, with the stored values in place of masks.

    Raises HeaderRefused for a mask under a name that has no stored value.
    """
    known = {name.lower(): value for name, value in stored.items()}
    found: dict[str, Any] = {}
    for name, value in headers.items():
        if value == MASK:
            if name.lower() not in known:
                raise HeaderRefused(
                    name, f"The value of {name[:100]} is not known: type it instead of {MASK}."
                )
            value = known[name.lower()]
        found[name] = value
    return found
