"""Which JSON values every database of ours can store; one check for the API, forms and rules."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

MAX_DEPTH = 60


def check(value: Any) -> Any:
    """Return the value; raises ValueError with a sentence where it can't be stored.

    Nesting is capped, because what is stored is walked again by recursion; NUL and lone
    surrogates are refused, because PostgreSQL has neither, and numbers that are none, which
    Python makes of `1e400`.
    """
    for item, depth in _walk(value):
        if depth > MAX_DEPTH:
            raise ValueError(f"This is nested deeper than {MAX_DEPTH} levels.")
        if isinstance(item, float):
            if not math.isfinite(item):
                raise ValueError("This has a number that is too large.")
        elif "\0" in item or any("\ud800" <= c <= "\udfff" for c in item):
            raise ValueError(
                "This has characters that can't be stored (NUL, or half of a surrogate pair)."
            )
    return value


def _walk(value: Any) -> Iterator[tuple[str | float, int]]:
    stack = [(value, 0)]
    while stack:
        item, depth = stack.pop()
        if depth > MAX_DEPTH:
            yield "", depth
        elif isinstance(item, (str, float)):
            yield item, depth
        elif isinstance(item, list):
            stack += [(v, depth + 1) for v in item]
        elif isinstance(item, dict):
            stack += [(k, depth) for k in item]
            stack += [(v, depth + 1) for v in item.values()]
