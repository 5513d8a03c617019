"""The search of deliveries: every text is either parsed or refused with a message."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.deliveries.search import KEYS, MAX_LENGTH, Between, SearchError, Term, parse
from tests.hypothesis_profiles import examples
from tests.unit.portal.search_texts import typed
from webhooks.states import STATES

NOW = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)


@examples(200)
@given(typed)
def test_any_text_is_parsed_or_refused_with_a_message(text: str) -> None:
    try:
        terms = parse(text, NOW)
    except SearchError as refused:
        message = str(refused)
        assert message[0].isupper() or message.split(":")[0] in KEYS
        assert message[-1] == "."
    else:
        assert all(term.key in ("", *KEYS) for term in terms)


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8),
        min_size=1,
        max_size=4,
    )
)
def test_quoted_text_is_searched_literally(words: list[str]) -> None:
    quoted = ['"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"' for word in words]
    assert parse(" ".join(quoted), NOW) == tuple(Term("", (word,)) for word in words)
    assert parse(" ".join(f"body:{word}" for word in quoted), NOW) == tuple(
        Term("body", (word,)) for word in words
    )


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("status:404", (Between(404, 404),)),
        ("status:=404", (Between(404, 404),)),
        ("status:>=500", (Between(500, 999),)),
        ("status:>500", (Between(501, 999),)),
        ("status:<300", (Between(0, 299),)),
        ("status:<=300", (Between(0, 300),)),
        ("STATUS:5XX,none", (Between(500, 599), None)),
        ("state:Failed,waiting", ("failed", "waiting")),
        ("method:get", ("GET",)),
        ('webhook:"a, b"', ("a, b",)),
        ("before:2026-11-02T10:00", (datetime(2026, 11, 2, 10, tzinfo=UTC),)),
        ("before:2026-11-02T10:00+02:00", (datetime(2026, 11, 2, 8, tzinfo=UTC),)),
        ("after:2026-11-02", (datetime(2026, 11, 2, tzinfo=UTC),)),
        ("after:90min", (NOW - timedelta(minutes=90),)),
        ("127.0.0.1:8080", ("127.0.0.1:8080",)),
    ],
)
def test_values_are_parsed_by_key(text: str, values: tuple[Any, ...]) -> None:
    [term] = parse(text, NOW)
    assert term.values == values


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("foo:bar", "Unknown filter 'foo'. Available: webhook, object, "),
        ("http://x/", 'quote it: "http://x/".'),
        ("status:abc", "Use status:404, status:>=500"),
        ("state:gone", f"Available: {', '.join(STATES)}."),
        ("after:yesterday", "after:1h for an hour ago"),
        ("object:", "requires a value, as in object:PR-"),
        ('body:"x', "Unbalanced quotation mark near: body"),
        ('a"b', "Unbalanced quotation mark near: a"),
        ("x" * (MAX_LENGTH + 1), "at most 500 characters"),
        ("x " * 30, "at most 20 terms"),
        ("\0", "not valid text"),
    ],
)
def test_invalid_search_says_how_to_correct_it(text: str, sentence: str) -> None:
    with pytest.raises(SearchError) as caught:
        parse(text, NOW)
    assert sentence in str(caught.value)
