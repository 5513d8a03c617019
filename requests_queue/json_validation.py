"""Which JSON values every database of ours can store; one check for the API, forms and rules."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

MAX_DEPTH = 60


class NotStorable(ValueError):
    """A value that can't be stored; the text is a sentence, `path` where in the whole it is."""

    def __init__(self, sentence: str, keys: tuple[str, ...]) -> None:
        super().__init__(sentence)
        self.path = ".".join(keys)[:200]


def validate_json(value: Any) -> Any:
    """Return the value; raises NotStorable with a sentence where it can't be stored.

    Nesting is capped, because what is stored is walked again by recursion; NUL and lone
    surrogates are refused, because PostgreSQL has neither, and numbers that are none, which
    Python makes of `1e400`.
    """
    for item, depth, keys in _walk(value):
        if depth > MAX_DEPTH:
            raise NotStorable(f"This is nested deeper than {MAX_DEPTH} levels.", keys)
        if isinstance(item, float):
            if not math.isfinite(item):
                raise NotStorable("This has a number that is too large.", keys)
        elif "\0" in item or any("\ud800" <= c <= "\udfff" for c in item):
            raise NotStorable(
                "This has characters that can't be stored (NUL, or half of a surrogate pair).", keys
            )
    return value


def _walk(value: Any) -> Iterator[tuple[str | float, int, tuple[str, ...]]]:
    """Yield the texts and fractions of a value, with how deep they are, and under which keys.

    The keys of an object come before its values, so a bad one is in no path.
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
