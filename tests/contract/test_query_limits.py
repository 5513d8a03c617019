"""Deep, long and complex queries get 200 or 400, never 500."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from dj_rql.constants import DjangoLookups
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from py_rql.parser import RQLParser

from connect_sim.api.rql import MAX_DEPTH, MAX_LENGTH, ParsedQueries, flatten_and
from requests_queue.api.filtering import MAX_CONDITIONS
from tests.api import Caller, ids
from tests.contract import calls, routes
from tests.hypothesis_profiles import is_deep
from tests.marks import nightly

pytestmark = pytest.mark.django_db

SAMPLE = ("eq({},x{})",)
VALUES = (*SAMPLE, "ilike({},a*{}*b)", "ne({},{})", "like({},a*{}*b)", "ge({},{})", "eq({},null())")


def lists(caller: Caller) -> Iterator[tuple[str, list[str]]]:
    """Yield every list with its filters."""
    for path, view in routes.collections_by_path().items():
        if view.actions.get("get") != "list":
            continue
        full = next(calls.filled(path, caller, 1), None)
        kind = getattr(view.cls, "rql_filter_class", None)
        if full is not None:
            rows = kind.FILTERS if kind else []
            yield full, [r["filter"] for r in rows if not r.get("dynamic") or r.get("source")]


def query_status(caller: Caller, path: str, query: str) -> int:
    """Return the status, after checking the envelope of a refusal."""
    response = caller.get(f"{path}?{quote(query, safe='(),=&|;*-+:@')}")
    assert response.status in (200, 400), (path, query[:200], response)
    if response.status == 400:
        assert response.json["error_code"] == "VAL_001" and response.json["errors"][0]
    return response.status


def joined(conditions: list[str]) -> dict[str, str]:
    """Return the conditions, joined in every way of RQL."""
    commas = ",".join(conditions)
    pairs = ("&".join(conditions[at : at + 2]) for at in range(0, len(conditions), 2))
    negated = ",".join(f"not({each})" for each in conditions)
    return {
        "&": "&".join(conditions),
        "& in brackets": f"({'&'.join(conditions)})",
        "|": f"({'|'.join(conditions)})",
        ";": f"({';'.join(conditions)})",
        ",": commas,
        "and": f"and({commas})",
        "or": f"or({commas})",
        "and not": f"and({negated})",
        "or not": f"or({negated})",
        "by turns": f"({'|'.join(pairs)})",
    }


@pytest.mark.parametrize(
    "condition",
    [v if v in SAMPLE else nightly(v, reason="one of each kind runs each time") for v in VALUES],
)
@pytest.mark.parametrize("name", ["asset.tiers.customer.name", "asset.params.value"])
def test_three_hundred_conditions_are_accepted(vendor: Caller, name: str, condition: str) -> None:
    conditions = [condition.format(name, number) for number in range(300)]
    one = vendor.get(f"/requests?{conditions[0]}").status
    statuses = {way: query_status(vendor, "/requests", q) for way, q in joined(conditions).items()}
    assert set(statuses.values()) == {one}, statuses


@pytest.mark.nightly(reason="minutes: every filter of every list")
def test_three_hundred_conditions_by_every_filter_of_every_list(vendor: Caller) -> None:
    checked = 0
    for path, names in lists(vendor):
        fits = [
            condition
            for name in names
            for condition in (f"ne({name},7)", f"like({name},*a*7)")
            if vendor.get(f"{path}?{condition}").status == 200
        ]
        for joint in "&|" if fits else "":
            many = [fits[n % len(fits)].replace("7", str(n)) for n in range(300)]
            assert query_status(vendor, path, f"({joint.join(many)})") == 200, (path, joint)
            checked += 1
    assert checked > 40


def test_too_many_conditions_are_refused(vendor: Caller) -> None:
    conditions = [f"ne(note,{number})" for number in range(MAX_CONDITIONS + 1)]
    for way, query in joined(conditions[:-1]).items():
        assert query_status(vendor, "/requests", query) == 200, way
    for way, query in joined(conditions).items():
        response = vendor.get(f"/requests?{query}")
        assert response.status == 400, way
        assert response.json["errors"] == [
            f"A query may have at most {MAX_CONDITIONS} conditions. Write several values of one "
            "property as a list: in(id,(A,B))."
        ]


@pytest.mark.parametrize(
    "query",
    [
        "in(asset.params.value,({}))", "out(asset.params.value,({}))", "in(assignee.id,({}))",
        "out(assignee.id,(null(),{},null()))", "status__in={}", "ordering({})", "select({})",
        "search={}", "id={}",
    ],
)  # fmt: skip
@pytest.mark.parametrize("values", [300, 3000])
def test_long_list_never_fails(vendor: Caller, query: str, values: int) -> None:
    query_status(vendor, "/requests", query.format(",".join(f"x{n}" for n in range(values))))


def test_nulls_in_a_list_do_not_split_it(vendor: Caller) -> None:
    many = ",".join(f"UR-{number}" for number in range(3000))
    expected = ids(vendor, "/requests?eq(assignee.id,null())&limit=1000")
    assert expected
    assert ids(vendor, f"/requests?in(assignee.id,(null(),{many}))&limit=1000") == expected
    others = ids(vendor, "/requests?ne(assignee.id,null())&limit=1000")
    assert others
    assert ids(vendor, f"/requests?out(assignee.id,(null(),{many}))&limit=1000") == others


@pytest.mark.parametrize(
    "repeated",
    ["ordering(id)", "select(-asset.items)", "limit=1", "status=a", "status__in=a", "search=a",
     "range(created,2026-01-01,2026-01-02)", "a", "(", "&", "t(", "'"],
)  # fmt: skip
def test_repetition_never_fails(vendor: Caller, repeated: str) -> None:
    for joint in "&|,":
        query_status(vendor, "/requests", joint.join([repeated] * 300))


NESTED = {
    "brackets": ("(", "status=pending", ")"),
    "and": ("and(type=purchase,", "status=pending", ")"),
    "or": ("or(type=purchase,", "status=pending", ")"),
    "not": ("not(", "status=pending", ")"),
    "both": ("and(type=a,or(type=b,", "status=pending", "))"),
    "infix": ("(type=purchase|", "status=pending", ")"),
    "infix with and": ("(type=a&", "status=pending", ")"),
    "tuple": ("t(", "status=pending", ")"),
    "open": ("(", "", ""),
    "list": ("in(id,(", "a", "))"),
    "quoted": ('"(', "", '"'),
}


@pytest.mark.parametrize(
    "depth",
    [5, MAX_DEPTH, 10_000, *(nightly(n, reason="less than the limits") for n in (10, 1000))],
)
@pytest.mark.parametrize("how", NESTED)
def test_nesting_never_fails(vendor: Caller, how: str, depth: int) -> None:
    before, inside, after = NESTED[how]
    query = before * depth + inside + after * depth
    for path in ("/requests", "/assets/AS-2934-6610-1178/requests"):
        # The second has no filters, but its pagination parses the query.
        response = vendor.get(f"{path}?{quote(query, safe='(),=&|')}")
        assert response.status in (200, 400, 404), (path, response)
        if depth >= 1000 and how != "quoted":
            assert response.status in (400, 404)


def test_deepest_allowed_query_is_accepted(vendor: Caller) -> None:
    half = MAX_DEPTH // 2 - 1
    query = "and(type=purchase,or(status=pending," * half + "eq(note,x)" + "))" * half
    assert query_status(vendor, "/requests", query) == 200
    too_deep = vendor.get("/requests?" + "(" * (MAX_DEPTH + 1) + "id=a" + ")" * (MAX_DEPTH + 1))
    assert too_deep.json["errors"] == [f"A query may be nested at most {MAX_DEPTH} levels deep."]


def test_too_long_query_is_refused(vendor: Caller) -> None:
    response = vendor.get(f"/requests?in(id,({'A,' * (MAX_LENGTH // 2)}A))")
    assert response.json["errors"] == ["A query may have at most 65,536 characters."]


@pytest.mark.nightly(reason="a bound in seconds, on an idle machine")
def test_longest_queries_take_seconds_at_most(vendor: Caller) -> None:
    """The bound allows for a slow machine."""
    for query in (
        f"in(id,({','.join(f'{n:x}' for n in range(11_000))}))",
        "&".join(f"a{n}=1" for n in range(8_000)),
        "&".join(f"note={n}" for n in range(6_000)),
        "&".join(["id__in=a"] * 5_000),
        f"({'|'.join(f'like(note,*{n})' for n in range(3_000))})",
    ):
        assert 40_000 < len(query) <= MAX_LENGTH
        began = time.process_time()
        query_status(vendor, "/requests", query)
        assert time.process_time() - began < 4, query[:40]


MOMENTS = ("9999-12-31T23:59:59-10:00", "0001-01-01T00:00:00+10:00", "2026-02-30", "0000-00-00")
NUMBERS = ("99999999999999999999999", "-1", "1e400", "nan", "1.5", "00")
TEXTS = ("null()", "empty()", "''", '"*"', "*", r"\*", r"\\", "É", "\U0001f600", "true", "x" * 600)


@pytest.mark.nightly(reason="minutes: every filter of every list")
def test_extreme_values_never_fail_for_any_filter(vendor: Caller) -> None:
    for path, names in lists(vendor):
        for name in names:
            _check_edges(vendor, path, name)


@pytest.mark.parametrize(
    ("path", "name"),
    [("/requests", "created"), ("/requests", "note"), ("/tier/accounts", "version"),
     ("/subscriptions/requests", "period.delta"), ("/products", "visibility.owner")],
)  # fmt: skip
def test_extreme_values_never_fail(vendor: Caller, path: str, name: str) -> None:
    _check_edges(vendor, path, name)


def _check_edges(caller: Caller, path: str, name: str) -> None:
    for value in (*MOMENTS, *NUMBERS, *TEXTS):
        query_status(caller, path, f"{name}={value}")
        query_status(caller, path, f"ge({name},{value})")
        query_status(caller, path, f"out({name},({value},null()))")


_NAMES = st.sampled_from(
    ["id", "status", "created", "note", "asset.product.id", "asset.params.value", "search", "limit",
     "assignee.id", "and", "in", "x", "status__in", "created__gte", "note__isnull", "id__regex"]
)  # fmt: skip
_VALUES = st.one_of(
    st.sampled_from([*MOMENTS, *NUMBERS, *TEXTS, "PR-1", "a,b", "(a,b)", "a b", "eq(a,b)"]),
    st.text(max_size=6),
)
_COMPARING = st.sampled_from(["eq", "ne", "lt", "like", "ilike"])
_LEAVES = st.one_of(
    st.builds("{}({},{})".format, _COMPARING, _NAMES, _VALUES),
    st.builds("{}={}".format, _NAMES, _VALUES),
    st.builds("{}=ge={}".format, _NAMES, _VALUES),
    st.builds("{}({},({},{}))".format, st.sampled_from(["in", "out"]), _NAMES, _VALUES, _VALUES),
    st.builds("{}({})".format, st.sampled_from(["ordering", "select", "t", "not"]), _NAMES),
)  # fmt: skip
_QUERIES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.builds("and({},{})".format, inner, inner),
        st.builds("or({},{})".format, inner, inner),
        st.builds("not({})".format, inner),
        st.builds("({}|{})".format, inner, inner),
        st.builds("({};{})".format, inner, inner),
        st.builds("{}&{}".format, inner, inner),
        st.builds("{},{}".format, inner, inner),
    ),
    max_leaves=12,
)


# The seed: different each night, constant in CI.
@settings(
    max_examples=2000 if is_deep() else 50,
    derandomize=not is_deep(),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(query=_QUERIES, cut=st.integers(0, 12))
@example(query="ge(created,9999-12-31T23:59:59-10:00)", cut=0)
@example(query="a&b&c", cut=0)
@example(query="in=a,b", cut=0)
def test_random_queries_never_fail(vendor: Caller, query: str, cut: int) -> None:
    if "\0" in query or any("\ud800" <= char <= "\udfff" for char in query):
        return
    # Truncated queries too.
    for text in (query, query[cut:], query[: len(query) - cut]):
        response = vendor.get(f"/requests?{quote(text, safe='')}")
        assert response.status in (200, 400), (text, response)


@pytest.mark.parametrize("name", sorted(DjangoLookups.all()))
@pytest.mark.parametrize("value", ["1", "a,b", "%25"])
def test_lookup_alone_is_an_unknown_property(vendor: Caller, name: str, value: str) -> None:
    response = vendor.get(f"/requests?{name}={value}")
    assert (response.status, response.json["errors"]) == (400, [f"Unknown property: {name}."])


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**40])
def test_number_that_no_column_can_have_is_one_of_several(vendor: Caller, number: int) -> None:
    path, name = "/tier/config-requests", "configuration.tier_level"
    expected = ids(vendor, f"{path}?eq({name},1)")
    others = ids(vendor, f"{path}?ne({name},1)")
    assert expected and others
    for values in (f"{number},1", f"1,{number}", f"{number},1,{number}"):
        assert ids(vendor, f"{path}?in({name},({values}))") == expected
        assert ids(vendor, f"{path}?out({name},({values}))") == others


def test_flattened_conditions_are_equivalent() -> None:
    assert flatten_and("a=1&b=2") == "and(a=1,b=2)"
    assert flatten_and("(a=1&b=2|c=3)&d=4") == "and((and(a=1,b=2)|c=3),d=4)"
    assert flatten_and("""a='&('&b="x&'y",c=1""") == """and(a='&(',b="x&'y"),c=1"""
    assert flatten_and("a=1") == "a=1"
    assert flatten_and("a)&b") == "a)&b"


def test_cache_of_parsed_queries_is_bounded(vendor: Caller) -> None:
    cache: Any = RQLParser._cache
    assert isinstance(cache, ParsedQueries)
    cache.clear()
    vendor.get("/requests?eq(id,one)")
    assert len(cache) == 1
    vendor.get(f"/requests?in(id,({','.join(f'x{n}' for n in range(1000))}))")
    assert len(cache) == 1
    for number in range(cache.MAX_QUERIES + 5):
        cache[number] = RQLParser.parse("a=1")
    assert len(cache) <= cache.MAX_QUERIES
