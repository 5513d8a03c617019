"""The search language of deliveries, parsed into terms: no ORM, no Django.

`webhook:WH-100-000-001 status:>=500 after:1h "no response"`: terms are ANDed, comma-separated
values are ORed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from webhooks.states import OUTCOMES, STATE_LABELS, STATES

MAX_LENGTH = 500
MAX_TERMS = 20

METHODS = ("POST", "GET")

_TOKEN = re.compile(r'(?:([A-Za-z]+):)?(?:"((?:\\.|[^"\\])*)"|([^\s"]+))?(?=\s|$)', re.DOTALL)
_STATUS = re.compile(r"(>=|<=|>|<|=|)([0-9]{3})")
_COUNT = re.compile(r"(>=|<=|>|<|=|)([0-9]{1,6})")
_MAX_COUNT = 10**6
_STATUS_CLASS = re.compile(r"([1-9])xx", re.IGNORECASE)
_AGO = re.compile(r"([0-9]{1,6}) ?(s|min|m|h|d|w)", re.IGNORECASE)
_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_SPACE = re.compile(r"\s*")


class SearchError(ValueError):
    """An invalid search; the message says how to correct it."""


class Between(NamedTuple):
    """A range of numbers, both ends included."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Term:
    """One condition: its key (empty for a free word) and values, one of which must match.

    Values are text, Between for `status` (None: no response) and `attempts`, datetimes for `before`
    and `after`. `text` is how the user wrote it.
    """

    key: str
    values: tuple[Any, ...]
    text: str = field(default="", compare=False)


def parse(text: str, now: datetime) -> tuple[Term, ...]:
    """Return the terms of a search; raises SearchError."""
    if len(text) > MAX_LENGTH:
        raise SearchError(f"Use at most {MAX_LENGTH} characters.")
    if "\0" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise SearchError("Remove the characters that are not valid text.")
    terms: list[Term] = []
    at = _skip_space(text, 0)
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.end() == at:
            rest = text[at : at + 20] + ("…" if len(text) > at + 20 else "")
            raise SearchError(
                f'Unbalanced quotation mark near: {rest}. Quote the whole value, and write \\" '
                "for a quotation mark inside it."
            )
        terms.append(_term(match, now))
        at = _skip_space(text, match.end())
    if len(terms) > MAX_TERMS:
        raise SearchError(f"Use at most {MAX_TERMS} terms.")
    return tuple(terms)


def _skip_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _term(match: re.Match[str], now: datetime) -> Term:
    key, quoted, plain = match[1], match[2], match[3]
    value = re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL) if quoted is not None else plain or ""
    if key is None:
        return Term("", (value,) if value else (), match[0])
    key = key.lower()
    if key not in _KEYS:
        raise SearchError(
            f"Unknown filter '{key}'. Available: {', '.join(_KEYS)}. To search for the text "
            f'itself, quote it: "{match[0][:60]}".'
        )
    read, splits, example = _KEYS[key]
    if not value:
        raise SearchError(f"{key}: requires a value, as in {example}.")
    values = value.split(",") if splits and quoted is None else [value]
    read_values = tuple(read(key, each, now) for each in values if each)
    return Term(key, read_values or (value,), match[0])


def _text(key: str, value: str, now: datetime) -> str:
    return value


def _one_of(*allowed: str) -> Callable[[str, str, datetime], str]:
    def read(key: str, value: str, now: datetime) -> str:
        for each in allowed:
            if value.lower() == each.lower():
                return each
        raise SearchError(f"Unknown value {key}:{value[:40]}. Available: {', '.join(allowed)}.")

    return read


def _state(key: str, value: str, now: datetime) -> str:
    """Return a state, which may be written as pages name it: `in-flight`."""
    written = value.lower().replace(" ", "-")
    labels = {label.lower().replace(" ", "-"): state for state, label in STATE_LABELS.items()}
    return _one_of(*STATES)(key, labels.get(written, value), now)


def _status(key: str, value: str, now: datetime) -> Between | None:
    if value.lower() == "none":
        return None
    if match := _STATUS_CLASS.fullmatch(value):
        return Between(int(match[1]) * 100, int(match[1]) * 100 + 99)
    match = _STATUS.fullmatch(value)
    if match is None:
        raise SearchError(
            f"Invalid value status:{value[:40]}. Use status:404, status:>=500, status:<300, "
            "status:5xx, or status:none for attempts without a response."
        )
    return _range(match[1], int(match[2]), 999)


def _attempts(key: str, value: str, now: datetime) -> Between:
    match = _COUNT.fullmatch(value)
    if match is None:
        raise SearchError(
            f"Invalid value attempts:{value[:40]}. Use attempts:1, attempts:>1, attempts:>=3, or "
            "attempts:0 for deliveries that were not sent yet."
        )
    return _range(match[1], int(match[2]), _MAX_COUNT)


def _range(operator: str, number: int, highest: int) -> Between:
    return {
        ">=": Between(number, highest),
        ">": Between(number + 1, highest),
        "<=": Between(0, number),
        "<": Between(0, number - 1),
    }.get(operator, Between(number, number))


def _datetime(key: str, value: str, now: datetime) -> datetime:
    try:
        if match := _AGO.fullmatch(value):
            return now - timedelta(seconds=int(match[1]) * _UNITS[match[2].lower()])
        at = datetime.fromisoformat(value)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise SearchError(
            f"Invalid value {key}:{value[:40]}. Use {key}:2026-11-02T10:00 (UTC), "
            f"{key}:2026-11-02, or {key}:1h for an hour ago (s, min, h, d, w)."
        ) from None


# For each key: how to read a value, whether commas separate values, and an example.
_KEYS: dict[str, tuple[Callable[[str, str, datetime], Any], bool, str]] = {
    "webhook": (_text, True, 'webhook:WH-100-000-001 or webhook:"its name"'),
    "object": (_text, True, "object:PR-2934-6610-1178-001"),
    "event": (_text, True, "event:pending, or event:trigger for Trigger now"),
    "status": (_status, True, "status:>=500"),
    "state": (_state, True, "state:failed"),
    "attempts": (_attempts, True, "attempts:>1"),
    "outcome": (_one_of(*OUTCOMES), True, "outcome:failure"),
    "method": (_one_of(*METHODS), True, "method:GET"),
    "body": (_text, False, 'body:"some text"'),
    "before": (_datetime, False, "before:2026-11-02T10:00"),
    "after": (_datetime, False, "after:1h"),
}
KEYS = tuple(_KEYS)
