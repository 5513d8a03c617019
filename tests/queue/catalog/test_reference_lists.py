"""Lists that connect-cli reads to export a product: categories, locales, units and the like."""

from __future__ import annotations

import io
from typing import Any

import pytest
from openpyxl import load_workbook

from checks.client import Part
from connect_sim.api import schema_views
from requests_queue.catalog.models import Item, Product
from tests import make
from tests.api import Caller, caller, refused

pytestmark = pytest.mark.django_db
LISTS = ("/categories", "/localization/locales", "/settings/units")
BACKUP = "PRD-814-505-018"


@pytest.mark.parametrize("path", LISTS)
def test_list_has_pages(vendor: Caller, path: str) -> None:
    everything = vendor.get(path)
    count = len(everything.json)
    assert everything.headers["Content-Range"] == f"items 0-{count - 1}/{count}"
    page = vendor.get(f"{path}?limit=2&offset=1")
    assert page.json == everything.json[1:3]
    assert page.headers["Content-Range"] == f"items 1-2/{count}"
    assert vendor.get(f"{path}?limit=0").headers["Content-Range"] == f"items 0-0/{count}"
    refused(vendor.get(f"{path}?eq(id,x)"), 400, "This list has no filters.")
    refused(vendor.get(f"{path}?limit=1&name=x"), 400, "This list has no filters.")
    assert vendor.post(path, {}).status == 405


def test_categories_are_connects_and_those_of_visible_products(
    vendor: Caller, other: make.Catalog
) -> None:
    Product.objects.filter(pk=BACKUP).update(category={"id": "CAT-11111", "name": "Mine"})
    Product.objects.filter(pk=other.product.pk).update(
        category={"id": "CAT-22222", "name": "Theirs"}
    )
    found = {row["name"]: row["id"] for row in vendor.get("/categories").json}
    assert found["Mine"] == "CAT-11111" and found["Marketing"] == "CAT-59128"
    assert "Theirs" not in found
    assert "Theirs" in [row["name"] for row in caller(other.vendor).get("/categories").json]
    # As the Haxe SDK reads it.
    mine = vendor.get("/categories/CAT-11111").json
    assert (mine["name"], mine["family"]) == ("Mine", {"id": "FAM-000", "name": "Root Family"})
    assert mine in vendor.get("/categories").json
    refused(vendor.get("/categories/CAT-22222"), 404)
    Product.objects.filter(pk=BACKUP).update(category={"id": ["CAT"], "name": {}})
    assert len(vendor.get("/categories").json) == len(found) - 1


def test_units_are_those_of_visible_items(vendor: Caller, other: make.Catalog) -> None:
    Item.objects.filter(product=other.product).update(unit={"id": "secret", "title": "Secret"})
    found = vendor.get("/settings/units").json
    users = {"id": "user", "unit": "unit", "description": "Users", "type": "reservation"}
    assert users in found
    assert "secret" not in [row["id"] for row in found]


@pytest.mark.parametrize("query", ["", "?limit=1", "?eq(external_id,x)&limit=1"])
def test_products_have_no_messages(vendor: Caller, query: str) -> None:
    response = vendor.get(f"/products/{BACKUP}/messages{query}")
    assert (response.status, response.json) == (200, [])
    assert response.headers["Content-Range"] == "items 0-0/0"


def test_each_product_has_a_primary_translation(vendor: Caller, other: make.Catalog) -> None:
    one = "/localization/translations"
    (row,) = vendor.get(f"{one}?and(eq(context.instance_id,{BACKUP}),eq(primary,true))").json
    assert (row["id"], row["context"]["instance_id"]) == ("TRN-8145-0501-8000", BACKUP)
    assert vendor.get(f"{one}/{row['id']}").json == row
    assert vendor.get(f"{one}?primary=false").json == []
    assert [each["id"] for each in vendor.get(f"{one}?id={row['id']}").json] == [row["id"]]
    assert len(vendor.get(one).json) == 3
    for missing in ("TRN-0000-0000-0000", "TRN-8145-0501-8001", "x"):
        refused(vendor.get(f"{one}/{missing}"), 404)
    refused(caller(other.vendor).get(f"{one}/{row['id']}"), 404)
    refused(vendor.post(one, {}), 405)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("context.type=product", 3),
        ("context.type=pim", 0),
        ("not(eq(context.type,product))", 0),
        ("(eq(context.type,pim)|eq(locale.id,EN))", 3),
        ("(eq(context.type,pim)|eq(locale.id,DE))", 0),
        ("in(context.type,(pim,product))", 3),
        ("out(context.type,(pim,product))", 0),
        ("ne(context.type,pim)&ordering(-context.type)", 3),
        ("ilike(locale.name,*LISH)", 3),
        ("like(locale.name,E*g*h)", 3),
        ("like(locale.name,*LISH)", 0),
        ("auto.enabled=false&auto.status=off&status=active", 3),
        ("ne(auto.enabled,false)", 0),
        ("eq(description,empty())", 3),
        ("eq(context.id,null())", 3),
        ("ne(context.id,null())", 0),
        ("ne(context.id,x)", 3),
        ("context.id=x", 0),
    ],
)
def test_translations_are_filtered_by_what_all_have(vendor: Caller, query: str, count: int) -> None:
    assert len(vendor.get(f"/localization/translations?{query}").json) == count


@pytest.mark.parametrize("query", ["auto.enabled=maybe", "gt(context.type,a)", "like(primary,t*)"])
def test_comparison_that_does_not_fit_a_constant_is_refused(vendor: Caller, query: str) -> None:
    refused(vendor.get(f"/localization/translations?{query}"), 400)


def test_texts_of_a_translation_are_a_list(vendor: Caller, other: make.Catalog) -> None:
    Product.objects.filter(pk=BACKUP).update(short_description="Backup")
    path = "/localization/translations/TRN-8145-0501-8000/attributes"
    for accept in ("*/*", "application/json"):
        response = vendor.get(path, accept=accept)
        assert response.headers["Content-Range"] == "items 0-3/4"
        first = response.json[0]
        assert (first["key"], first["value"]) == (f"product.{BACKUP}.description", "Backup")
        assert (first["comment"], first["auto_translated"]) == (None, False)
        assert first["events"].keys() == {"created", "updated"}
    assert vendor.get(f"{path}?limit=1&offset=1").json == response.json[1:2]
    refused(vendor.get(f"{path}?key=x"), 400, "This list has no filters.")
    refused(caller(other.vendor).get(path), 404)


def test_texts_of_a_translation_are_a_workbook_by_accept(vendor: Caller) -> None:
    Product.objects.filter(pk=BACKUP).update(short_description="=1+1", detailed_description="\x01")
    path = "/public/v1/localization/translations/TRN-8145-0501-8000/attributes"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    for accept in (kind, f"text/csv, {kind.title()};q=0.5"):
        headers = {"authorization": f"ApiKey {vendor.key}", "accept": accept}
        response = vendor.client.get(path, headers=headers)
        assert response.headers["Content-Type"] == kind
    calls = schema_views.document()["paths"]["/localization/translations/{id}/attributes"]
    assert calls["get"]["responses"]["200"]["content"].keys() == {"application/json", kind}
    sheet = load_workbook(io.BytesIO(response.content))["Attributes"]
    rows = [list(row) for row in sheet.values]
    assert rows[0][0] == "key" and rows[1] == [
        f"product.{BACKUP}.description",
        "=1+1",
        "=1+1",
        None,
        "-",
    ]
    assert sheet["B2"].data_type == "s" and rows[2][1] is None


def test_brand_has_what_extensions_read(vendor: Caller, other: make.Catalog) -> None:
    own = vendor.get("/branding/brand").json
    assert vendor.get(f"/branding/brand?id={own['id']}").json == own
    assert own["id"] == vendor.get("/accounts").json[0]["brand"]
    platform = vendor.get("/branding/brand?id=BR-000").json
    for brand in (own, platform):
        assert "@" in brand["customization"]["email"] and brand["customization"]["emailName"]
        assert [portal["domain"] for portal in brand["portals"].values()] == list(brand["portals"])
    assert caller(other.vendor).get("/branding/brand").json["id"] == "BR-000"
    refused(caller(other.vendor).get(f"/branding/brand?id={own['id']}"), 404)
    refused(vendor.post("/branding/brand", {}), 405)


@pytest.mark.parametrize(
    "query", ["", "?and(eq(pricelist.id,null()),eq(status,active))&limit=1&offset=0"]
)
def test_there_are_no_versions_of_price_lists(vendor: Caller, query: str) -> None:
    response = vendor.get(f"/pricing/versions{query}")
    assert (response.status, response.json) == (200, [])
    assert response.headers["Content-Range"] == "items 0-0/0"


def test_root_names_the_document(vendor: Caller) -> None:
    root = vendor.get("").json
    assert vendor.get("/").json == root
    assert root["schema"] == f"{root['api']}/schema"


@pytest.mark.parametrize(
    "path", ["", "/branding/brand", "/pricing/versions", *LISTS, "/localization/translations"]
)
def test_an_api_key_is_required(nobody: Caller, path: str) -> None:
    refused(nobody.get(path), 401)


def test_messages_of_invisible_products_are_not_found(vendor: Caller, other: make.Catalog) -> None:
    refused(vendor.get(f"/products/{other.product.pk}/messages"), 404)


def form(text: str) -> dict[str, Any]:
    parts = [Part("body", text.encode()), Part("icon", b"x", "a.png")]
    body = b"".join(part.encoded("B") for part in parts) + b"--B--\r\n"
    return {"body": body, "Content-Type": "multipart/form-data; boundary=B"}


def test_product_is_changed_by_a_form(vendor: Caller) -> None:
    body = '{"name": "New", "customer_ui_settings": "{\\"description\\": \\"Hello\\"}"}'
    row = vendor.put(f"/products/{BACKUP}", **form(body)).json
    assert (row["name"], row["customer_ui_settings"]["description"]) == ("New", "Hello")
    # Nothing else of the settings.
    assert row["customer_ui_settings"]["documents"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[]", "body: Expected an object."),
        ("{", "The body is not valid JSON."),
        ('{"customer_ui_settings": "{"}', "customer_ui_settings: This is not valid JSON."),
        ('{"customer_ui_settings": "[]"}', "customer_ui_settings: Expected an object."),
        ('{"customer_ui_settings": "{\\"description\\": 1.5, \\"documents\\": 2}"}',
         "customer_ui_settings.documents: Expected a list of items but got type \"int\"."),
    ],
)  # fmt: skip
def test_invalid_form_is_refused(vendor: Caller, text: str, error: str) -> None:
    before = vendor.get(f"/products/{BACKUP}").json
    refused(vendor.put(f"/products/{BACKUP}", **form(text)), 400, error)
    assert vendor.get(f"/products/{BACKUP}").json == before
