"""A resource's declaration of keys: JSON, schema, filters and joins."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from drf_spectacular.plumbing import ComponentRegistry

from requests_queue.api.openapi import Components
from requests_queue.api.resources import MADE, NAMED, SELF, Constant, Field, Many, Part, Resource
from requests_queue.api.schema import Stamp
from requests_queue.catalog.models import Connection, Hub

AT = datetime(2026, 11, 2, 10, 0, 0, 123456, UTC)
MOMENT = "2026-11-02T10:00:00+00:00"


def row(**values: Any) -> Any:
    return SimpleNamespace(**values)


def represent(keys: dict[str, Any], **values: Any) -> Any:
    return Part("Example", "An example.", keys).represent(row(**values))


def test_key_shows_attribute_path_function_or_constant() -> None:
    keys = {
        "id": str,
        "owner": Field(str, "account.name"),
        "title": Field(str, lambda row: row.id.lower()),
        "from": Constant([], list[str]),
    }
    assert represent(keys, id="HB-A", account=row(name="Northland")) == {
        "id": "HB-A",
        "owner": "Northland",
        "title": "hb-a",
        "from": [],
    }


def test_constant_is_a_new_object_in_each_representation() -> None:
    part = Part("Example", "An example.", {"plans": Constant([], list[str])})
    part.represent(row())["plans"].append("changed")
    assert part.represent(row()) == {"plans": []}


def test_datetime_has_connects_form_and_null_stays_null() -> None:
    keys = {"created": Stamp, "signed": Stamp | None, "events": MADE}
    assert represent(keys, created=AT, signed=None, updated=AT) == {
        "created": MOMENT,
        "signed": None,
        "events": {"created": {"at": MOMENT}, "updated": {"at": MOMENT}},
    }


def test_missing_relation_is_empty_or_left_out() -> None:
    keys = {
        "assignee": Field(NAMED, empty={}),
        "creator": Field(NAMED, empty=None),
        "template": Field(NAMED, optional=True),
    }
    user = row(id="UR-1", name="Ada")
    shown = {"id": "UR-1", "name": "Ada"}
    full = represent(keys, assignee=user, creator=user, template=user)
    assert full == {"assignee": shown, "creator": shown, "template": shown}
    none = represent(keys, assignee=None, creator=None, template=None)
    assert none == {"assignee": {}, "creator": None}


def test_optional_key_keeps_false_zero_and_empty_text() -> None:
    keys = {name: Field(object, optional=True) for name in ("flag", "count", "text", "none")}
    values = {"flag": False, "count": 0, "text": ""}
    assert represent(keys, **values, none=None) == values


def test_nested_parts_with_optional_keys_at_every_depth() -> None:
    inner = Part("Inner", "Inner.", {"id": str, "note": Field(str, optional=True)})
    outer = Part("Outer", "Outer.", {"one": Field(inner), "two": Field(inner, optional=True)})
    keys = {"outer": Field(outer), "again": Field(inner, "outer.one")}
    one, two = row(id="1", note=None), row(id="2", note="Two")
    assert represent(keys, outer=row(one=one, two=two)) == {
        "outer": {"one": {"id": "1"}, "two": {"id": "2", "note": "Two"}},
        "again": {"id": "1"},
    }


def test_relation_is_read_once_for_all_keys_of_its_part() -> None:
    class Row:
        reads = 0

        @property
        def owner(self) -> Any:
            self.reads += 1
            return row(id="1", name="One")

    part_row = Row()
    part = Part("Example", "An example.", {"kind": Constant("x", str), "owner": Field(NAMED)})
    assert part.represent(part_row) == {"kind": "x", "owner": {"id": "1", "name": "One"}}
    assert part_row.reads == 1


def test_many_shows_each_row_in_order() -> None:
    keys = {"hubs": Many(NAMED, lambda row: row.hubs)}
    hubs = [row(id="2", name="B"), row(id="1", name="A")]
    assert [hub["id"] for hub in represent(keys, hubs=hubs)["hubs"]] == ["2", "1"]


CONNECTION = Resource(
    "ExampleConnection", "A connection.",
    {
        "id": str,
        "secret": Field(str, "type", unfiltered=True),
        "created_at": Field(Stamp, "created"),
        "product": Field(Part("P", "A product.", {"id": str, "name": str, "version": int})),
        "hub": Field(NAMED),
        "company": Field(NAMED, "hub.company"),
        "count": Field(int, "item_count"),
        "stats": Field(Part("S", "Counts.", {"all": Field(int, "item_count")}), SELF,
                       unfiltered=True),
        "label": Field(str, lambda row: row.id),
        "events": Part("E", "Moments.", {"created": MADE.fields["created"]}),
    },
    model=Connection, search=("id",), also={"product_id": "product__id"},
)  # fmt: skip


def test_filters_are_columns_references_by_id_and_name_and_annotations() -> None:
    assert CONNECTION.routes == {
        "id": "id",
        "created_at": "created",
        "product.id": "product__id",
        "product.name": "product__name",
        "hub.id": "hub__id",
        "hub.name": "hub__name",
        "company.id": "hub__company__id",
        "company.name": "hub__company__name",
        "count": "item_count",
        "events.created.at": "created",
        "product_id": "product__id",
    }
    by_name = {each["filter"]: each for each in CONNECTION.filters}
    assert by_name["count"]["dynamic"] and by_name["count"]["source"] == "item_count"
    assert [name for name, each in by_name.items() if each.get("search")] == ["id"]


def test_select_knows_objects_and_keys_that_are_no_filters() -> None:
    names = {each["filter"] for each in CONNECTION.filters} - CONNECTION.routes.keys()
    assert names == {
        "secret",
        "product",
        "hub",
        "company",
        "stats",
        "label",
        "events",
        "events.created",
    }


def test_joined_relations_are_those_that_are_shown() -> None:
    assert CONNECTION.related == ("hub", "hub__company", "product")


def test_every_filter_leads_to_a_column_of_the_model() -> None:
    CONNECTION.filter_class(Connection.objects.all())


def test_schema_has_the_required_keys_and_names_each_part_once() -> None:
    registry = ComponentRegistry()
    part = Resource(
        "ExampleHub",
        "A hub.",
        {
            "id": str,
            "company": Field(NAMED, empty=None),
            "creator": Field(NAMED, empty={}),
            "note": Field(str, optional=True),
            "hubs": Many(NAMED, lambda row: row.hubs),
        },
        model=Hub,
    )
    assert Components(registry).schema(part) == {"$ref": "#/components/schemas/ExampleHub"}
    schemas = registry.build({})["schemas"]
    named = {"$ref": "#/components/schemas/Named"}
    assert schemas["ExampleHub"] == {
        "type": "object",
        "description": "A hub.",
        "properties": {
            "id": {"type": "string"},
            "company": {"allOf": [named], "nullable": True},
            "creator": {"$ref": "#/components/schemas/AnyReference"},
            "note": {"type": "string"},
            "hubs": {"type": "array", "items": named},
        },
        "required": ["id", "company", "creator", "hubs"],
    }
    assert schemas["Named"]["required"] == ["id", "name"]
