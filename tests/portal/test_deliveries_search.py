"""What is typed to find deliveries: every text is either read or answered by a sentence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from portal.deliveries.search import KEYS, MAX_LENGTH, Between, SearchError, Term, parse
from tests import make
from tests.make import AT
from tests.portal.delivered import attempt, delivery, hook, ids
from tests.signed_in import vendor, world
from webhooks.models import Webhook

__all__ = ["hook", "vendor", "world"]

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
PIECES = st.sampled_from(
    [*(f"{key}:" for key in KEYS), '"', "\\", " ", ",", ">=500", "5xx", "1h", "2026-11-02T10:00",
     "failed", "WH-1", "foo:", ":", "0001-01-01T00:00+14:00", "999999w", "\0", "\ud800", "%", "٣h"]
)  # fmt: skip
typed = st.lists(PIECES | st.text(max_size=5), max_size=12).map("".join)


@hypothesis_settings(deadline=None, max_examples=500)
@given(typed)
def test_any_text_is_read_or_answered_by_a_sentence(text: str) -> None:
    try:
        terms = parse(text, NOW)
    except SearchError as refused:
        said = str(refused)
        assert said[0].isupper() or said.split(":")[0] in KEYS
        assert said.rstrip('"')[-1] in ".)" or said.endswith('".')
    else:
        assert all(term.key in ("", *KEYS) for term in terms)


@hypothesis_settings(deadline=None, max_examples=100)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1,
                        max_size=8), min_size=1, max_size=4))  # fmt: skip
def test_what_stands_in_quotation_marks_is_searched_for_as_it_is(words: list[str]) -> None:
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
def test_values_are_read_by_their_key(text: str, values: tuple[Any, ...]) -> None:
    [term] = parse(text, NOW)
    assert term.values == values


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("foo:bar", "Nothing can be searched for by foo: there are webhook, object, "),
        ("http://x/", 'put it in quotation marks: "http://x/".'),
        ("status:abc", "Write status:404, status:>=500"),
        ("state:gone", "It is one of waiting, calling, delivered, failed, cancelled."),
        ("after:yesterday", "after:1h for an hour ago"),
        ("object:", "needs a value, as in object:PR-"),
        ('body:"x', "A quotation mark is not closed"),
        ('a"b', "A quotation mark is not closed or stands within a word: "),
        ("x" * (MAX_LENGTH + 1), "at most 500 characters"),
        ("x " * 30, "at most 20 terms"),
        ("\0", "can't be searched for"),
    ],
)
def test_what_cannot_be_read_says_what_to_do(text: str, sentence: str) -> None:
    with pytest.raises(SearchError) as caught:
        parse(text, NOW)
    assert sentence in str(caught.value)


@hypothesis_settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=typed)
def test_no_search_makes_the_page_fail(vendor: Client, hook: Webhook, text: str) -> None:
    answer = vendor.get("/deliveries/", {"q": text.encode("utf-8", "replace")})
    assert answer.status_code == (400 if "\0" in text else 200)


def test_a_wrong_search_keeps_what_was_typed(vendor: Client, hook: Webhook) -> None:
    delivery(hook)
    page = vendor.get("/deliveries/", {"q": 'foo:"<b>'}).content.decode()
    assert 'value="foo:&quot;&lt;b&gt;"' in page
    assert 'aria-describedby="q-error"' in page and "A quotation mark is not closed" in page
    assert "mend the search above" in page


@pytest.fixture
def found(hook: Webhook, world: make.World) -> dict[str, int]:
    """Three deliveries: one that failed first, one of another webhook, one that waits."""
    a = delivery(hook, "PR-1111-1111-1111-001", "PR-2222-2222-2222-001")
    attempt(a, "failure", status_code=503, response_body=b"\xff upstream \xe2\x82\xac down")
    attempt(a)
    other = make.webhook(world, n=2, label="Billing, 100%")
    b = delivery(other, state="failed", created_at=AT.replace(day=2))
    attempt(b, "failure", status_code=None, error="unknown host", method="GET")
    c = delivery(hook, "PR-3333-3333-3333-001", state="waiting", created_at=AT.replace(day=3))
    return {"a": a.pk, "b": b.pk, "c": c.pk}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", "cba"), ("webhook:WH-000-000-001", "ca"), ("webhook:wh-000-000-002", "b"),
        ('webhook:"100%"', "b"), ("webhook:1009", ""), ("status:>=500", "a"), ("status:none", "b"),
        ("status:2xx", "a"), ("status:5xx outcome:success", ""), ("state:waiting,failed", "cb"),
        ("outcome:failure", "ba"), ("object:PR-2222", "a"), ("object:pr-3333-3333-3333-001", "c"),
        ("method:GET", "b"), ('body:"upstream € down"', "a"), ('body:"Upstream"', ""),
        ('body:"fulfillment_requests"', "ba"), ('body:"\\"ok\\": true"', "ba"),
        ("before:2026-11-02", "a"), ("after:2026-11-02", "cb"), ("billing", "b"), ("3333", "c"),
        ('"unknown host"', "b"), ("unknown waiting", ""), ("WH-000-000-001", "ca"), ("%", "b"),
        ('""', "cba"),
    ],
)  # fmt: skip
def test_deliveries_are_found_by(
    vendor: Client, found: dict[str, int], text: str, names: str
) -> None:
    answer = vendor.get("/deliveries/", {"q": text})
    rows = [row.pk for row in answer.context["log"].rows]
    assert rows == [found[name] for name in names]


def test_a_delivery_is_shown_by_the_call_that_was_searched_for(
    vendor: Client, found: dict[str, int]
) -> None:
    page = vendor.get("/deliveries/", {"q": "status:503"}).content.decode()
    assert f'href="/deliveries/{found["a"]}/?attempt=1"' in page and "1 of 2" in page
    page = vendor.get("/deliveries/", {"q": "webhook:WH-000-000-001"}).content.decode()
    assert f'href="/deliveries/{found["a"]}/"' in page


def test_texts_are_looked_for_in_the_newest_and_the_page_says_so(
    vendor: Client, found: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.deliveries.queries.LOOKED_AT", 1)
    assert ids(vendor, "?q=body:upstream") == []
    assert ids(vendor, "?q=body:ok") == [found["b"]]
    assert ids(vendor, "?q=2222") == []
    page = vendor.get("/deliveries/?q=body:upstream").content.decode()
    assert "in the newest 10,000 only" in page and "hx-get" not in page
    assert ids(vendor, "?q=status:5xx") == [found["a"]]
