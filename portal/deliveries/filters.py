"""Chips and menus of the log's filters. Each is a link to another text of the search."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from portal.deliveries.queries import TRIGGER
from portal.deliveries.search import Term
from webhooks.states import STATE_LABELS

MAX_WEBHOOKS = 30  # in the menu
TIME_KEYS = ("after", "before")
# Keys whose menu adds values to a term; the others have one value.
_SEVERAL = ("state", "status", "event", "webhook")


def chips(terms: Sequence[Term]) -> list[dict[str, str]]:
    """Return the terms, each with the search without it."""
    return [
        {"text": term.text, "without": join(each for each in terms if each is not term)}
        for term in terms
        if term.values
    ]


def menus(terms: Sequence[Term], webhooks: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the menus; that of webhooks, given as names by id, only if there are several."""
    values: list[tuple[str, str, list[tuple[str, str]]]] = [
        ("State", "state", list(STATE_LABELS.items())),
        (
            "Response",
            "status",
            [
                ("2xx", "2xx"),
                ("3xx", "3xx"),
                ("4xx", "4xx"),
                ("5xx", "5xx"),
                ("none", "no response"),
            ],
        ),
        (
            "Attempts",
            "attempts",
            [
                ("0", "not sent yet"),
                ("1", "one"),
                (">1", "more than one"),
                (">=5", "5 or more"),
            ],
        ),
        (
            "Event",
            "event",
            [
                ("pending", "to pending"),
                ("approved", "to approved"),
                ("failed", "to failed"),
                ("inquiring", "to inquiring"),
                (TRIGGER, "Trigger now"),
            ],
        ),
        (
            "Time",
            "after",
            [
                ("15min", "last 15 min"),
                ("1h", "last hour"),
                ("1d", "last day"),
                ("1w", "last week"),
            ],
        ),
    ]
    if len(webhooks) > 1:
        names = [(pk, f"{label} ({pk})") for pk, label in islice(webhooks.items(), MAX_WEBHOOKS)]
        values.insert(0, ("Webhook", "webhook", names))
    return [
        {"title": title, "options": _options(terms, key, pairs)} for title, key, pairs in values
    ]


def without_time(terms: Iterable[Term]) -> str:
    """Return the search without its times, to which the chart adds a range."""
    return join(term for term in terms if term.key not in TIME_KEYS)


def join(terms: Iterable[Term]) -> str:
    """Return the terms as the text of a search."""
    return " ".join(term.text for term in terms if term.text)


def _options(terms: Sequence[Term], key: str, pairs: list[tuple[str, str]]) -> list[dict[str, Any]]:
    """Return the values, each with the search with it, or without it if it is chosen."""
    at = next((n for n, term in enumerate(terms) if term.key == key), None)
    written = "" if at is None else terms[at].text.partition(":")[2]
    # A quoted value is replaced, because commas don't separate values in it.
    chosen = [] if written.startswith('"') else [each for each in written.split(",") if each]
    return [
        {
            "label": label,
            "text": _with(terms, at, key, _toggled(key, chosen, value)),
            "is_chosen": value in chosen,
        }
        for value, label in pairs
    ]


def _toggled(key: str, chosen: list[str], value: str) -> list[str]:
    if value in chosen:
        return [each for each in chosen if each != value]
    return [*chosen, value] if key in _SEVERAL else [value]


def _with(terms: Sequence[Term], at: int | None, key: str, values: list[str]) -> str:
    texts = [term.text for term in terms]
    text = f"{key}:{','.join(values)}" if values else ""
    if at is None:
        texts.append(text)
    else:
        texts[at] = text
    return " ".join(each for each in texts if each)
