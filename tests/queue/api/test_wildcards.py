"""`like` and `ilike` match the same on every database, without regular expressions."""

from __future__ import annotations

import re
import time
from urllib.parse import quote

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import example, given
from hypothesis import strategies as st
from py_rql.constants import FilterLookups
from py_rql.exceptions import RQLFilterValueError

from requests_queue.api import filter_tables, wildcards
from requests_queue.queues.fulfillment.models import Request
from tests.api import Caller, ids
from tests.hypothesis_profiles import examples

pytestmark = pytest.mark.django_db

NOTES = {
    "Plain": "Plain",
    "50% off": "50% off",
    "under_score": "under_score",
    "underXscore": "underXscore",
    "[a-z]": "[a-z]",
    "what?": "what?",
    "star*light": "star*light",
    "back\\slash": "back\\slash",
    "two\nlines": "two\nlines",
    "École": "École",
    "(a|b)+$": "(a|b)+$",
}


@pytest.fixture
def noted(vendor: Caller) -> dict[str, str]:
    """Requests with these notes: note -> id."""
    keys = list(Request.objects.filter(vendor="VA-610-138").values_list("pk", flat=True))
    Request.objects.update(note="")
    pks = dict(zip(NOTES.values(), keys, strict=False))
    for note, pk in pks.items():
        Request.objects.filter(pk=pk).update(note=note)
    assert len(pks) == len(NOTES)
    return pks


def test_patterns_match_literally_and_by_case(vendor: Caller, noted: dict[str, str]) -> None:
    for query, expected in [
        ("like(note,Plain)", ["Plain"]),
        ("like(note,plain)", []),
        ("ilike(note,plain)", ["Plain"]),
        ("like(note,*lai*)", ["Plain"]),
        ("like(note,*LAI*)", []),
        ("ilike(note,*LAI*)", ["Plain"]),
        ("like(note,P*i*n)", ["Plain"]),
        ("like(note,p*i*n)", []),
        ("like(note,P*i)", []),
        ('like(note,"50% *")', ["50% off"]),
        ('like(note,"5_% *")', []),
        ('like(note,"*0%*f")', ["50% off"]),
        ("like(note,under_*)", ["under_score"]),
        ("like(note,u*r_s*e)", ["under_score"]),
        ("ilike(note,U*R_S*E)", ["under_score"]),
        ('like(note,"[a-z]")', ["[a-z]"]),
        ('like(note,"[a-z]*")', ["[a-z]"]),
        ('like(note,"[*z]")', ["[a-z]"]),
        ('like(note,"w*t?")', ["what?"]),
        ('like(note,"wha?*")', []),
        ('like(note,"star\\*light")', ["star*light"]),
        ('like(note,"s*\\*l*t")', ["star*light"]),
        ('ilike(note,"S*\\*L*T")', ["star*light"]),
        ('like(note,"back\\\\*h")', ["back\\slash"]),
        ('like(note,"back\\slash")', ["back\\slash"]),
        ("like(note,two*n*s)", ["two\nlines"]),
        ("like(note,*cole)", ["École"]),
        ("like(note,école)", []),
        ('like(note,"É*e")', ["École"]),
        ('like(note,"é*e")', []),
        ('ilike(note,"é*E")', ["École"]),
        ('ilike(note,"*ÉCOLE*")', ["École"]),
        ('like(note,"(a|b)*$")', ["(a|b)+$"]),
        ("and(like(note,*),ne(note,empty()))", list(NOTES.values())),
        ("not(like(note,*l*))&ne(note,empty())", None),
    ]:
        if expected is None:
            expected = [note for note in noted if "l" not in note]
        pks = ids(vendor, f"/requests?{quote(query, safe='(),')}")
        assert sorted(pks) == sorted(noted[note] for note in expected), query


@pytest.mark.parametrize(
    ("path", "name"),
    [("/requests", "asset.params.value"), ("/assets", "params.value"),
     ("/subscriptions/requests", "asset.params.value")],
)  # fmt: skip
def test_parameters_are_compared_as_columns_are(vendor: Caller, path: str, name: str) -> None:
    pks = ids(vendor, f"{path}?like({name},NB-*)")
    assert pks
    assert ids(vendor, f"{path}?like({name},nb-*)") == []
    assert ids(vendor, f"{path}?ilike({name},nb-*)") == pks
    assert ids(vendor, f"{path}?ilike({name},N*-*)") == pks
    assert ids(vendor, f"{path}?like({name},NB_*)") == []


def test_search_ignores_case_and_takes_wildcards_of_the_database_literally(vendor: Caller) -> None:
    pks = ids(vendor, "/products?search=SUITE")
    assert pks == ids(vendor, "/products?search=suite") != []
    assert ids(vendor, "/products?search=S%25e") == []
    assert ids(vendor, "/products?search=%22S*ite%22") == pks


@pytest.mark.parametrize("operator", ["like", "ilike"])
def test_time_grows_with_the_text_and_not_with_the_wildcards(operator: str) -> None:
    """As a regular expression, 3,000 characters took 23 s, and more wildcards much longer."""
    text, pattern = "a" * 65_536, "*a" * 200 + "*b"
    # The server's time is the connection's, SQLite's is that of this process.
    now = time.monotonic if connection.vendor == "postgresql" else time.process_time
    began = now()
    sql, parameter = wildcards.condition(
        connection.vendor, "%s", pattern, ignore_case=operator == "ilike"
    )
    with connection.cursor() as cursor:
        cast = sql.replace("%s", "CAST(%s AS TEXT)", 1)
        cursor.execute(f"SELECT {cast}", [text, parameter])
        assert not cursor.fetchone()[0]
    assert now() - began < 1


def test_no_statement_of_a_query_has_a_regular_expression(vendor: Caller) -> None:
    with CaptureQueriesContext(connection) as captured:
        for query in (
            "like(note,*a*a*b)",
            "ilike(note,*a*a*b)",
            "search=a*a*b",
            "like(asset.params.value,*a*a*b)",
            "note__contains=a*a",
        ):
            assert vendor.get(f"/requests?{query}").status == 200
    statements = [row["sql"] for row in captured]
    assert any("GLOB" in sql or "LIKE" in sql for sql in statements)
    assert not [sql for sql in statements if "REGEXP" in sql or "~" in sql]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("like(note,a**b)", "A pattern may not have two wildcards side by side."),
        (f"like(note,*{'a' * 500})", "A pattern may have at most 500 characters."),
        (f"ilike(asset.params.value,*{'a' * 500})", "A pattern may have at most 500 characters."),
        (f"search={'a' * 500}", "A pattern may have at most 500 characters."),
        ("note__regex=a*b",
         "note__regex: Regular expressions are not supported. Use like or ilike."),
        ("note__iregex=a*a*b",
         "note__iregex: Regular expressions are not supported. Use like or ilike."),
    ],
)  # fmt: skip
def test_patterns_that_are_refused(vendor: Caller, query: str, sentence: str) -> None:
    response = vendor.get(f"/requests?{query}")
    assert (response.status, response.json) == (
        400,
        {"error_code": "VAL_001", "errors": [sentence]},
    )


def _expression(pattern: str, flags: int = 0) -> re.Pattern[str]:
    parts = (re.escape(piece) for piece in wildcards.pieces(pattern))
    return re.compile(".*".join(parts), re.DOTALL | flags)


_SOME = st.text(st.sampled_from("ab%_[]?*\\^-. \nÉé"), max_size=8)


@examples(60)
@given(text=_SOME, pattern=_SOME)
@example(text="]", pattern="*]")
@example(text="a\\", pattern="a\\\\")
@example(text="[", pattern="[")
def test_database_agrees_with_the_definition(text: str, pattern: str) -> None:
    try:
        matches = _expression(pattern).fullmatch(text) is not None
        folded = _expression(pattern, re.IGNORECASE).fullmatch(text) is not None
    except RQLFilterValueError:
        return
    for ignore_case, expected in ((False, matches), (True, folded)):
        sql, parameter = wildcards.condition(
            connection.vendor, "CAST(%s AS TEXT)", pattern, ignore_case=ignore_case
        )
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {sql}", [text, parameter])
            assert bool(cursor.fetchone()[0]) == expected, (text, pattern, ignore_case)


def test_an_escaped_wildcard_is_literal() -> None:
    assert wildcards.pieces(r"*a\*b*") == ["", "a*b", ""]
    assert wildcards.pieces(r"a\\*b") == ["a\\", "b"]
    assert wildcards.literal(r"a\*") == "a*"
    assert wildcards.literal("a*") is None


def test_a_whole_value_is_compared_with_an_index(vendor: Caller) -> None:
    with CaptureQueriesContext(connection) as captured:
        assert vendor.get("/requests?like(id,PR-1)").json == []
    statements = [row["sql"] for row in captured if "PR-1" in row["sql"]]
    assert statements and not [sql for sql in statements if "LIKE" in sql or "GLOB" in sql]


def test_lookups_of_tables_are_those_of_rql() -> None:
    of_rql = FilterLookups
    assert (filter_tables.LIKE, filter_tables.I_LIKE) == (of_rql.LIKE, of_rql.I_LIKE)
    assert {of_rql.EQ, of_rql.NE, of_rql.IN, of_rql.OUT} == filter_tables.SINGLE_VALUES
