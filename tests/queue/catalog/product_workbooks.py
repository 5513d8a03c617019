"""A product's workbook as `ccli product export` wrote it for Connect, and changes of it.

The cells are those of the product that connect-cli's own tests have (Apache License 2.0), some
rows left out.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from openpyxl import Workbook, load_workbook

from checks.client import Part
from tests.api import Caller, Response

PRODUCT, DIGITS = "PRD-276-377-545", "276-377-545"
IMPORT = "/sandbox/products/import"
# Long: a workbook is compressed, and may have any few bytes.
BOUNDARY = "boundary-of-the-tests"
# Made from the digits of the product, in other groups.
_TRANSLATION = re.compile(r"TRN-\d{4}-\d{4}-\d{4}")
_AT = ("2020-10-13T01:09:09+00:00", "2020-11-19T20:25:05+00:00")

_GENERAL = {
    "A1": "Product information",
    "A3": "Account ID", "B3": "VA-392-495",
    "A4": "Account Name", "B4": "Adrian Inc Oct 12",
    "A5": "Product ID", "B5": PRODUCT,
    "A6": "Product Name", "B6": "My Product",
    "A7": "Export datetime", "B7": "2020-11-28T17:01:44.206765",
    "A8": "Product Category", "B8": "Marketing",
    "A9": "Product Icon file name", "B9": f"{PRODUCT}.png",
    "A10": "Product Short Description", "B10": "The service directly enables service providers.",
    "A11": "Product Detailed Description", "B11": "A text **description** of the product.",
    "A12": "Embedding description", "B12": "We are happy to provide you the Cloud Service.",
    "A13": "Embedding getting started", "B13": "You are now ready to use the Cloud Service.",
    "A14": "Primary Translation Locale", "B14": "FA (Persian)",
    "AA1": "Categories", "AA2": "Marketing", "AB1": "Locales", "AB2": "FA (Persian)",
}  # fmt: skip
_PARAMETER = (
    "Verbose ID", "ID", "Action", "Title", "Description", "Phase", "Scope", "Type", "Required",
    "Unique", "Hidden", "JSON Properties", "Created", "Modified",
)  # fmt: skip


def parameter(
    number: int,
    name: str,
    kind: str,
    phase: str = "ordering",
    required: Any = "-",
    hidden: Any = "-",
    scope: str = "asset",
    constraints: Any = None,
    **properties: Any,
) -> tuple[Any, ...]:
    """Return the row of a parameter."""
    text = json.dumps({"constraints": constraints or {}, **properties}, indent=4, sort_keys=True)
    return (
        f"PRM-{DIGITS}-{number:04d}",
        name,
        "-",
        f"{name} T",
        f"{name} D",
        phase,
        scope,
        kind,
        required,
        "-",
        hidden,
        text,
        *_AT,
    )


_HINT = {"hint": "I am the hint text", "placeholder": "I am the placeholder text"}
_CHOICES = [
    {"label": "L-1", "value": "V-1"}, {"label": "L-3", "value": "V-3", "default": True},
]  # fmt: skip
_SHEETS: dict[str, list[tuple[Any, ...]]] = {
    "Capabilities": [
        ("Capability", "Action", "Value"),
        ("Pay-as-you-go support and schema", "-", "Disabled"),
        ("Pay-as-you-go dynamic items support", "-", "Disabled"),
        ("Consumption reporting for Reservation Items", "-", "Disabled"),
        ("Dynamic Validation of the Inquiring Form", "-", "Enabled"),
        ("Reseller Authorization Level", "-", "2"),
        ("Administrative Hold", "-", "Disabled"),
    ],
    "Embedding Static Resources": [
        ("Type", "Title", "Action", "Url"),
        ("Download", "Windows", "-", "https://example.com/download/windows"),
        ("Documentation", "Admin Manual", "-", "https://example.com/manual/admin"),
    ],
    "Media": [
        ("Position", "ID", "Action", "Type", "Image File", "Video URL Location"),
        (1, f"PRDM-{DIGITS}-67072", "-", "image", f"PRDM-{DIGITS}-67072.png", "-"),
        (2, f"PRDM-{DIGITS}-90025", "-", "video", f"PRDM-{DIGITS}-90025.png",
         "https://www.youtube.com/watch?v=1"),
    ],
    "Templates": [
        ("ID", "Title", "Action", "Scope", "Type", "Content", "Created", "Modified"),
        ("TL-551-876-782", "Template 1", "-", "asset", "fulfillment", "# Template 1\n\n", *_AT),
        ("TL-559-508-354", "Default Activation Template", "-", "tier1", "fulfillment", None, None,
         None),
        ("TL-139-014-284", "Additional information", "-", "asset", "inquire",
         "Please complete our **[Activation Form]({{ activation_form_url }})**", *_AT),
    ],
    "Items": [
        ("ID", "MPN", "Action", "Name", "Description", "Type", "Precision", "Unit",
         "Billing Period", "Commitment", "Status", "Created", "Modified"),
        (f"{PRODUCT}-0001", "MPN-R-001", "-", "Reservation Item 001", "Description 001",
         "reservation", "integer", "Units", "monthly", "-", "published", *_AT),
        (f"{PRODUCT}-0002", "MPN-R-002", "-", "Reservation Item 002", "Description 002",
         "reservation", "integer", "Units", "2 years", "4 years", "published", *_AT),
        (f"{PRODUCT}-0003", "MPN-R-003", "-", "Reservation Item 003", "Description 003",
         "reservation", "integer", "Users", "monthly", "1 year", "draft", *_AT),
    ],
    "Ordering Parameters": [
        _PARAMETER,
        # Depends on a parameter of a row below.
        parameter(8, "t0_o_email", "email", required="True", **_HINT, constraints={
            "dependency": {"parameter": {"name": "t0_o_choice", "id": f"PRM-{DIGITS}-0005"},
                           "values": ["V-3"], "required": True, "hidden": False,
                           "readonly": False}}),
        parameter(3, "t0_o_address", "address", default={"country": None}),
        parameter(4, "t0_o_checkbox", "checkbox", constraints={"choices": _CHOICES[:1]}),
        parameter(5, "t0_o_choice", "choice", constraints={"choices": _CHOICES}),
        parameter(9, "t0_o_object", "object", hidden="True"),
        parameter(10, "t0_o_password", "password",
                  constraints={"max_length": 100, "min_length": 1}),
    ],
    "Fulfillment Parameters": [
        _PARAMETER,
        parameter(16, "t0_f_text", "text", "fulfillment", required=True, **_HINT,
                  constraints={"reconciliation": True}),
    ],
    "Configuration Parameters": [
        _PARAMETER,
        parameter(22, "asdf", "text", "configuration", scope="item", constraints={"shared": None}),
    ],
    "Actions": [
        ("Verbose ID", "ID", "Action", "Name", "Title", "Description", "Scope", "Created",
         "Modified"),
        (f"ACT-{DIGITS}-001", "sso_action", "-", "Action 1", "Action 1", "Sign in", "asset", None,
         None),
    ],
    "Configuration": [
        ("ID", "Parameter", "Scope", "Action", "Item ID", "Item Name", "Marketplace ID",
         "Marketplace Name", "Value"),
        (f"asdf#{PRODUCT}-0001#", "asdf", "item", "-", f"{PRODUCT}-0001", "Reservation Item 001",
         "-", "-", "asdfasdfasdf"),
        (f"asdf#{PRODUCT}-0002#", "asdf", "item", "-", f"{PRODUCT}-0002", "Reservation Item 002",
         "-", "-", "-"),
    ],
    "Translations": [
        ("Translation ID", "Action", "Context ID", "Context", "Owner ID", "Owner", "Locale",
         "Description", "Autotranslation", "Completion", "Status", "Is primary", "Created",
         "Updated"),
        *(
            (f"TRN-1079-0833-{number}", "-", PRODUCT, "My Product", "VA-392-495", "Adrian Inc",
             locale, "-", "Disabled", 1, "inactive", primary, *_AT)
            for number, locale, primary in (
                (9890, "FA (Persian)", "Yes"), (9891, "ES-AR (Argentinian Spanish)", "No"),
                (9892, "DE (German)", "No"),
            )
        ),
    ],
    "FA (TRN-1079-0833-9890)": [("key", "value"), ("product.name", "My")],
    "ES-AR (TRN-1079-0833-9891)": [("key", "value"), ("product.name", "Mi"), ("a", "b")],
    "DE (TRN-1079-0833-9892)": [("key", "value"), ("product.name", "Mein")],
    "Messages": [
        ("ID", "Action", "External ID", "Value", "Auto"),
        (f"PRDMSG-{DIGITS}-0001", "-", "error1", "The value does not exist", "True"),
    ],
}  # fmt: skip


@cache
def captured(*without: str) -> bytes:
    """Return the workbook, without some of its sheets."""
    book = Workbook()
    general = book.active
    general.title = "General Information"
    for place, value in _GENERAL.items():
        general[place] = value
    for title, rows in _SHEETS.items():
        if title not in without:
            sheet = book.create_sheet(title)
            for row in rows:
                sheet.append(row)
    return _saved(book)


def changed(content: bytes, cells: Mapping[str, Any]) -> bytes:
    """Return a workbook with other values in cells: `{"Items!D2": "Seat"}`."""
    book = load_workbook(io.BytesIO(content))
    for place, value in cells.items():
        title, _, cell = place.partition("!")
        if title not in book.sheetnames:
            book.create_sheet(title)
        book[title][cell] = value
    return _saved(book)


def without_row(content: bytes, title: str, number: int) -> bytes:
    """Return a workbook without a row."""
    book = load_workbook(io.BytesIO(content))
    book[title].delete_rows(number)
    return _saved(book)


def renamed(content: bytes, digits: str) -> bytes:
    """Return the workbook of the demo data's suite as that of another product."""
    book = load_workbook(io.BytesIO(content))
    for sheet in book:
        for row in sheet:
            for cell in row:
                if isinstance(cell.value, str):
                    text = cell.value.replace("362-917-440", digits)
                    cell.value = text.replace("TL-561-", f"TL-{digits[:3]}-")
    return _saved(book)


def _saved(book: Any) -> bytes:
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def cells(content: bytes) -> dict[str, list[list[Any]]]:
    """Return the rows of each sheet, without the time of the export.

    Nor ids and dates of translations, which are no objects of their own.
    """
    book = load_workbook(io.BytesIO(content))
    found = {
        _TRANSLATION.sub("TRN", sheet.title): [
            [_TRANSLATION.sub("TRN", cell) if isinstance(cell, str) else cell for cell in row]
            for row in sheet.values
        ]
        for sheet in book
    }
    found["General Information"][6] = []
    found["Translations"] = [row[:-2] for row in found["Translations"]]
    return found


def send(
    caller: Caller, content: bytes, vendor: str = "", pictures: Mapping[str, bytes] | None = None
) -> Response:
    """Import a workbook and return the response."""
    form = [Part("file", content, "product.xlsx")]
    form += [Part("pictures", each, name) for name, each in (pictures or {}).items()]
    if vendor:
        form.append(Part("vendor", vendor.encode()))
    body = b"".join(part.encoded(BOUNDARY) for part in form) + f"--{BOUNDARY}--\r\n".encode()
    form_type = f"multipart/form-data; boundary={BOUNDARY}"
    return caller.post(IMPORT, body, **{"Content-Type": form_type})


def sent(caller: Caller, content: bytes, **options: Any) -> dict[str, Any]:
    """Import a workbook and return the answer of a success."""
    response = send(caller, content, **options)
    assert response.status == 200, response
    return dict(response.json)


def exported(caller: Caller, product: str, query: str = "") -> bytes:
    """Return the exported file of a product."""
    response = caller.client.get(
        f"/sandbox/products/{product}/export{query}",
        headers={"authorization": f"ApiKey {caller.key}"},
    )
    assert response.status_code == 200, response.content
    return bytes(response.content)
