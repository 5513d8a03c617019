"""Versions of products: how they are published, what they keep, and who reads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from dj_rql.fields import SelectField

from requests_queue.api.json_paths import value_at
from requests_queue.catalog.models import Item, Product, ProductVersion, Template, VersionPart
from requests_queue.catalog.representations.versions import KINDS, Kind
from requests_queue.seed.products import BACKUP, METER, SUITE
from tests import make
from tests.api import Caller, caller, ids, refused

ITEM = {"name": "Archive", "mpn": "NB-A", "type": "reservation", "unit": {"id": "gb"}}
PARTS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "items": (ITEM, {"description": "Later."}, "description"),
    "parameters": (
        {"name": "tape", "title": "Tape", "type": "text"}, {"hint": "Later."}, "hint",
    ),
    "templates": (
        {"name": "Ready", "scope": "asset", "type": "pending", "body": "#"},
        {"body": "Later."}, "body",
    ),
    "actions": ({"action": "open", "name": "Open", "scope": "asset"}, {"title": "Later."}, "title"),
}  # fmt: skip


# Filters that are named otherwise than the key that they compare.
SHOWN = {
    "verbose_id": "id", "global_id": "id", "item_type": "type", "description.value": "description",
}  # fmt: skip


def versions(product: str, *parts: object) -> str:
    return "/".join([f"/products/{product}/versions", *map(str, parts)])


def create(vendor: Caller, path: str, body: Any = None) -> Any:
    response = vendor.post(path, body)
    assert response.status == 201, response
    return response.json


@pytest.fixture
def draft(vendor: Caller) -> str:
    """A draft with a part of each kind."""
    pk = str(create(vendor, "/products", {"name": "Nimbus Archive"})["id"])
    for kind, (body, _, _) in PARTS.items():
        create(vendor, f"/products/{pk}/{kind}", body)
    return pk


class TestPublish:
    def test_first_version_publishes_the_product_and_its_draft_items(
        self, vendor: Caller, draft: str
    ) -> None:
        assert vendor.get(versions(draft)).json == []
        body = {"changes_description": "The first.", "public": True}
        version = create(vendor, versions(draft), body)
        assert (version["id"], version["version"], version["status"]) == (draft, 1, "published")
        assert (version["changes_description"], version["latest"]) == ("The first.", True)
        assert (version["public"], version["staging"]) == (True, False)
        assert version == vendor.get(versions(draft, 1)).json
        product = vendor.get(f"/products/{draft}").json
        assert (product["status"], product["version"]) == ("published", 1)
        assert product["published_at"] == version["published_at"]
        assert product["stats"] == version["stats"] == {"versions": 1}
        assert vendor.get(f"/products/{draft}/items").json[0]["status"] == "published"
        assert vendor.get(versions(draft, 1, "items")).json[0]["status"] == "published"
        refused(vendor.delete(f"/products/{draft}"), 400, "Only draft Product can be deleted.")

    def test_numbers_count_up_and_the_newest_is_listed_first(
        self, vendor: Caller, draft: str
    ) -> None:
        for number in (1, 2, 3):
            assert create(vendor, versions(draft))["version"] == number
        rows = vendor.get(versions(draft)).json
        assert [(row["version"], row["latest"]) for row in rows] == [
            (3, True), (2, False), (1, False),
        ]  # fmt: skip
        assert [row["stats"]["versions"] for row in rows] == [3] * 3

    def test_item_added_later_is_draft_until_the_next_version(self, vendor: Caller) -> None:
        item = create(vendor, f"/products/{BACKUP}/items", ITEM)
        assert item["status"] == "draft"
        assert item["id"] not in ids(vendor, versions(BACKUP, 2, "items"))
        assert create(vendor, versions(BACKUP), {})["version"] == 3
        assert vendor.get(f"/products/{BACKUP}/items/{item['id']}").json["status"] == "published"
        assert item["id"] in ids(vendor, versions(BACKUP, 3, "items"))

    def test_product_off_sale_gets_no_version(self, vendor: Caller) -> None:
        assert vendor.post(f"/products/{BACKUP}/endsale").status == 200
        response = vendor.post(versions(BACKUP), {})
        assert (response.status, response.json["error_code"]) == (400, "REQ_003")
        assert Product.objects.get(pk=BACKUP).version == 2
        assert vendor.post(f"/products/{BACKUP}/resumesale").status == 200
        assert create(vendor, versions(BACKUP))["status"] == "published"

    @pytest.mark.parametrize(
        ("body", "error"),
        [
            ({"public": "true"}, "public: Must be a valid boolean."),
            ({"staging": 1}, "staging: Must be a valid boolean."),
            ({"changes_description": ["x"]}, "changes_description: Not a valid string."),
            ({"changes_description": "x" * 10_001},
             "changes_description: Ensure this field has no more than 10000 characters."),
        ],
    )  # fmt: skip
    def test_invalid_body_creates_and_changes_nothing(
        self, vendor: Caller, body: dict[str, Any], error: str
    ) -> None:
        before = vendor.get(versions(BACKUP)).json
        refused(vendor.post(versions(BACKUP), body), 400, error)
        refused(vendor.put(versions(BACKUP, 2), body), 400, error)
        assert vendor.get(versions(BACKUP)).json == before

    def test_put_changes_what_the_body_names_only(self, vendor: Caller) -> None:
        before = vendor.get(versions(BACKUP, 1)).json
        after = vendor.put(versions(BACKUP, 1), {"staging": True, "name": "Mine"}).json
        assert after == {**before, "staging": True, "events": after["events"]}
        assert vendor.put(versions(BACKUP, 1), after).json["name"] == before["name"]
        assert vendor.post(versions(BACKUP, 1, "build")).json["staging"] is True


class TestContent:
    def test_version_keeps_product_and_parts_as_they_were(self, vendor: Caller, draft: str) -> None:
        create(vendor, versions(draft), {"public": True})
        before = {kind: vendor.get(versions(draft, 1, kind)).json for kind in PARTS}
        for kind, (_, change, _) in PARTS.items():
            path = f"/products/{draft}/{kind}/{before[kind][0]['id']}"
            assert before[kind] == [vendor.get(path).json]
            assert vendor.put(path, change).status == 200
        change = {"name": "Renamed", "capabilities": {"cart": {"validation": True}}}
        assert vendor.put(f"/products/{draft}", change).status == 200
        action = before["actions"][0]["id"]
        assert vendor.delete(f"/products/{draft}/actions/{action}").status == 204
        assert {kind: vendor.get(versions(draft, 1, kind)).json for kind in PARTS} == before
        one = vendor.get(versions(draft, 1)).json
        assert (one["name"], one["capabilities"]["cart"]) == (
            "Nimbus Archive", {"validation": False},
        )  # fmt: skip
        create(vendor, versions(draft))
        two = vendor.get(versions(draft, 2)).json
        assert (two["name"], two["capabilities"]["cart"]) == ("Renamed", {"validation": True})
        for kind, (_, _, name) in PARTS.items():
            rows = vendor.get(versions(draft, 2, kind)).json
            assert [row[name] for row in rows] == ([] if kind == "actions" else ["Later."])

    def test_parts_are_found_by_their_other_names(self, vendor: Caller) -> None:
        item = vendor.get(versions(SUITE, 1, "items", "SKU_DESK")).json
        assert item == vendor.get(versions(SUITE, 1, "items", item["id"])).json
        parameter = vendor.get(versions(SUITE, 1, "parameters", "partner_agreement")).json
        assert parameter == vendor.get(versions(SUITE, 1, "parameters", parameter["id"])).json
        refused(vendor.get(versions(SUITE, 1, "templates", "nothing")), 404)

    def test_link_of_an_action_leads_where_it_led(self, vendor: Caller) -> None:
        action = vendor.get(versions(SUITE, 3, "actions") + "?scope=asset").json[0]
        link = vendor.get(versions(SUITE, 3, "actions", action["id"], "actionLink")).json["link"]
        own = vendor.get(f"/products/{SUITE}/actions/{action['id']}/actionLink").json["link"]
        assert link.partition("?jwt=")[0] == own.partition("?jwt=")[0]
        asset = ids(vendor, f"/assets?product.id={SUITE}&limit=1")[0]
        path = versions(SUITE, 3, "actions", action["id"], "actionLink")
        assert vendor.get(f"{path}?asset_id={asset}").status == 200
        refused(
            vendor.get(f"{path}?asset_id=AS-0"), 400, "asset_id: Subscription AS-0 does not exist."
        )

    @pytest.mark.parametrize("number", ["0", "99", "x", "-1", "1.0", "\u00b2", "9" * 40])
    def test_other_number_is_not_found(self, vendor: Caller, number: str) -> None:
        refused(vendor.get(versions(BACKUP, number)), 404)
        refused(vendor.put(versions(BACKUP, number), {}), 404)
        for kind in PARTS:
            refused(vendor.get(versions(BACKUP, number, kind)), 404)

    def test_product_published_before_has_its_version_as_it_was_before_a_change(
        self, vendor: Caller
    ) -> None:
        ProductVersion.objects.all().delete()
        seat = f"{BACKUP}-0001"
        before = vendor.get(f"/products/{BACKUP}/items/{seat}").json
        assert vendor.put(f"/products/{BACKUP}/items/{seat}", {"name": "Later"}).status == 200
        [version] = vendor.get(versions(BACKUP)).json
        assert (version["version"], version["public"], version["latest"]) == (2, True, True)
        assert vendor.get(versions(BACKUP, 2, "items", seat)).json == before
        assert [row["version"] for row in vendor.get(versions(METER)).json] == [1]
        assert create(vendor, versions(METER))["version"] == 2


# List: query, and the number of matching rows of the suite's newest version.
FOUND: dict[tuple[str, ...], dict[str, int]] = {
    (): {
        "public=true": 3, "public=false": 0, "staging=true": 0, "version=2": 1, "ge(version,2)": 2,
        "visibility.owner=true": 3, "ordering(version)&limit=2": 2,
        "lt(events.published.at,2001-01-01)": 0,
    },
    ("3", "items"): {
        "type=ppu": 1, "period=monthly&not(eq(item_type,ppu))": 2, "mpn=NSS-ENDPOINT-Y": 1,
        "unit.title=Hours": 2, "dynamic=true": 1, "dynamic=false": 4, "status=published": 5,
        f"id={SUITE}-0002": 1, f"in(verbose_id,({SUITE}-0001,{SUITE}-0002))": 2,
        "commitment.count=12": 1, "gt(position,200)": 3, "like(description.value,*month*)": 1,
        "lt(events.created.at,2001-01-01)": 0, "ge(events.updated.at,2001-01-01)": 5,
        "eq(events.saleended.at,null())": 5, "ordering(-position)&limit=1": 1,
        "select(-unit)&local_id=SKU_DESK": 1,
    },
    ("3", "parameters"): {
        "phase=configuration": 4, "name=partner_agreement": 1,
        "in(scope,(tier1,tier2))&constraints.required=true": 2,
    },
    ("3", "templates"): {"scope=tier1": 3, "in(type,(pending,inquire))&scope=asset": 2},
    ("3", "actions"): {"scope=asset": 1, "name=Sign in": 1, "search=console": 1},
}  # fmt: skip


def test_lists_are_filtered_as_those_of_the_product(vendor: Caller) -> None:
    found = {
        where: {
            query: len(vendor.get(f"{versions(SUITE, *where)}?{query}").json) for query in queries
        }
        for where, queries in FOUND.items()
    }
    assert found == FOUND
    refused(vendor.get(f"{versions(SUITE, 3, 'items')}?color=red"), 400)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_filter_finds_the_parts_of_the_product(vendor: Caller, kind: Kind) -> None:
    """A new version is the product as it is: each query finds the same in both."""
    first, second, *_ = Item.objects.filter(product=SUITE).order_by("pk")
    Item.objects.filter(pk=first.pk).update(
        status="endofsale", replacement=second, unit={"id": "gb"}, external_id="NSS-1"
    )
    Item.objects.filter(pk=second.pk).update(unit={}, dynamic=True)
    Template.objects.filter(product=SUITE, scope="tier2").update(type=None)
    number = create(vendor, versions(SUITE), {})["version"]
    own, old = f"/products/{SUITE}/{kind.name}", versions(SUITE, number, kind.name)
    rows = vendor.get(f"{own}?limit=1000").json
    assert rows == vendor.get(f"{old}?limit=1000").json
    sizes = set()
    for name, query in queries(kind, rows):
        response = vendor.get(f"{own}?{query}&limit=1000")
        if response.status == 200:
            # Of equal values the order is free.
            shown = SHOWN.get(name, name).split(".") if query.startswith("ordering") else ["id"]
            found = [
                [value_at(row, shown) for row in each]
                for each in (response.json, vendor.get(f"{old}?{query}&limit=1000").json)
            ]
            assert found[0] == found[1], query
            sizes.add(len(found[0]))
    assert {0, len(rows)} < sizes


def queries(kind: Kind, rows: list[Any]) -> Iterator[tuple[str, str]]:
    """Yield queries by each filter: for values that there are, missing ones, and by order."""
    for row in kind.resource.filters:
        name = row["filter"]
        if isinstance(row.get("field"), SelectField):
            yield name, f"select(-{name})"
            continue
        shown = [value_at(each, SHOWN.get(name, name).split(".")) for each in rows]
        values = dict.fromkeys(str(each).lower() for each in shown if isinstance(each, bool | int))
        values |= dict.fromkeys(each for each in shown if isinstance(each, str) and each)
        for value in [*list(values)[:2], "1", "null()", "empty()"]:
            yield name, f"eq({name},{quote(value)})"
        for value in [*list(values)[:1], "null()"]:
            yield name, f"ne({name},{quote(value)})"
            yield name, f"in({name},({quote(value)},x))"
        for value in list(values)[:1]:
            yield name, f"like({name},*{quote(value[1:])}*)"
            yield name, f"gt({name},{quote(value)})"
        if row.get("ordering") and name != "id":
            yield name, f"ordering(-{name})"


class TestAccess:
    def test_distributor_reads_public_versions_and_writes_none(
        self, vendor: Caller, distributor: Caller
    ) -> None:
        assert vendor.put(versions(SUITE, 2), {"public": False}).status == 200
        rows = distributor.get(versions(SUITE)).json
        assert [row["version"] for row in rows] == [3, 1]
        assert rows[0]["visibility"] == {
            "owner": False, "listing": True, "syndication": False, "catalog": False,
        }  # fmt: skip
        assert distributor.get(versions(SUITE, 3)).json == rows[0]
        for kind in PARTS:
            assert ids(distributor, versions(SUITE, 3, kind)) == ids(
                vendor, versions(SUITE, 3, kind)
            )
            refused(distributor.get(versions(SUITE, 2, kind)), 404)
        refused(distributor.get(versions(SUITE, 2)), 404)
        refused(distributor.put(versions(SUITE, 2), {"public": True}), 404)
        for response in (
            distributor.post(versions(SUITE), {}),
            distributor.put(versions(SUITE, 3), {"public": False}),
            distributor.post(versions(SUITE, 3, "build")),
        ):
            refused(response, 403)
        assert ProductVersion.objects.filter(product=SUITE).count() == 3

    def test_others_see_no_version(self, other: make.Catalog) -> None:
        for account in (other.vendor, other.provider):
            stranger = caller(account)
            for path in (versions(SUITE), versions(SUITE, 3), versions(SUITE, 3, "items")):
                refused(stranger.get(path), 404)
            refused(stranger.post(versions(SUITE), {}), 404)

    def test_new_version_is_private_unless_the_body_says_otherwise(
        self, vendor: Caller, distributor: Caller
    ) -> None:
        assert create(vendor, versions(SUITE))["public"] is False
        assert [row["version"] for row in distributor.get(versions(SUITE)).json] == [3, 2, 1]


class TestPublishedItem:
    @pytest.mark.parametrize(
        ("body", "errors"),
        [
            ({"type": "ppu"}, ["type: A published item keeps its type."]),
            ({"period": "yearly"}, ["period: A published item keeps its billing period."]),
            ({"precision": "decimal(2)"}, ["precision: A published item keeps its precision."]),
            ({"commitment": {"count": 12}}, ["commitment: A published item keeps its commitment."]),
            ({"unit": {"id": "gb"}}, ["unit: A published item keeps its unit."]),
            ({"unit": {"id": "user", "name": "Seat"}}, ["unit: A published item keeps its unit."]),
            ({"name": "Other", "type": "ppu", "period": "yearly"},
             ["type: A published item keeps its type.",
              "period: A published item keeps its billing period."]),
        ],
    )  # fmt: skip
    def test_kept_columns_cannot_be_changed(
        self, vendor: Caller, body: dict[str, Any], errors: list[str]
    ) -> None:
        path = f"/products/{BACKUP}/items/{BACKUP}-0001"
        before = vendor.get(path).json
        refused(vendor.put(path, body), 400, *errors)
        assert vendor.get(path).json == before
        assert vendor.post(f"{path}/endsale", {}).status == 200
        refused(vendor.put(path, body), 400, *errors)

    def test_other_columns_can_be_changed_beside_the_same_values(self, vendor: Caller) -> None:
        path = f"/products/{BACKUP}/items/{BACKUP}-0001"
        before = vendor.get(path).json
        # Another item gives the unit another title.
        Item.objects.filter(pk=f"{METER}-0001").update(unit={"id": "user", "title": "People"})
        change = {"name": "Chair", "mpn": "NB-CHAIR", "description": "New."}
        after = vendor.put(path, {**before, **change, "unit": {"id": "user"}}).json
        assert {name: after[name] for name in change} == change
        same = ("type", "period", "precision", "commitment", "unit", "status")
        assert {name: after[name] for name in same} == {name: before[name] for name in same}

    def test_draft_item_can_be_changed_until_it_is_published(self, vendor: Caller) -> None:
        item = create(vendor, f"/products/{BACKUP}/items", ITEM)
        path = f"/products/{BACKUP}/items/{item['id']}"
        assert vendor.put(path, {"type": "ppu", "unit": {"id": "hour"}}).status == 200
        create(vendor, versions(BACKUP))
        refused(
            vendor.put(path, {"type": "reservation"}), 400, "type: A published item keeps its type."
        )


def test_version_of_a_deleted_product_is_deleted(vendor: Caller, draft: str) -> None:
    create(vendor, versions(draft))
    Product.objects.filter(pk=draft).delete()
    assert not VersionPart.objects.filter(version__product=draft).exists()
