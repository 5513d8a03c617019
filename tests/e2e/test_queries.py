"""Query strings byte for byte as published clients send them, and the rows they find."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from tests.e2e import wire
from tests.processes import Sandbox

BACKUP, SUITE, METER = "PRD-814-505-018", "PRD-362-917-440", "PRD-590-284-731"
HUB = "HB-7710-3391"
ORCHARD = "TA-0418-2290-3327"

Row = dict[str, Any]
Wanted = Callable[[Row], bool]


@pytest.fixture(scope="module")
def everything(running: Sandbox) -> list[Row]:
    """All requests, newest first; tests do not change them."""
    rows: list[Row] = wire.get(running, "/requests?ordering(-created,id)&limit=1000").json
    return rows


@pytest.fixture(scope="module")
def dates(everything: list[Row]) -> dict[str, str]:
    """Values of the queries: dates of existing rows, so that the bounds matter."""
    at = sorted(row["created"] for row in everything)
    return {"EARLY": at[5], "LATE": at[-5], "ONE": everything[0]["id"], "TWO": everything[-1]["id"]}


def product(row: Row) -> str:
    return str(row["asset"]["product"]["id"])


def of(*products: str) -> Wanted:
    return lambda row: product(row) in products


def status(*statuses: str) -> Wanted:
    return lambda row: row["status"] in statuses


def both(*conditions: Wanted) -> Wanted:
    return lambda row: all(condition(row) for condition in conditions)


PENDING_OF_BACKUP = both(status("pending"), of(BACKUP))

# By client: the query, and the condition that its rows meet.
QUERIES: dict[str, tuple[str, Wanted]] = {
    "openapi-client and": (
        f"?and(eq(status,pending),in(asset.product.id,({BACKUP},{METER})))&limit=100&offset=0",
        both(status("pending"), of(BACKUP, METER)),
    ),
    "openapi-client not": (
        "?not(eq(status,approved))&limit=100&offset=0",
        lambda row: row["status"] != "approved",
    ),
    "openapi-client or": (
        "?or(eq(status,failed),eq(type,change))&limit=100&offset=0",
        lambda row: row["status"] == "failed" or row["type"] == "change",
    ),
    "openapi-client ne": ("?ne(type,purchase)", lambda row: row["type"] != "purchase"),
    "openapi-client out": (
        "?out(status,(approved,failed))",
        lambda row: row["status"] not in ("approved", "failed"),
    ),
    "openapi-client like": (
        "?like(asset.product.name,*Secure*)",
        of(SUITE),
    ),
    "openapi-client ilike": ("?ilike(asset.product.name,nimbus%20m*)", of(METER)),
    "openapi-client null": ("?eq(planned_date,null())", lambda row: "planned_date" not in row),
    "openapi-client not null": ("?ne(planned_date,null())", lambda row: "planned_date" in row),
    "openapi-client empty": ("?eq(reason,empty())", lambda row: not row["reason"]),
    "openapi-client not empty": ("?ne(reason,empty())", lambda row: bool(row["reason"])),
    "openapi-client everything": (
        f"?select(-asset.items,-asset.params)&and(eq(status,pending),eq(asset.product.id,{BACKUP}))"
        "&ordering(-created)&limit=100&offset=0&search=PR-",
        PENDING_OF_BACKUP,
    ),
    "the documented handler": (f"?status=pending&product_id={BACKUP}", PENDING_OF_BACKUP),
    "connect-sdk 22": (
        f"?eq(status,pending)&in(asset.product.id,({BACKUP}))&limit=1000",
        PENDING_OF_BACKUP,
    ),
    "JS SDK": (
        f"?status=pending&in(asset.product.id,({BACKUP}))&ordering(-created)&limit=100&offset=0",
        PENDING_OF_BACKUP,
    ),
    "JS SDK or": ("?((status=pending)|(status=inquiring))", status("pending", "inquiring")),
    "JS SDK or of three": (
        "?(((status=pending)|(status=inquiring))|(status=failed))",
        status("pending", "inquiring", "failed"),
    ),
    "JS SDK and": (
        "?(type=purchase)&(ne(status,approved))",
        lambda row: row["type"] == "purchase" and row["status"] != "approved",
    ),
    "JS SDK quotes": ('?asset.product.name="Nimbus%20Backup"', of(BACKUP)),
    "JS SDK quotes in like": ('?like(asset.product.name,"*Nimbus%20Se*")', of(SUITE)),
    "JS SDK or, bar encoded": (
        "?((status=pending)%7C(status=inquiring))",
        status("pending", "inquiring"),
    ),
    "Zapier nested in or": (
        f"?((status=pending)|(status=inquiring))&asset.product.id={BACKUP}",
        both(status("pending", "inquiring"), of(BACKUP)),
    ),
    "Haxe in": (f"?asset.product.id__in={BACKUP},{METER}", of(BACKUP, METER)),
    "Zapier in": ("?status__in=pending,inquiring", status("pending", "inquiring")),
    "JS SDK, a list of Django's in quotes": (
        "?status__in=%22pending,inquiring%22",
        status("pending", "inquiring"),
    ),
    "PHP underscores": (f"?asset__product__id={SUITE}", of(SUITE)),
    "PHP repeated": ("?status=pending&status=inquiring", status("pending", "inquiring")),
    "PHP repeated, with another": (
        f"?status=pending&status=inquiring&asset.product.id={SUITE}",
        both(status("pending", "inquiring"), of(SUITE)),
    ),
    "reports": (
        "?eq(status,approved),in(asset.product.id,(" + BACKUP + "," + METER + ")),"
        "(and(ge(created,{EARLY}),lt(created,{LATE}))|and(eq(type,cancel),ne(status,failed)))",
        both(
            status("approved"),
            of(BACKUP, METER),
            lambda row: row["in_span"] or row["type"] == "cancel",
        ),
    ),
    "date with a raw plus": ("?ge(created,{EARLY})", lambda row: row["since_early"]),
    "date with an encoded plus": ("?ge(created,{EARLY%})", lambda row: row["since_early"]),
    "date with Z": ("?ge(created,{EARLYZ})", lambda row: row["since_early"]),
    "infix": ("?created=ge={EARLY}", lambda row: row["since_early"]),
    "range": ("?range(created,{EARLY},{LATE})", lambda row: row["in_range"]),
    "two ids": ("?in(id,({ONE},{TWO}))", lambda row: row["one_or_two"]),
    "tier": (
        f"?eq(asset.tiers.customer.id,{ORCHARD})",
        lambda row: row["asset"]["tiers"]["customer"]["id"] == ORCHARD,
    ),
    "parameter": (
        "?eq(asset.params.id,workspace_id)",
        lambda row: any(p["id"] == "workspace_id" for p in row["asset"]["params"]),
    ),
    "parameter value": (
        "?like(asset.params.value,NB-77120*)",
        lambda row: any(p["value"].startswith("NB-77120") for p in row["asset"]["params"]),
    ),
    "connection": (
        f"?asset.connection.hub.id={HUB}&asset.connection.vendor.id=VA-610-138&status=pending",
        status("pending"),
    ),
}


def filled(query: str, dates: dict[str, str]) -> str:
    for name, value in dates.items():
        query = query.replace("{" + name + "}", value)
        query = query.replace("{" + name + "%}", quote(value, safe=""))
        query = query.replace("{" + name + "Z}", value.replace("+00:00", "Z"))
    return query


def wanted(everything: list[Row], dates: dict[str, str], condition: Wanted) -> set[str]:
    """Return the ids of the rows that a query must find."""
    early, late = dates["EARLY"], dates["LATE"]
    return {
        row["id"]
        for row in everything
        if condition(
            row
            | {
                "since_early": row["created"] >= early,
                "in_span": early <= row["created"] < late,
                "in_range": early <= row["created"] <= late,
                "one_or_two": row["id"] in (dates["ONE"], dates["TWO"]),
            }
        )
    }


@pytest.mark.parametrize("name", QUERIES)
def test_query_finds_the_expected_rows(
    running: Sandbox, everything: list[Row], dates: dict[str, str], name: str
) -> None:
    query, condition = QUERIES[name]
    expected = wanted(everything, dates, condition)
    response = wire.get(running, f"/requests{filled(query, dates)}")
    assert sorted(response.ids) == sorted(expected)
    # A query that matches no rows or all rows would prove nothing.
    assert 0 < len(expected) < len(everything)


@pytest.mark.parametrize(
    "name", ["openapi-client and", "JS SDK or", "the documented handler", "reports", "range"]
)
def test_mulesoft_encodes_the_whole_query(
    running: Sandbox, everything: list[Row], dates: dict[str, str], name: str
) -> None:
    query, condition = QUERIES[name]
    encoded = quote(filled(query, dates)[1:], safe="")
    assert "&" not in encoded and "=" not in encoded
    response = wire.get(running, f"/requests?{encoded}")
    assert sorted(response.ids) == sorted(wanted(everything, dates, condition))


def test_mulesoft_pages_within_the_encoded_query(running: Sandbox, everything: list[Row]) -> None:
    """The query of a connector: one encoded string that includes limit and offset."""
    query = quote(f"(in(asset.product.id,({BACKUP},{METER}))&ordering(-created))", safe="")
    first = wire.get(running, f"/requests?{query}%26limit%3D2%26offset%3D0")
    second = wire.get(running, f"/requests?{query}%26limit%3D2%26offset%3D2")
    expected = [row["id"] for row in everything if product(row) in (BACKUP, METER)]
    assert first.ids + second.ids == expected[:4]
    assert first.headers["content-range"] == f"items 0-1/{len(expected)}"
    assert second.headers["content-range"] == f"items 2-3/{len(expected)}"


@pytest.mark.parametrize(
    ("query", "key", "reverse"),
    [
        ("?ordering(-created)&limit=1000", "created", True),
        ("?ordering(created)", "created", False),
        ("?order_by=id", "id", False),
        ("?order_by=-id", "id", True),
        ("?ordering(-id)&status=approved", "id", True),
    ],
)
def test_order(running: Sandbox, query: str, key: str, reverse: bool) -> None:
    values = [row[key] for row in wire.get(running, f"/requests{query}").json]
    assert len(values) > 5
    assert values == sorted(values, reverse=reverse)
    assert values != sorted(values, reverse=not reverse)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (f"/assets?eq(product.id,{METER})&like(id,AS-7046*)", None),
        (f"/assets/?product__id={METER}", None),
        (f"/assets?product.id={METER}&ordering(-id)", None),
        ("/products?name=%22Nimbus%20Backup%22", [BACKUP]),
        ("/products?and(eq(visibility.owner,true),eq(version,null()))", None),
        ("/products?like(name,*Suite*)", [SUITE]),
        (
            f"/products/{BACKUP}/templates?and(eq(name,Nimbus%20Backup),eq(scope,asset))",
            [],
        ),
        (f"/products/{BACKUP}/templates?scope=asset&type=fulfillment", ["TL-213-870-001"]),
        (f"/products/{BACKUP}/items?mpn=NB-SEAT", [f"{BACKUP}-0001"]),
        (f"/products/{BACKUP}/connections?hub.id={HUB}", ["CT-2044-1187-9002"]),
        ("/accounts?limit=1", ["VA-610-138"]),
        ("/notifications/webhooks?limit=100&offset=0&search=abc", []),
        (f"/notifications/webhooks?eq(product.id,{BACKUP})&active=true", []),
    ],
)
def test_other_collections(running: Sandbox, target: str, expected: list[str] | None) -> None:
    """None: the meter's subscriptions, or every product."""
    pks = wire.get(running, target).ids
    if expected is not None:
        assert pks == expected
    elif target.startswith("/assets"):
        assert sorted(pks) and all(pk.startswith("AS-7046-") for pk in pks)
    else:
        assert sorted(pks) == sorted([BACKUP, SUITE, METER])


@pytest.mark.parametrize(
    "query",
    [
        "?eq(status", "?)", "?eq(status,pending", "?and(", "?color=red", "?eq(color,red)",
        "?created=ge=yesterday", "?status=%FF", "?ordering(color)", "?like(answered,*x*)",
    ],
)  # fmt: skip
def test_malformed_query_gets_connects_envelope(running: Sandbox, query: str) -> None:
    response = wire.get(running, f"/requests{query}")
    assert (response.status, response.json["error_code"]) == (400, "VAL_001")
    assert all(isinstance(text, str) and text for text in response.json["errors"])
