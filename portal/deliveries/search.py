"""What a person types to find deliveries, read into terms: pure, no ORM, no Django.

`webhook:WH-100-000-001 status:>=500 after:1h "no answer"`: every term must hold, and of values
that a comma parts one must. What can't be read is a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from webhooks.delivery.retry import OUTCOMES, STATES

MAX_LENGTH = 500
MAX_TERMS = 20

METHODS = ("POST", "GET")

_TOKEN = re.compile(r'(?:([A-Za-z]+):)?(?:"((?:\\.|[^"\\])*)"|([^\s"]+))?(?=\s|$)', re.DOTALL)
_STATUS = re.compile(r"(>=|<=|>|<|=|)([0-9]{3})")
_CLASS = re.compile(r"([1-9])xx", re.IGNORECASE)
_AGO = re.compile(r"([0-9]{1,6}) ?(s|min|m|h|d|w)", re.IGNORECASE)
_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_SPACE = re.compile(r"\s*")


class SearchError(ValueError):
    """A search that can't be read; the text says what to do about it."""


class Between(NamedTuple):
    """HTTP statuses, both ends included."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Term:
    """One condition: its key (empty for a free word), and values of which one must fit.

    Values are text, or Between for `status` (None: no answer), or a moment for `before`, `after`.
    """

    key: str
    values: tuple[Any, ...]


def parse(text: str, now: datetime) -> tuple[Term, ...]:
    """Return the terms of a search; raises NotUnderstood with a sentence."""
    if len(text) > MAX_LENGTH:
        raise SearchError(f"A search may have at most {MAX_LENGTH} characters.")
    if "\0" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise SearchError("This has characters that can't be searched for: remove them.")
    terms: list[Term] = []
    at = _skip(text, 0)
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.end() == at:
            raise SearchError(
                f"A quotation mark is not closed or stands within a word: {_near(text, at)} Put "
                'the whole text in quotation marks, and write \\" for one within it.'
            )
        terms.append(_term(match, now))
        at = _skip(text, match.end())
    if len(terms) > MAX_TERMS:
        raise SearchError(f"A search may have at most {MAX_TERMS} terms.")
    return tuple(terms)


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _near(text: str, at: int) -> str:
    piece = text[at : at + 20]
    return f"{piece}…" if len(text) > at + 20 else f"{piece}."


def _term(match: re.Match[str], now: datetime) -> Term:
    key, quoted, plain = match[1], match[2], match[3]
    value = re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL) if quoted is not None else plain or ""
    if key is None:
        return Term("", (value,)) if value else Term("", ())
    key = key.lower()
    if key not in _KEYS:
        raise SearchError(
            f"Nothing can be searched for by {key}: there are {', '.join(_KEYS)}. To search for "
            f'this very text, put it in quotation marks: "{match[0][:60]}".'
        )
    read, splits, example = _KEYS[key]
    if not value:
        raise SearchError(f"{key}: needs a value, as in {example}.")
    values = value.split(",") if splits and quoted is None else [value]
    return Term(key, tuple(read(key, each, now) for each in values if each) or (value,))


def _text(key: str, value: str, now: datetime) -> str:
    return value


def _one_of(*allowed: str) -> Callable[[str, str, datetime], str]:
    def read(key: str, value: str, now: datetime) -> str:
        for each in allowed:
            if value.lower() == each.lower():
                return each
        raise SearchError(f"{key}:{value[:40]} is none. It is one of {', '.join(allowed)}.")

    return read


def _status(key: str, value: str, now: datetime) -> Between | None:
    if value.lower() == "none":
        return None
    if match := _CLASS.fullmatch(value):
        return Between(int(match[1]) * 100, int(match[1]) * 100 + 99)
    match = _STATUS.fullmatch(value)
    if match is None:
        raise SearchError(
            f"status:{value[:40]} can't be read. Write status:404, status:>=500, status:<300, "
            "status:5xx, or status:none for calls without an answer."
        )
    code = int(match[2])
    return {
        ">=": Between(code, 999), ">": Between(code + 1, 999), "<=": Between(0, code),
        "<": Between(0, code - 1),
    }.get(match[1], Between(code, code))  # fmt: skip


def _moment(key: str, value: str, now: datetime) -> datetime:
    try:
        if match := _AGO.fullmatch(value):
            return now - timedelta(seconds=int(match[1]) * _UNITS[match[2].lower()])
        found = datetime.fromisoformat(value)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise SearchError(
            f"{key}:{value[:40]} is no moment. Write {key}:2026-11-02T10:00 (UTC), "
            f"{key}:2026-11-02, or {key}:1h for an hour ago (s, min, h, d, w)."
        ) from None


# How each key is read, whether commas part its values, and an example.
_KEYS: dict[str, tuple[Callable[[str, str, datetime], Any], bool, str]] = {
    "webhook": (_text, True, 'webhook:WH-100-000-001 or webhook:"its name"'),
    "object": (_text, True, "object:PR-2934-6610-1178-001"),
    "status": (_status, True, "status:>=500"),
    "state": (_one_of(*STATES), True, "state:failed"),
    "outcome": (_one_of(*OUTCOMES), True, "outcome:failure"),
    "method": (_one_of(*METHODS), True, "method:GET"),
    "body": (_text, False, 'body:"some text"'),
    "before": (_moment, False, "before:2026-11-02T10:00"),
    "after": (_moment, False, "after:1h"),
}
KEYS = tuple(_KEYS)
