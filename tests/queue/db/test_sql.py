"""Rows as parameters of raw SQL, and the ids of inserted ones."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from hypothesis import assume, example, given
from hypothesis import strategies as st

from requests_queue.catalog.models import Account
from requests_queue.db import sql
from tests.hypothesis_profiles import examples

pytestmark = pytest.mark.django_db

COLUMNS = {
    "a": "bigint",
    "b": "text",
    "c": "jsonb",
    "d": "bytea",
    "e": "boolean",
    "f": "timestamptz",
}
AT = datetime(2026, 11, 27, 10, 0, 0, 123456, UTC)
# PostgreSQL stores neither NUL nor half of a surrogate pair in a text.
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
ROW = st.tuples(
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | TEXT,
    VALUE,
    st.none() | st.binary(max_size=30),
    st.none() | st.booleans(),
)


def read(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    source, params = sql.rows_of(
        [(a, b, json.dumps(c), d, e, sql.datetime_param(AT)) for a, b, c, d, e in rows], COLUMNS
    )
    with connection.cursor() as cursor:
        cursor.execute(f"WITH r({', '.join(COLUMNS)}) AS ({source}) SELECT * FROM r", params)
        found = cursor.fetchall()
    return [
        (
            a,
            b,
            json.loads(c) if isinstance(c, str) else c,
            d if d is None else bytes(d),
            e if e is None else bool(e),
            f if isinstance(f, str) else f.isoformat(),
        )
        for a, b, c, d, e, f in found
    ]


@examples(20)
@given(rows=st.lists(ROW, min_size=1, max_size=4))
def test_rows_are_read_as_they_were_given_and_in_order(rows: list[tuple[Any, ...]]) -> None:
    at = AT.isoformat() if connection.vendor == "postgresql" else str(AT.replace(tzinfo=None))
    assert read(rows) == [(*row, at) for row in rows]


def test_ids_of_inserted_rows_are_in_the_order_of_the_rows() -> None:
    columns = {"name": "text"}
    [removed] = sql.insert("auth_group", columns, [["Removed"]])
    Group.objects.all().delete()
    # More than PostgreSQL gets in one statement.
    names = [f"Group {n:04d}" for n in reversed(range(600))]
    ids = sql.insert("auth_group", columns, [[name] for name in names])
    assert removed < ids[0] and ids == sorted(ids)
    assert dict(Group.objects.values_list("pk", "name")) == dict(zip(ids, names, strict=True))
    assert sql.insert("auth_group", columns, []) == []


def test_integers() -> None:
    assert sql.integers([1, -2, 3]) == "1, -2, 3"
    assert sql.integers([]) == "NULL"
    with pytest.raises(TypeError):
        sql.integers(["1) OR (1=1"])  # type: ignore[list-item]


@given(value=st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-3.5))])))
@example(value=datetime(2026, 11, 2, 10, tzinfo=UTC))
def test_datetimes_are_parameters_as_the_orm_adapts_them(value: datetime) -> None:
    # Beyond the years that UTC has.
    assume(1 < value.year < 9999)
    expected = connection.ops.adapt_datetimefield_value(value)
    assert sql.datetime_param(value) == expected


@pytest.mark.parametrize("texts", [[], ["VA-000-000"], ["VA-000-000", "VA-000-001", "none"]])
def test_condition_with_texts_finds_those_rows(texts: list[str]) -> None:
    for pk in ("VA-000-000", "VA-000-001", "VA-000-002"):
        Account.objects.create(id=pk, name="An account", created=AT)
    is_one, params = sql.one_of("id", texts)
    rows = sql.fetch(f"SELECT id FROM catalog_account WHERE {is_one}", params)
    assert {pk for (pk,) in rows} == set(texts) - {"none"}
