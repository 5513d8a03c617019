"""JSON of responses, payloads and rows, by msgspec: several times faster than `json`. No Django.

Not by orjson, which refuses integers of more than 64 bits.
"""

from __future__ import annotations

from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode


def encode(value: Any) -> bytes:
    """Return JSON types as compact JSON in UTF-8; raises TypeError for other types.

    Numbers have to be finite, as `json_validation` makes sure: NaN would become null.
    """
    return _encode(value)
