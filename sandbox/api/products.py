"""`/sandbox/products`: products for tests, ready to be ordered, and products as workbooks.

A product of `POST /public/v1/products` is a draft without parts, and takes its way through a dozen
calls and a listing request until it can be ordered. This one is published, connected and listed at
once, and no queue changes for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

from django.db import transaction
from django.http import HttpResponse
from django.urls import path
from rest_framework.exceptions import ValidationError
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from portal.media import icon_file
from requests_queue.api.fields import Id, Input, List, Text, Values
from requests_queue.api.resources import Field, Many, Part
from requests_queue.api.schema import Form, Untrusted
from requests_queue.catalog import visibility
from requests_queue.catalog.models import (
    Account,
    Connection,
    Contract,
    Hub,
    Item,
    Listing,
    Product,
    User,
)
from requests_queue.catalog.representations.parameters import parameter_id
from requests_queue.catalog.spreadsheets import limits
from requests_queue.catalog.workbooks import exporting, importing
from requests_queue.catalog.writes import (
    capabilities,
    connections,
    items,
    media,
    parameters,
    templates,
    versions,
)
from requests_queue.catalog.writes.products import create_row, lock, save
from requests_queue.db.rows import get_row
from requests_queue.errors import Forbidden, Invalid, Refused
from requests_queue.queues.usage_file import spreadsheet, uploads
from requests_queue.seed.accounts import VENDOR
from requests_queue.seed.products import capabilities as all_capabilities
from sandbox.api.schema import Exact, NoQuery, Operation, Operations, Query, Word

MAX_PARTS = 200  # items, parameters or templates of a product

# The parts of a product that are not given, or null.
PARTS: Values = {
    "items": [
        {"mpn": "mailbox", "name": "Mailbox"},
        {"mpn": "traffic", "name": "Traffic", "type": "PPU", "precision": "Decimal(2)"},
    ],
    "params": [
        {"name": "domain", "title": "Domain", "phase": "ordering"},
        {
            "name": "activation_id",
            "title": "Activation id",
            "phase": "fulfillment",
            "constraints": {"required": True},
        },
    ],
    "templates": [
        {"scope": scope, "type": kind} for scope in templates.SCOPES for kind in templates.TYPES
    ],
}


class _Parts(List):
    """A list of parts; errors have the place in it."""

    def run_child_validation(self, data: list[Any]) -> list[Any]:
        """Return the parts; raises ValidationError."""
        try:
            parts: list[Any] = super().run_child_validation(data)
        except ValidationError as error:
            # Numbers would be left out of the paths.
            details: Any = error.detail
            raise ValidationError({str(place): details[place] for place in details}) from None
        return parts


class _Part(Input):
    """A part, in which the form of the API finds defaults for what is not given."""

    @staticmethod
    def defaults(data: Mapping[str, Any]) -> Values:
        """Return the defaults of a part, whose name may be missing: by default none."""
        return {}

    def to_internal_value(self, data: Any) -> Values:
        """Return the columns; raises ValidationError."""
        if not isinstance(data, Mapping):
            self.fail("invalid")
        given = {name: value for name, value in self.defaults(data).items() if value is not None}
        return super().to_internal_value({**given, **data})


class ItemInput(_Part, items.ItemInput):
    """An item: its MPN is enough. By default a monthly reservation, its local id the MPN."""

    local_id = Text(64)

    @staticmethod
    def defaults(data: Mapping[str, Any]) -> Values:
        unit = {"id": "unit", "title": "Units"}
        return {"name": data.get("mpn"), "type": "Reservation", "unit": unit}


class ParameterInput(_Part, parameters.ParameterInput):
    """A parameter: its name is enough. By default a text that is ordered."""

    @staticmethod
    def defaults(data: Mapping[str, Any]) -> Values:
        return {"title": data.get("name"), "type": "text"}


class TemplateInput(_Part, templates.TemplateInput):
    """A template: scope and type are enough."""

    @staticmethod
    def defaults(data: Mapping[str, Any]) -> Values:
        title = f"{data.get('type') or 'Text'} for {data.get('scope') or 'asset'}".capitalize()
        return {"name": title, "title": title, "body": f"# {title}"}


class ProductInput(Exact):
    """A product; parts that are given replace the default ones, capabilities the named ones."""

    name = Text(255)
    items = _Parts(ItemInput(), max_length=MAX_PARTS)
    params = _Parts(ParameterInput(), max_length=MAX_PARTS)
    templates = _Parts(TemplateInput(), max_length=MAX_PARTS)
    capabilities = capabilities.Capabilities(allow_null=True)

    def to_internal_value(self, data: Any) -> Values:
        """Return the values, with the default parts; raises ValidationError."""
        if isinstance(data, Mapping):
            missing = {name: PARTS[name] for name in PARTS if data.get(name) is None}
            data = {**data, **missing}
        return super().to_internal_value(data)


@dataclass(frozen=True, slots=True)
class Sold:
    """A product with what it is sold by: None where it is not connected or not listed."""

    product: Product
    connection: Connection | None
    listing: Listing | None


@transaction.atomic
def create(values: Values, account: Account) -> Sold:
    """Create the product of `ProductInput` for a vendor; raises Forbidden, Invalid, Refused."""
    if not account.is_vendor:
        raise Forbidden("Only vendors have products.")
    contract, hub = _sales_line(account)
    tree = capabilities.merge(all_capabilities(True), values.get("capabilities", {}))
    columns = {"name": values.get("name") or "Test product", "capabilities": tree}
    columns |= {"status": "draft", "version": 0}
    product = lock(create_row(Product, "product", owner=account, **columns))
    for place, part in enumerate(values["items"]):
        with _errors_at(f"items.{place}"):
            local_id = part.pop("local_id", "") or part["mpn"][:64]
            item = items.create(product, part)
            if Item.objects.filter(product=product, local_id=local_id).exists():
                text = "Item with same local_id already exists for the product."
                raise Invalid("local_id", text, "unique")
            save(item, {"local_id": local_id}, only=True)
    for place, part in enumerate(values["params"]):
        with _errors_at(f"params.{place}"):
            parameters.create(product, part)
    for part in values["templates"]:
        templates.create(product, part)
    versions.create(product, {"public": True})
    connection = connections.create(product, {"hub": hub.pk})
    listing = create_row(Listing, "listing", product=product, contract=contract, status="listed")
    return Sold(product, connection, listing)


def _sales_line(account: Account) -> tuple[Contract, Hub]:
    """Return a contract under which the vendor's products are listed, and a hub; raises Refused."""
    contracts = Contract.objects.filter(vendor=account, status="active", program=None)
    for contract in contracts.select_related("marketplace").order_by("created", "pk"):
        hub = contract.marketplace.hubs.filter(company=contract.provider_id).order_by("pk").first()
        if hub is not None:
            return contract, hub
    raise Refused(
        "REQ_003",
        "The vendor has no active contract with a marketplace that has a hub. Reset the sandbox, "
        "or add the demo data: connect-sim manage seed.",
    )


@contextmanager
def _errors_at(path: str) -> Iterator[None]:
    try:
        yield
    except Invalid as wrong:
        raise Invalid.of(replace(e, path=f"{path}.{e.path}") for e in wrong.errors) from None


def _if_sold(path: str) -> Field:
    """Return the field of an id, null where an object on its path is missing."""

    def read(value: Any) -> str | None:
        for name in path.split("."):
            value = value and getattr(value, name)
        return cast("str | None", value)

    return Field(str | None, read)


SOLD_PRODUCT = Part(
    "SoldProduct",
    "A product with its parts, and the ids of what it is sold by; null where it is not sold.",
    {
        "id": Field(str, "product.pk"),
        "name": Field(Untrusted, "product.name"),
        "vendor": Field(str, "product.owner_id"),
        "provider": _if_sold("connection.provider_id"),
        "connection": _if_sold("connection.pk"),
        "hub": _if_sold("connection.hub_id"),
        "listing": _if_sold("listing.pk"),
        "contract": _if_sold("listing.contract.pk"),
        "marketplace": _if_sold("listing.contract.marketplace_id"),
        "items": Many(
            Part(
                "SoldItem",
                "An item of a product.",
                {
                    "id": str,
                    **dict.fromkeys(("local_id", "mpn", "name"), Untrusted),
                    **dict.fromkeys(("type", "period", "precision"), str),
                },
            ),
            lambda sold: sold.product.items.all(),
        ),
        "params": Many(
            Part(
                "SoldParameter",
                "A parameter of a product; orders use its name as id.",
                {
                    "id": Field(Untrusted, parameter_id),
                    **dict.fromkeys(("name", "title"), Untrusted),
                    **dict.fromkeys(("type", "scope", "phase"), str),
                    "required": Field(bool, lambda row: bool(row.constraints.get("required"))),
                },
            ),
            lambda sold: sold.product.parameters.all(),
        ),
        "templates": Many(
            Part(
                "SoldTemplate",
                "A template of a product.",
                {"id": str, "name": Untrusted, "scope": str, "type": str | None},
            ),
            lambda sold: sold.product.templates.all(),
        ),
    },
)


class ProductsView(APIView):
    """`POST /sandbox/products {"name"?, "items"?, "params"?, "templates"?, "capabilities"?}`."""

    operations: Operations = {
        "post": Operation("Products", "Create a product", SOLD_PRODUCT, 201, body=ProductInput)
    }

    def post(self, request: Request) -> Response:
        """Create a published, connected and listed product of the vendor: 201, 400 or 403.

        Parts that are given replace the default ones: two items, `mailbox` and the pay-as-you-go
        item `traffic`; two parameters, `domain` (ordering, optional) and `activation_id`
        (fulfillment, required); templates of every scope and type; all capabilities on.
        """
        values = ProductInput().check(request.data)
        return Response(SOLD_PRODUCT.represent(create(values, _account(request))), status=201)


class ProductView(APIView):
    """`GET /sandbox/products/{id}`: a product with its parts, and what it is sold by."""

    operations: Operations = {
        "get": Operation("Products", "Show a product", SOLD_PRODUCT, errors=(404,))
    }

    def get(self, request: Request, id: str) -> Response:
        """Return a product that the caller sees, with its parts, first connection and listing."""
        NoQuery().check_query(request.query_params)
        product = get_row(visibility.products(_account(request)), id)
        listings = Listing.objects.filter(product=product, status="listed")
        listing = listings.select_related("contract").order_by("created", "pk").first()
        rows = Connection.objects.filter(product=product).exclude(type="preview")
        if listing is not None:
            rows = rows.filter(provider=listing.contract.provider_id)
        connection = rows.order_by("created", "pk").first()
        return Response(SOLD_PRODUCT.represent(Sold(product, connection, listing)))


def _account(request: Request) -> Account:
    return cast(Account, cast(User, request.user).account)


# Workbooks of `ccli product export`.
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ZIP = "application/zip"
_ROW = {"sheet": str, "id": Untrusted}
_NAMED = Part("Named", "A reference to an object.", {"id": str, "name": Untrusted})
IMPORTED_PRODUCT = Part(
    "ImportedProduct",
    "The result of an import; `kept` is what the product has and the file doesn't.",
    {
        "product": Field(_NAMED),
        "vendor": Field(_NAMED, "product.owner"),
        "created": Field(bool, "is_new"),
        "changes": [
            Part(
                "ProductChange",
                "What an import has changed: a row of a sheet, by the id of its object.",
                {**_ROW, "change": Literal["created", "updated"], "columns": list[str]},
            )
        ],
        "kept": [Part("ProductRow", "An object that a workbook lacks.", _ROW)],
        "not_imported": list[Untrusted],
        "warnings": list[Untrusted],
    },
)


class ImportInput(Input):
    """The fields beside the files."""

    vendor = Id()


class ExportQuery(Query):
    """How a product is exported."""

    pictures = Word(
        ("true", "false"), help_text="Return a ZIP archive with the workbook and its pictures."
    )


class ImportView(APIView):
    """`POST /sandbox/products/import`, a form: 200 `{"product", "created", "changes", …}`."""

    parser_classes = (MultiPartParser,)
    operations: Operations = {
        "post": Operation(
            "Products",
            "Import a product",
            IMPORTED_PRODUCT,
            body=Form("file", "pictures", vendor=str),
            errors=(409, 413, 503),
        )
    }

    def post(self, request: Request) -> Response:
        """Import a workbook of `ccli product export`, with its ids, in one transaction.

        `file` is the workbook, `pictures` are the files of its folder `media`, and `vendor` is the
        owner of the product, by default the demo vendor. A product that exists is changed to what
        the file says; what the file lacks stays.
        """
        file = uploads.find(request, "file")
        fields = cast("dict[str, Any]", request.data)
        values = ImportInput().check({"vendor": fields.get("vendor")})
        # To the end of the import, which keeps all cells in memory.
        with spreadsheet.turn():
            content = uploads.read(file, "file").content
            if not limits.is_workbook(content):
                raise Invalid("file", "The file is not an XLSX workbook.")
            owner = _vendor(values.get("vendor"))
            imported = importing.run(content, owner, _pictures(request))
        return Response(IMPORTED_PRODUCT.represent(imported))


class ExportView(APIView):
    """`GET /sandbox/products/{id}/export`: 200 with the workbook."""

    operations: Operations = {
        "get": Operation(
            "Products",
            "Export a product",
            bytes,
            query=ExportQuery,
            errors=(404, 409),
            media_types=(XLSX, ZIP),
        )
    }

    def get(self, request: Request, product: str) -> HttpResponse:
        """Return the product as a workbook that `ccli product sync` and the import read."""
        query = ExportQuery().check_query(request.query_params)
        pictures = query.get("pictures") == "true"
        with transaction.atomic():
            # The lock keeps the product's parts from changing meanwhile.
            row = get_row(Product.objects.select_for_update(no_key=True), product)
            if pictures:
                content = exporting.with_pictures(row, icon_file(row.pk, row.name))
            else:
                content = exporting.workbook(row)
        name = f"{row.pk}.{'zip' if pictures else 'xlsx'}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return HttpResponse(content, content_type=ZIP if pictures else XLSX, headers=headers)


def _vendor(pk: str | None) -> Account:
    """Return the vendor of an import, by default the demo vendor; raises Invalid."""
    found = Account.objects.filter(pk=pk or VENDOR).first()
    if found is None:
        more = "" if pk else " Name the vendor of the product."
        raise Invalid("vendor", f"{pk or VENDOR} does not exist.{more}", "does_not_exist")
    if not found.is_vendor:
        raise Invalid("vendor", f"{found.pk} is not a vendor.")
    return found


def _pictures(request: Request) -> dict[str, bytes]:
    """Return the uploaded pictures by their names; raises Refused (413)."""
    found = {}
    for file in request.FILES.getlist("pictures"):
        if (file.size or 0) > media.MAX_BYTES:
            raise limits.too_large("thumbnail", media.MAX_BYTES)
        found[str(file.name)] = file.read()
    return found


urlpatterns = [
    path("products/import", ImportView.as_view()),
    path("products/<str:product>/export", ExportView.as_view()),
    path("products", ProductsView.as_view()),
    path("products/<str:id>", ProductView.as_view()),
]
