"""`/sandbox/products/import` and `/sandbox/products/{id}/export`."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from openpyxl import load_workbook

from requests_queue import clock
from requests_queue.catalog.models import (
    Account,
    Configuration,
    Connection,
    Contract,
    Item,
    Listing,
    Parameter,
    Product,
    ProductMedia,
    Template,
)
from requests_queue.catalog.spreadsheets.workbook_reader import MAX_UNPACKED
from requests_queue.catalog.workbooks import importing, reading
from requests_queue.queues.usage_file import spreadsheet
from requests_queue.seed.products import picture
from tests import background, make
from tests.api import PROVIDER, VENDOR, Caller, caller, ids, refused
from tests.make import CONTACT
from tests.marks import nightly
from tests.queue.catalog.product_workbooks import (
    DIGITS,
    IMPORT,
    PRODUCT,
    captured,
    cells,
    changed,
    exported,
    parameter,
    renamed,
    send,
    sent,
    without_row,
)
from tests.queue.spreadsheets import zipped
from tests.sandbox import worlds

pytestmark = pytest.mark.django_db

SUITE = "PRD-362-917-440"
SEEDED = ("PRD-814-505-018", SUITE, "PRD-590-284-731")
BLUE, GREEN = picture((0, 0, 200), (0, 0, 90)), picture((0, 200, 0), (0, 90, 0))


def changes(answer: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [
        (each["sheet"], each["id"], each["change"], *each["columns"]) for each in answer["changes"]
    ]


# What an import creates.


def test_import_keeps_all_ids(vendor: Caller) -> None:
    answer = sent(vendor, captured())
    assert answer["created"] and answer["product"] == {"id": PRODUCT, "name": "My Product"}
    assert answer["vendor"]["id"] == VENDOR
    one = f"/products/{PRODUCT}"
    assert [(i["id"], i["mpn"], i["local_id"]) for i in vendor.get(f"{one}/items").json] == [
        (f"{PRODUCT}-000{n}", f"MPN-R-00{n}", f"PRD_276_377_545_000{n}") for n in (1, 2, 3)
    ]
    parameters = {p["name"]: p["id"] for p in vendor.get(f"{one}/parameters").json}
    assert parameters["t0_o_email"] == f"PRM-{DIGITS}-0008"
    assert parameters["asdf"] == f"PRM-{DIGITS}-0022"
    assert [t["id"] for t in vendor.get(f"{one}/templates").json] == [
        "TL-551-876-782",
        "TL-559-508-354",
        "TL-139-014-284",
    ]
    assert [a["id"] for a in vendor.get(f"{one}/actions").json] == [f"ACT-{DIGITS}-001"]


def test_import_has_all_that_the_sheets_say(vendor: Caller) -> None:
    sent(vendor, captured())
    one = f"/products/{PRODUCT}"
    product = vendor.get(one).json
    assert (product["status"], product["category"]["name"]) == ("published", "Marketing")
    assert product["capabilities"]["inquiring"]["validation"] is True
    assert product["capabilities"]["tiers"]["configs"] == {"level": 2}
    assert product["capabilities"]["ppu"] is None
    settings = product["customer_ui_settings"]
    assert settings["getting_started"].startswith("You are now ready")
    assert [link["url"] for link in (*settings["download_links"], *settings["documents"])] == [
        "https://example.com/download/windows",
        "https://example.com/manual/admin",
    ]
    items = vendor.get(f"{one}/items").json
    assert [(i["period"], i["commitment"]["count"], i["status"]) for i in items] == [
        ("monthly", 1, "published"),
        ("years_2", 4, "published"),
        ("monthly", 12, "draft"),
    ]
    # A title that an item of the vendor has brings its unit.
    assert [i["unit"]["id"] for i in items] == ["units", "units", "user"]
    rows = {p["name"]: p for p in vendor.get(f"{one}/parameters").json}
    email = rows["t0_o_email"]
    assert email["constraints"]["required"] and email["hint"] == "I am the hint text"
    assert email["constraints"]["dependency"]["parameter"] == {"id": "t0_o_choice"}
    assert rows["t0_o_choice"]["constraints"]["choices"][1]["default"] is True
    assert "default" not in rows["t0_o_address"]
    assert rows["t0_o_object"]["constraints"]["hidden"] is True
    assert rows["t0_o_password"]["constraints"]["max_length"] == 100
    assert rows["t0_f_text"]["constraints"]["reconciliation"] is True
    assert email["events"]["created"]["at"] == "2020-10-13T01:09:09+00:00"
    (value,) = vendor.get(f"{one}/configurations").json
    assert (value["value"], value["item"]["id"]) == ("asdfasdfasdf", f"{PRODUCT}-0001")
    assert vendor.get(f"{one}/templates/TL-551-876-782").json["body"] == "# Template 1\n\n"


def test_imported_product_is_ordered_at_once(vendor: Caller, distributor: Caller) -> None:
    sent(vendor, captured())
    connection = Connection.objects.get(product=PRODUCT)
    reseller = {"name": "Portland Resellers", "contact_info": CONTACT}
    body = {
        "type": "purchase",
        "asset": {
            "connection": {"id": connection.pk},
            "items": [{"id": f"{PRODUCT}-0001", "quantity": 5}],
            "params": [{"id": "t0_o_email", "value": "a@example.com"}],
            "tiers": {"customer": {"name": "Cafe", "contact_info": CONTACT}, "tier1": reseller},
        },
    }
    request = worlds.ok(distributor.post("/requests", body))
    params = {p["id"]: p["value"] for p in request["asset"]["params"]}
    assert params["t0_o_email"] == "a@example.com" and params["t0_o_choice"] == "V-3"
    assert request["asset"]["items"][0]["mpn"] == "MPN-R-001"
    assert Listing.objects.filter(product=PRODUCT, status="listed").count() == 1
    assert PRODUCT in [row["id"] for row in distributor.get("/products").json]


def test_what_is_not_imported_is_named(vendor: Caller) -> None:
    content = changed(
        captured(),
        {
            "Other!A1": "x",
            "Other!A2": "y",
            "Items!N1": "Color",
            "Items!N2": "red",
            "Capabilities!A8": "Teleport",
            "Capabilities!C8": "Enabled",
            "Items!C4": "delete",
            "Fulfillment Parameters!L2": '{"constraints": {"aura": 1}, "shape": 2}',
        },
    )
    answer = sent(vendor, content)
    assert answer["not_imported"] == [
        "rows with the action delete (1 row)",
        'capability "Teleport" (1 row)',
        'property "shape" of parameters (1 row)',
        'property "aura" of parameters (1 row)',
        "media without a picture (2 rows)",
        "icon",
        "primary locale FA (Persian)",
        "translations (2 rows)",
        "translated attributes (3 rows)",
        "messages (1 row)",
        'sheet "Other" (1 row)',
        'column "Color" of Items',
    ]
    assert not Item.objects.filter(pk=f"{PRODUCT}-0003").exists()


def test_values_of_unknown_marketplaces_are_named(vendor: Caller) -> None:
    scope = parameter(23, "place", "text", "configuration", scope="marketplace")
    place = {f"Configuration Parameters!{c}3": v for c, v in zip("ABCDEFGHIJKLMN", scope)}  # noqa: B905
    row = ("place##MP-12345", "place", "marketplace", "-", "-", "-", "MP-12345", "Far", "x")
    value = {f"Configuration!{c}4": v for c, v in zip("ABCDEFGHI", row)}  # noqa: B905
    answer = sent(vendor, changed(captured(), place | value))
    assert "configured values of MP-12345, which does not exist (1 row)" in answer["not_imported"]
    assert Configuration.objects.filter(product=PRODUCT).count() == 1


def test_pictures_are_imported_with_the_media(vendor: Caller) -> None:
    files = {f"PRDM-{DIGITS}-67072.png": BLUE, f"PRDM-{DIGITS}-90025.png": GREEN}
    answer = sent(vendor, captured(), pictures=files)
    assert not any("media" in text for text in answer["not_imported"])
    rows = vendor.get(f"/products/{PRODUCT}/media").json
    assert [(m["id"], m["position"], m["type"]) for m in rows] == [
        (f"PRDM-{DIGITS}-67072", 1, "image"),
        (f"PRDM-{DIGITS}-90025", 2, "video"),
    ]
    assert bytes(ProductMedia.objects.get(pk=rows[1]["id"]).content) == GREEN
    # The same again, then other positions and another picture.
    assert sent(vendor, captured(), pictures=files)["changes"] == []
    swapped = changed(captured(), {"Media!A2": 2, "Media!A3": 1})
    files[f"PRDM-{DIGITS}-67072.png"] = GREEN
    assert changes(sent(vendor, swapped, pictures=files)) == [
        ("Media", f"PRDM-{DIGITS}-67072", "updated", "Position", "Image File"),
        ("Media", f"PRDM-{DIGITS}-90025", "updated", "Position"),
    ]
    refused(
        send(vendor, changed(captured(), {"Media!A3": 1}), pictures=files),
        400,
        "Media!A3: The product has media at this position already.",
    )


# A second import.


def test_same_file_changes_nothing(vendor: Caller) -> None:
    sent(vendor, captured())
    before = worlds.contents()
    answer = sent(vendor, captured())
    assert (answer["created"], answer["changes"], answer["kept"]) == (False, [], [])
    assert worlds.contents() == before


def test_changes_are_named_by_sheet_row_and_column(vendor: Caller) -> None:
    sent(vendor, captured())
    content = changed(
        captured(),
        {
            "General Information!B6": "Your Product",
            "Capabilities!C2": "QT",
            "Capabilities!C3": "Enabled",
            "Embedding Static Resources!D2": "https://a.example.com",
            "Items!D2": "Seat",
            "Items!J4": "2 years",
            "Items!K4": "published",
            "Templates!F3": "Welcome",
            "Ordering Parameters!I4": True,
            "Ordering Parameters!L7": '{"constraints": {"min_length": 8}}',
            "Actions!E2": "Sign in",
            "Configuration!I2": "other",
            "Configuration!I3": 7,
        },
    )
    answer = sent(vendor, content)
    assert changes(answer) == [
        ("General Information", PRODUCT, "updated", "Product Name"),
        ("Capabilities", "Pay-as-you-go support and schema", "updated", "Value"),
        ("Capabilities", "Pay-as-you-go dynamic items support", "updated", "Value"),
        ("Embedding Static Resources", PRODUCT, "updated", "Type", "Title", "Url"),
        ("Items", f"{PRODUCT}-0001", "updated", "Name"),
        ("Items", f"{PRODUCT}-0003", "updated", "Commitment", "Status"),
        ("Templates", "TL-559-508-354", "updated", "Content"),
        ("Actions", f"ACT-{DIGITS}-001", "updated", "Title"),
        ("Ordering Parameters", "t0_o_checkbox", "updated", "Required"),
        ("Ordering Parameters", "t0_o_password", "updated", "JSON Properties"),
        ("Configuration", f"PRM-{DIGITS}-0022#{PRODUCT}-0001#", "updated", "Value"),
        ("Configuration", f"PRM-{DIGITS}-0022#{PRODUCT}-0002#", "created"),
    ]
    item = Item.objects.get(pk=f"{PRODUCT}-0003")
    assert (item.commitment, item.status) == (24, "published")
    # The file has all constraints: one that it lacks is removed.
    constraints = Parameter.objects.get(name="t0_o_password", product=PRODUCT).constraints
    assert constraints["min_length"] == 8 and "max_length" not in constraints
    product = Product.objects.get(pk=PRODUCT)
    assert product.capabilities["ppu"] == {"ppu": True, "schema": "QT", "dynamic": True}
    assert sent(vendor, content)["changes"] == []


def test_imported_product_has_a_version_without_its_drafts(vendor: Caller) -> None:
    sent(vendor, captured())
    [version] = vendor.get(f"/products/{PRODUCT}/versions").json
    assert (version["version"], version["status"], version["public"]) == (1, "published", True)
    numbers = ids(vendor, f"/products/{PRODUCT}/versions/1/items")
    assert numbers == [f"{PRODUCT}-0001", f"{PRODUCT}-0002"]
    # Another import changes the product, not the version.
    sent(vendor, changed(captured(), {"Items!D2": "Seat"}))
    assert len(vendor.get(f"/products/{PRODUCT}/versions").json) == 1
    row = vendor.get(f"/products/{PRODUCT}/versions/1/items/{PRODUCT}-0001").json
    assert row["name"] != "Seat"


def test_published_item_keeps_its_columns(vendor: Caller) -> None:
    sent(vendor, captured())
    before = vendor.get(f"/products/{PRODUCT}/items/{PRODUCT}-0001").json
    cells = {"Items!F2": "ppu", "Items!H2": "Others", "Items!J2": "3 years", "Items!K2": "draft"}
    for cell, value in cells.items():
        response = send(vendor, changed(captured(), {cell: value}))
        assert response.status == 400, (cell, response)
        [error] = response.json["errors"]
        assert "published item" in error and cell.partition("!")[2] in error, error
    assert vendor.get(f"/products/{PRODUCT}/items/{PRODUCT}-0001").json == before


def test_objects_that_the_file_lacks_are_kept_and_named(vendor: Caller) -> None:
    sent(vendor, captured())
    content = without_row(without_row(captured("Actions"), "Items", 3), "Ordering Parameters", 5)
    content = without_row(content, "Configuration", 2)
    answer = sent(vendor, content)
    assert answer["kept"] == [
        {"sheet": "Items", "id": f"{PRODUCT}-0002"},
        {"sheet": "Ordering Parameters", "id": "t0_o_choice"},
        {"sheet": "Configuration", "id": f"PRM-{DIGITS}-0022#{PRODUCT}-0001#"},
    ]
    assert vendor.get(f"/products/{PRODUCT}/items").headers["Content-Range"].endswith("/3")


def test_rows_without_an_id_are_new_or_found_by_their_names(vendor: Caller) -> None:
    content = changed(
        captured(),
        {"Items!A2": None, "Templates!A2": "-", "Actions!A2": None, "Ordering Parameters!A2": None},
    )
    sent(vendor, content)
    assert Item.objects.get(mpn="MPN-R-001").pk == f"{PRODUCT}-0001"
    assert Parameter.objects.get(name="t0_o_email", product=PRODUCT).number == 1
    answer = sent(vendor, content)
    assert (answer["changes"], answer["kept"]) == ([], [])


def test_another_order_of_rows_is_imported(vendor: Caller) -> None:
    sent(vendor, captured())
    first = [cell.value for cell in load_workbook(io.BytesIO(captured()))["Items"][2]]
    second = [cell.value for cell in load_workbook(io.BytesIO(captured()))["Items"][3]]
    moved = {f"Items!{c}2": v for c, v in zip("ABCDEFGHIJKLM", second)}  # noqa: B905
    moved |= {f"Items!{c}3": v for c, v in zip("ABCDEFGHIJKLM", first)}  # noqa: B905
    content = changed(captured(), moved)
    assert changes(sent(vendor, content)) == [("Items", "", "updated", "order")]
    assert [i["id"][-1] for i in vendor.get(f"/products/{PRODUCT}/items").json] == ["2", "1", "3"]
    assert sent(vendor, content)["changes"] == []


def test_dates_after_the_platform_time_are_not_imported(vendor: Caller) -> None:
    content = changed(captured(), {"Items!L2": "2199-01-01T00:00:00+00:00", "Items!M2": "-"})
    sent(vendor, content)
    item = Item.objects.get(pk=f"{PRODUCT}-0001")
    assert item.created <= clock.now() and item.updated <= clock.now()


# Whose it is.


def test_another_vendor_owns_the_product(vendor: Caller, other: make.Catalog) -> None:
    assert sent(vendor, captured(), vendor=other.vendor.pk)["vendor"]["id"] == other.vendor.pk
    assert Product.objects.get(pk=PRODUCT).owner == other.vendor
    place = f"General Information!B5: {PRODUCT} belongs to {other.vendor.pk}, not to {VENDOR}."
    before = worlds.contents()
    refused(send(vendor, captured()), 400, place)
    assert worlds.contents() == before


def test_vendor_without_a_contract_gets_one(vendor: Caller, distributor: Caller) -> None:
    lone = Account.objects.create(
        pk="VA-777-000", name="Lone", type="vendor", role="vendor", created=clock.now()
    )
    sent(vendor, captured(), vendor=lone.pk)
    contract = Contract.objects.get(vendor=lone)
    assert contract.status == "active" and contract.provider_id == PROVIDER
    assert Connection.objects.get(product=PRODUCT).provider_id == PROVIDER
    # It is for a marketplace, whatever the admin has called it.
    Contract.objects.filter(vendor=lone).update(type="other")
    sent(vendor, captured(), vendor=lone.pk)
    assert Contract.objects.filter(vendor=lone).count() == 1


def test_product_that_cannot_be_ordered_is_named(db: None) -> None:
    row = Account.objects.create(
        pk=VENDOR, name="Nimbus", type="vendor", role="vendor", created=clock.now()
    )
    answer = sent(caller(row), captured())
    assert answer["warnings"] == [
        "No marketplace has a hub: connect the product to a hub before it is ordered."
    ]


def test_unknown_owner_is_refused(vendor: Caller) -> None:
    refused(
        send(vendor, captured(), vendor="VA-000-404"), 400, "vendor: VA-000-404 does not exist."
    )
    refused(send(vendor, captured(), vendor=PROVIDER), 400, f"vendor: {PROVIDER} is not a vendor.")
    assert not Product.objects.filter(pk=PRODUCT).exists()


def test_an_api_key_is_required(nobody: Caller) -> None:
    refused(send(nobody, captured()), 401)
    assert nobody.call("GET", f"/sandbox/products/{SUITE}/export").status == 401


# Invalid files.


# Place of a cell, an invalid value, and the error.
INVALID: tuple[tuple[str, Any, str], ...] = (
    ("General Information!B5", "PRD-1", "An id like PRD-000-000-000 is required."),
    ("General Information!B5", None, "An id like PRD-000-000-000 is required."),
    ("General Information!A6", "Name", 'This must be "Product Name".'),
    ("General Information!B6", None, "This field may not be blank."),
    ("General Information!B6", True, "A text is required, not a truth value."),
    ("General Information!B10", "x" * 2001,
     "Ensure this field has no more than 2000 characters."),
    ("Capabilities!C2", "XX", "One of Disabled, QT, TR, PR, CR is required."),
    ("Capabilities!C3", "Enabled", "This requires Pay-as-you-go support and schema."),
    ("Capabilities!C6", 3, "One of Disabled, 1, 2 is required."),
    ("Embedding Static Resources!A2", "Video", "One of Download, Documentation is required."),
    ("Embedding Static Resources!D2", "ftp://x", "Enter a valid URL."),
    ("Items!A2", "PRD-814-505-018-0001", f"Not an id of an item of {PRODUCT}."),
    ("Items!B3", "MPN-R-001", "Item with same mpn already exists for the product."),
    ("Items!D2", None, "This field is required."),
    ("Items!D2", "=1+1", "This is a formula. Replace it with its value."),
    ("Items!F2", "gift", '"gift" is not a valid choice.'),
    ("Items!G2", "decimal(2)", "Reservation items are counted in whole numbers."),
    ("Items!H2", None, "This field is required."),
    ("Items!I2", "weekly", '"weekly" is not a valid choice.'),
    ("Items!J2", "soon", '"1 year", "2 years", … or - is required.'),
    ("Items!K2", "sold", '"sold" is not a valid choice.'),
    ("Items!L2", "yesterday", "Not a valid date."),
    ("Items!B1", "Part", "The column MPN is missing."),
    ("Items!N1", "MPN", "The column MPN is there twice."),
    ("Ordering Parameters!A2", "PRM-1", f"Not an id of a parameter of {PRODUCT}."),
    ("Ordering Parameters!A3", f"PRM-{DIGITS}-0008",
     f"PRM-{DIGITS}-0008 is t0_o_email, whose name cannot be changed."),
    ("Ordering Parameters!B2", "a b",
     "Only letters, digits, dots, dashes and underscores are allowed."),
    ("Ordering Parameters!F2", "fulfillment",
     '"fulfillment" is not the phase of this sheet.'),
    ("Ordering Parameters!G2", "item", '"item" is not a scope of the ordering phase.'),
    ("Ordering Parameters!H2", "color", '"color" is not a valid choice.'),
    ("Ordering Parameters!I2", "maybe", "True or - is required."),
    ("Ordering Parameters!L2", "{", "This is not valid JSON."),
    ("Ordering Parameters!L2", "[]", "Expected an object."),
    ("Ordering Parameters!L2", '{"constraints": 1}', "constraints: Expected an object."),
    ("Ordering Parameters!L2", '{"constraints": {"dependency": {"parameter": {"id": "no"}}}}',
     "constraints.dependency.parameter.id: Parameter no does not exist."),
    ("Ordering Parameters!L5", '{"constraints": {}}',
     "constraints.choices: This list may not be empty."),
    ("Templates!A2", "TL-1", "Not an id like TL-000-000-000."),
    ("Templates!A2", "TL-213-870-001", "TL-213-870-001 belongs to PRD-814-505-018."),
    ("Templates!D2", "tier9", '"tier9" is not a valid choice.'),
    ("Actions!A2", "ACT-362-917-440-001", f"ACT-362-917-440-001 belongs to {SUITE}."),
    ("Actions!G2", "", '"" is not a valid choice.'),
    ("Configuration!B2", "nope", "Parameter nope does not exist."),
    ("Configuration!E2", f"{PRODUCT}-0009", f"id: Item {PRODUCT}-0009 does not exist."),
    ("Configuration!E3", f"{PRODUCT}-0001", "Another row is about the same."),
    ("Media!B2", "PRDM-1", f"Not an id of media of {PRODUCT}."),
)  # fmt: skip


@pytest.mark.parametrize(
    ("place", "value", "error"),
    [
        nightly(*each, reason="one in three cells runs each time") if number % 3 else each
        for number, each in enumerate(INVALID)
    ],
)
def test_invalid_cell_is_named_and_nothing_is_imported(
    vendor: Caller, place: str, value: Any, error: str
) -> None:
    response = send(vendor, changed(captured(), {place: value}))
    assert response.status == 400
    # Of two cells that do not fit together, the second one.
    other = {
        "Configuration!E3": "Configuration!A3",
        "Ordering Parameters!A3": "Ordering Parameters!B3",
    }
    shown = other.get(place, place)
    assert f"{shown}: {error}" in response.json["errors"], response.json
    assert not Product.objects.filter(pk=PRODUCT).exists()
    assert not Template.objects.filter(pk="TL-551-876-782").exists()


def test_all_invalid_cells_are_named_up_to_a_limit(vendor: Caller) -> None:
    twice = changed(captured(), {"Items!F2": "gift", "Items!J3": "soon", "Templates!D2": "x"})
    response = send(vendor, twice)
    assert [text.partition(":")[0] for text in response.json["errors"]] == [
        "Items!F2",
        "Items!J3",
        "Templates!D2",
    ]
    many = {f"Items!{c}{n}": "x" for n in range(5, 40) for c in "ABCDEFGHIJK"}
    errors = send(vendor, changed(captured(), many)).json["errors"]
    assert len(errors) == 21 and errors[-1] == "15 more cells are invalid."


def test_ids_of_an_existing_product_stay(vendor: Caller) -> None:
    """A row with another id than the object of its name has is refused."""
    sent(vendor, captured())
    other = changed(captured(), {"Ordering Parameters!A2": f"PRM-{DIGITS}-0099"})
    refused(
        send(vendor, other),
        400,
        f"Ordering Parameters!A2: t0_o_email exists already as PRM-{DIGITS}-0008.",
    )


def replaced(name: str, old: bytes, new: bytes) -> bytes:
    """Return the workbook with a text in one of its parts replaced."""
    with zipfile.ZipFile(io.BytesIO(captured())) as source:
        parts = {part: source.read(part) for part in source.namelist()}
    assert old in parts[name]
    return zipped({**parts, name: parts[name].replace(old, new)})


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", "The submitted file is empty."),
        (b"a;b\n1;2\n", "The file is not an XLSX workbook."),
        (b"PK\x03\x04 and no more", "The workbook is damaged."),
        (zipped({"a.xml": b"<a/>"}), "The file is a ZIP archive, but not an XLSX workbook."),
        (zipped({"xl/workbook.xml": b"<a/>"}), "The workbook cannot be read (KeyError)."),
        (zipped({"xl/workbook.xml": b"0" * (MAX_UNPACKED + 1)}),
         "The uncompressed workbook is too"),
        (replaced("xl/worksheets/sheet6.xml", b"<sheetData>", b"<sheetData>" + b"<row>" * 1000),
         "The workbook is too complex"),
        (replaced("xl/worksheets/sheet6.xml", b"<sheetData>", b"<sheetData><row><f>" * 1000),
         "The workbook is too complex"),
        (replaced("xl/worksheets/sheet6.xml", b"<worksheet", b"<!DOCTYPE x><worksheet"),
         "document type declaration"),
        (captured("Items").replace(b"PK", b"KP", 1), "neither an XLSX workbook nor a CSV"),
    ],
)  # fmt: skip
def test_file_that_is_no_workbook_is_refused(vendor: Caller, content: bytes, error: str) -> None:
    response = send(vendor, content)
    assert response.status == 400
    assert len(response.json["errors"]) == 1 and error in response.json["errors"][0]


def test_workbook_of_something_else_is_refused(vendor: Caller) -> None:
    book = load_workbook(io.BytesIO(captured()))
    book["General Information"].title = "Customers"
    buffer = io.BytesIO()
    book.save(buffer)
    refused(
        send(vendor, buffer.getvalue()),
        400,
        "The workbook has no sheet General Information: it is not a file of `ccli product export`.",
    )


def test_sheet_with_too_many_rows_is_refused(vendor: Caller) -> None:
    refused(
        send(vendor, changed(captured(), {f"Items!A{reading.MAX_ROWS + 2}": "x"})),
        400,
        f"The sheet Items has more than {reading.MAX_ROWS} rows.",
    )


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        ('{"file": "x"}', "application/json", 400),
        (b"--B--\r\n", "multipart/form-data; boundary=B", 400),
        (b"", "multipart/form-data", 400),
        (b'--B\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n--B--\r\n',
         "multipart/form-data; boundary=B", 400),
    ],
)  # fmt: skip
def test_body_without_a_file_is_refused(
    vendor: Caller, body: Any, content_type: str, status: int
) -> None:
    response = vendor.post(IMPORT, body, **{"Content-Type": content_type})
    assert response.status == status and response.json["errors"], response


def test_picture_that_is_none_is_refused(vendor: Caller) -> None:
    files = {f"PRDM-{DIGITS}-67072.png": b"<svg/>"}
    refused(
        send(vendor, captured(), pictures=files),
        400,
        "Media!E2: Upload a PNG, JPEG, GIF or WebP image.",
    )
    files = {"x.png": b"\x89PNG\r\n\x1a\n" + bytes(2 * 1024 * 1024)}
    assert send(vendor, captured(), pictures=files).status == 413


# Export.


@pytest.mark.parametrize("product", SEEDED)
def test_exported_product_is_imported_without_changes(vendor: Caller, product: str) -> None:
    before = worlds.contents()
    answer = sent(vendor, exported(vendor, product))
    assert (answer["created"], answer["changes"], answer["kept"]) == (False, [], [])
    assert worlds.contents() == before


def test_imported_product_is_exported_the_same(vendor: Caller) -> None:
    original = renamed(exported(vendor, SUITE), DIGITS)
    with zipfile.ZipFile(io.BytesIO(exported(vendor, SUITE, "?pictures=true"))) as archive:
        assert archive.namelist()[0] == f"{SUITE}.xlsx"
        files = {
            name.removeprefix("media/").replace("362-917-440", DIGITS): archive.read(name)
            for name in archive.namelist()[1:]
        }
    assert sorted(files) == [
        f"{PRODUCT}.svg",
        f"PRDM-{DIGITS}-10001.png",
        f"PRDM-{DIGITS}-10002.png",
    ]
    answer = sent(vendor, original, pictures=files)
    assert answer["created"] and answer["not_imported"] == ["icon"]
    assert cells(exported(vendor, PRODUCT)) == cells(original)


def test_texts_that_look_like_formulas_are_exported_as_texts(vendor: Caller) -> None:
    sent(vendor, captured())
    Item.objects.filter(pk=f"{PRODUCT}-0001").update(name="=1+1", description=" @SUM(A1) \n")
    content = exported(vendor, PRODUCT)
    cell = load_workbook(io.BytesIO(content))["Items"]["D2"]
    assert (cell.value, cell.data_type) == ("=1+1", "s")
    assert sent(vendor, content)["changes"] == []


def test_text_that_no_cell_can_have_is_refused(vendor: Caller) -> None:
    path = f"/sandbox/products/{SUITE}/export"
    Template.objects.filter(pk="TL-561-034-001").update(body="x" * 32_768)
    refused(
        vendor.get(path), 409, "Templates, Content: A cell cannot have more than 32767 characters."
    )
    Template.objects.filter(pk="TL-561-034-001").update(body="\x01")
    refused(vendor.get(path), 409, "Templates, Content: A cell cannot have control characters.")


def test_export_of_an_unknown_product_or_query_is_refused(vendor: Caller) -> None:
    refused(vendor.get("/sandbox/products/PRD-000-000-404/export"), 404)
    refused(
        vendor.get(f"/sandbox/products/{SUITE}/export?pictures=yes"),
        400,
        "pictures: Unknown value 'yes'. Available: true, false.",
    )


def test_import_waits_for_its_turn_and_is_then_refused(
    vendor: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spreadsheet, "MAX_WAIT", 0.01)
    with spreadsheet.turn():
        refused(send(vendor, captured()), 503)
    assert send(vendor, captured()).status == 200


@pytest.mark.django_db(transaction=True)
def test_concurrent_imports_create_one_product() -> None:
    catalog = make.catalog()
    key = caller(catalog.vendor).key
    calls = [lambda: send(Caller(key), captured(), vendor=catalog.vendor.pk) for _ in range(4)]
    responses = background.concurrently(*calls)
    assert {response.status for response in responses} == {200}, responses
    assert sorted(response.json["created"] for response in responses) == [False] * 3 + [True]
    assert Item.objects.filter(product=PRODUCT).count() == 3
    assert Listing.objects.filter(product=PRODUCT).count() == 1


def _with_items(count: int) -> bytes:
    """Return the workbook with new items after its own ones."""
    new = {
        "MPN": "mpn-{}",
        "Name": "Item {}",
        "Description": "D",
        "Type": "Reservation",
        "Precision": "Integer",
        "Unit": "Seat",
        "Billing Period": "Monthly",
        "Status": "published",
    }
    sheet = load_workbook(io.BytesIO(captured()))["Items"]
    first = sheet.max_row + 1
    return changed(
        captured(),
        {
            f"Items!{head.coordinate[:-1]}{first + n}": new.get(head.value, "-").format(n)
            for n in range(count)
            for head in sheet[1]
        },
    )


def test_each_item_of_a_file_takes_two_statements(vendor: Caller) -> None:
    owner = Account.objects.get(pk=VENDOR)
    importing.run(_with_items(0), owner, {})
    numbers = []
    for count in (5, 35):
        with CaptureQueriesContext(connection) as queries:
            done = importing.run(_with_items(count), owner, {})
        numbers.append((len(queries), len(done.changes)))
    (few, created), (many, more) = numbers
    # Whether its id was used before, and the INSERT.
    assert (created, more) == (5, 30) and many - few == 2 * (more - created)
    # In the order of the file, with ids of their own.
    items = Item.objects.filter(product=PRODUCT, name__startswith="Item ").order_by("position")
    assert list(items.values_list("mpn", flat=True)) == [f"mpn-{n}" for n in range(35)]
    ids = [item.pk for item in items]
    assert ids == sorted(set(ids))
