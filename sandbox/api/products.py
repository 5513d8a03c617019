"""`/sandbox/products`: products for tests, ready to be ordered.

A product of `POST /public/v1/products` is a draft without parts, and takes its way through a dozen
calls and a listing request until it can be ordered. This one is published, connected and listed at
once, and no queue changes for it. What is not given has defaults: two items, two parameters,
templates for every scope and type, all capabilities on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, cast

from django.db import transaction
from django.urls import path
from rest_framework.exceptions import ValidationError
from rest_framework.fields import empty
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from requests_queue import clock
from requests_queue.api.fields import Input, List, Text, Values
from requests_queue.api.resources import Field, Many, Part
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
from requests_queue.catalog.writes import capabilities, connections, items, parameters, templates
from requests_queue.catalog.writes.products import create_row, lock, save
from requests_queue.db.rows import get_row
from requests_queue.errors import Forbidden, Invalid, Refused
from requests_queue.seed.products import capabilities as all_capabilities
from sandbox.api.schema import NoQuery, Operation, Operations

MAX_PARTS = 200  # items, parameters or templates of a product
_UNIT = {"id": "unit", "title": "Units"}

ITEMS: tuple[Values, ...] = (
    {"mpn": "mailbox", "name": "Mailbox"},
    {"mpn": "traffic", "name": "Traffic", "type": "PPU", "precision": "Decimal(2)"},
)
PARAMS: tuple[Values, ...] = (
    {"name": "domain", "title": "Domain", "phase": "ordering"},
    {
        "name": "activation_id",
        "title": "Activation id",
        "phase": "fulfillment",
        "constraints": {"required": True},
    },
)
TEMPLATES: tuple[Values, ...] = tuple(
    {"scope": scope, "type": kind} for scope in templates.SCOPES for kind in templates.TYPES
)


class _Parts(List):
    """A list of parts; errors have the place in it. Null means the default parts."""

    def __init__(self, child: Input, **kwargs: Any) -> None:
        super().__init__(child, null_value=empty, max_length=MAX_PARTS, **kwargs)

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
        """Return the defaults of a part; its name may be missing."""
        raise NotImplementedError

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
        return {"name": data.get("mpn"), "type": "Reservation", "unit": dict(_UNIT)}


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


class ProductInput(Input):
    """A product; parts that are given replace the default ones, capabilities the named ones."""

    name = Text(255)
    items = _Parts(ItemInput())
    params = _Parts(ParameterInput())
    templates = _Parts(TemplateInput())
    capabilities = capabilities.Capabilities(allow_null=True)

    def to_internal_value(self, data: Any) -> Values:
        """Return the values; raises ValidationError, for unknown keys too."""
        values = super().to_internal_value(data)
        if unknown := [name for name in data if name not in self.fields]:
            text = f"Unknown field. Available: {', '.join(self.fields)}."
            raise ValidationError(dict.fromkeys(unknown, text))
        return values


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
    now = clock.shown(clock.now())
    tree = capabilities.merge(all_capabilities(True), values.get("capabilities", {}))
    row = create_row(
        Product,
        "product",
        owner=account,
        status="published",
        published=now,
        name=values.get("name") or "Test product",
        capabilities=tree,
    )
    product = lock(row)
    for place, part in _given(values, "items", ItemInput(), ITEMS):
        with _errors_at(f"items.{place}"):
            _add_item(product, part)
    for place, part in _given(values, "params", ParameterInput(), PARAMS):
        with _errors_at(f"params.{place}"):
            parameters.create(product, part)
    for _, part in _given(values, "templates", TemplateInput(), TEMPLATES):
        templates.create(product, part)
    connection = connections.create(product, {"hub": hub.pk})
    listing = create_row(Listing, "listing", product=product, contract=contract, status="listed")
    return Sold(product, connection, listing)


def _given(
    values: Values, name: str, form: Input, defaults: Iterable[Values]
) -> Iterator[tuple[int, Values]]:
    """Yield place and values of the parts that are given, or of the default ones."""
    yield from enumerate(
        values[name] if name in values else [form.check(part) for part in defaults]
    )


def _add_item(product: Product, values: Values) -> None:
    local_id = values.pop("local_id", "") or values["mpn"][:64]
    item = items.create(product, values)
    if Item.objects.filter(product=product, local_id=local_id).exists():
        text = "Item with same local_id already exists for the product."
        raise Invalid("local_id", text, "unique")
    save(item, {"local_id": local_id, "status": "published"}, only=True)


def _sales_line(account: Account) -> tuple[Contract, Hub]:
    """Return a contract under which the vendor's products are listed, and a hub; raises Refused."""
    contracts = Contract.objects.filter(vendor=account, status="active")
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


def find(product: Product) -> Sold:
    """Return a product with its first connection and its first listing."""
    listings = Listing.objects.filter(product=product, status="listed")
    listing = listings.select_related("contract").order_by("created", "pk").first()
    rows = Connection.objects.filter(product=product).exclude(type="preview")
    if listing is not None:
        rows = rows.filter(provider=listing.contract.provider_id)
    return Sold(product, rows.order_by("created", "pk").first(), listing)


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
        "name": Field(str, "product.name"),
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
                dict.fromkeys(
                    ("id", "local_id", "mpn", "name", "type", "period", "precision"), str
                ),
            ),
            lambda sold: sold.product.items.all(),
        ),
        "params": Many(
            Part(
                "SoldParameter",
                "A parameter of a product; orders use its name as id.",
                {
                    "id": Field(str, parameter_id),
                    **dict.fromkeys(("name", "title", "type", "scope", "phase"), str),
                    "required": Field(bool, lambda row: bool(row.constraints.get("required"))),
                },
            ),
            lambda sold: sold.product.parameters.all(),
        ),
        "templates": Many(
            Part(
                "SoldTemplate",
                "A template of a product.",
                {"id": str, "name": str, "scope": str, "type": str | None},
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
        """Return a product that the caller sees, with its parts and what it is sold by."""
        NoQuery().check_query(request.query_params)
        row = get_row(visibility.products(_account(request)), id)
        return Response(SOLD_PRODUCT.represent(find(row)))


def _account(request: Request) -> Account:
    return cast(Account, cast(User, request.user).account)


urlpatterns = [
    path("products", ProductsView.as_view()),
    path("products/<str:id>", ProductView.as_view()),
]
