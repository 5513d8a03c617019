"""Whether the values of a body are of the JSON types that our OpenAPI document gives them.

The types are those of `schema.py` and its like, which the document is made of. What is null or not
there, what no type names, and which words, lengths and ids are right is left to who reads the body.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from functools import cache
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from requests_queue.errors import FieldError
from requests_queue.schema import Day, GivenDate, Stamp

_hints = cache(get_type_hints)
_DATES = (Stamp, Day, GivenDate)
# Texts that are never numbers: 0 names no object.
_IDS = ("id", "global_id")


def errors(value: Any, hint: Any, path: str = "") -> Iterator[FieldError]:
    """Yield what is wrong with a value, and with the values within it, by path."""
    if value is None:
        return
    kinds = list(_alternatives(hint))
    is_id = path.rpartition(".")[2] in _IDS
    fits = next((kind for kind in kinds if _fits(value, kind, is_id=is_id)), None)
    if fits is None:
        yield FieldError(path, _sentence(kinds[0], value))
    elif is_typeddict(fits):
        for name, inner in _hints(fits, include_extras=True).items():
            yield from errors(value.get(name), inner, f"{path}.{name}".lstrip("."))
    elif get_origin(fits) is list:
        for entry in value:
            yield from errors(entry, get_args(fits)[0], path)


def _alternatives(hint: Any) -> Iterator[Any]:
    """Yield the types that a hint allows, without null and without what is said beside a type."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Required, NotRequired, Annotated) and hint not in _DATES:
        yield from _alternatives(inner[0])
    elif origin in (Union, types.UnionType):
        for each in inner:
            yield from _alternatives(each)
    elif hint is not type(None):
        yield hint


def _fits(value: Any, kind: Any, *, is_id: bool) -> bool:
    origin = get_origin(kind)
    if kind is Any or kind is object:
        return True
    if is_typeddict(kind) or origin is dict:
        return isinstance(value, Mapping)
    if origin is list:
        return isinstance(value, list)
    if kind is bool:
        return isinstance(value, bool)
    if origin is Literal or kind in _DATES:
        # 0 is no word and no date.
        return isinstance(value, str)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is not str:
        return number
    # Connect takes a number for its digits.
    return isinstance(value, str) or (number and not is_id)


def _sentence(kind: Any, value: Any) -> str:
    origin = get_origin(kind)
    if is_typeddict(kind) or origin is dict:
        return "Expected an object."
    if origin is list:
        return f'Expected a list of items but got type "{type(value).__name__}".'
    if origin is Literal:
        return f'"{value}" is not a valid choice.'
    if kind in _DATES:
        return "Not a valid date."
    if kind is bool:
        return "Must be a valid boolean."
    if kind is int:
        return "A valid integer is required."
    return "A valid number is required." if kind is float else "Not a valid string."
