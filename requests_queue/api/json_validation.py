"""JSON as standards and databases have it: no NaN, and nothing that one cannot store."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

MAX_DEPTH = 60


class NotStorable(ValueError):
    """A value that cannot be stored; the text is a message, `path` its dotted path."""

    def __init__(self, sentence: str, keys: tuple[str, ...]) -> None:
        super().__init__(sentence)
        self.path = ".".join(keys)[:200]


def parse_json(text: str | bytes) -> Any:
    """Return the value of a JSON text; raises ValueError, also for NaN and Infinity."""
    return json.loads(text, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> Any:
    # Python's parser accepts NaN and Infinity, which are not JSON.
    raise ValueError(f"{name} is not JSON.")


def validate_json(value: Any) -> Any:
    """Return the value; raises NotStorable if it cannot be stored.

    Limits nesting, because stored values are processed by recursion, and rejects NUL and lone
    surrogates, which PostgreSQL cannot store, and infinity, which Python reads from `1e400`.
    """
    for item, depth, keys in _walk(value):
        if depth > MAX_DEPTH:
            raise NotStorable(f"This is nested deeper than {MAX_DEPTH} levels.", keys)
        if isinstance(item, float):
            if not math.isfinite(item):
                raise NotStorable("This contains a number that is too large.", keys)
        elif "\0" in item or any("\ud800" <= c <= "\udfff" for c in item):
            raise NotStorable(
                "This contains characters that cannot be stored (NUL or half a surrogate pair).",
                keys,
            )
    return value


def _walk(value: Any) -> Iterator[tuple[str | float, int, tuple[str, ...]]]:
    """Yield the texts and floats of a value, with their depth and keys.

    The keys of an object come before its values, so that an invalid key is in no path.
    """
    stack: list[tuple[Any, int, tuple[str, ...]]] = [(value, 0, ())]
    while stack:
        item, depth, keys = stack.pop()
        if depth > MAX_DEPTH:
            yield "", depth, keys
        elif isinstance(item, (str, float)):
            yield item, depth, keys
        elif isinstance(item, list):
            stack += [(v, depth + 1, keys) for v in item]
        elif isinstance(item, dict):
            stack += [(v, depth + 1, (*keys, k)) for k, v in item.items()]
            stack += [(k, depth, keys) for k in item]
