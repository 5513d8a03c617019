"""JSON of responses, payloads and rows, by msgspec: several times faster than `json`. No Django.

Not by orjson, which refuses integers of more than 64 bits.
"""

from __future__ import annotations

from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode


def encode(value: Any) -> bytes:
    """Return a value as compact JSON in UTF-8, bytes in Base64.

    Raises TypeError (also for subclasses of str, int and float), ValueError (half of a surrogate
    pair, integers of more than 4,300 digits) and RecursionError. Numbers have to be finite, as
    `json_validation` makes sure: NaN would become null.
    """
    return _encode(value)
