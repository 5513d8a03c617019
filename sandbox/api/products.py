"""`/sandbox/products`: products for tests, ready to be ordered.

A product of `POST /public/v1/products` is a draft without parts, and takes its way through a dozen
calls and a listing request until it can be ordered. This one is published, connected and listed at
once, and no queue changes for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any, cast

from django.db import transaction
from django.urls import path
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from requests_queue import clock, ids
from requests_queue.api.fields import Input, List, Text, Values
from requests_queue.api.resources import Field, Many, Part
from requests_queue.api.schema import Untrusted
from requests_queue.catalog import visibility
from requests_queue.catalog.models import (
    Account,
    Connection,
    Contract,
    Hub,
    Item,
    Listing,
    Parameter,
    Product,
    Template,
    User,
)
from requests_queue.catalog.representations.parameters import parameter_id
from requests_queue.catalog.writes import capabilities, items, parameters, templates
from requests_queue.catalog.writes.products import POSITION_STEP
from requests_queue.db.rows import get_row
from requests_queue.errors import Forbidden, Invalid, Refused
from requests_queue.seed.products import capabilities as all_capabilities
from sandbox.api.schema import Exact, NoQuery, Operation, Operations

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
    """A product with its parts, and what it is sold by: None if it isn't connected or listed."""

    product: Product
    items: Iterable[Item]
    params: Iterable[Parameter]
    templates: Iterable[Template]
    connection: Connection | None
    listing: Listing | None


@transaction.atomic
def create(values: Values, account: Account) -> Sold:
    """Create the product of `ProductInput` for a vendor; raises Forbidden, Invalid, Refused."""
    if not account.is_vendor:
        raise Forbidden("Only vendors have products.")
    contract, hub = _sales_line(account)
    tree = capabilities.merge(all_capabilities(True), values.get("capabilities", {}))
    now = clock.shown(clock.now())
    name, dates = values.get("name") or "Test product", {"created": now, "updated": now}
    new = Product(owner=account, name=name, capabilities=tree, published=now, **dates)
    product = ids.create(new, "product")
    parts = _add_parts(product, values, {"product": product, **dates})
    # Its version is stored when it is read, or before the first change (`versions.store_missing`).
    connection = Connection(type="test", product=product, vendor=account, hub=hub, created=now)
    connection.provider_id = contract.provider_id
    ids.create(connection, "connection")
    listing = Listing(product=product, contract=contract, status="listed", **dates)
    return Sold(product, *parts, connection, ids.create(listing, "listing"))


def _add_parts(
    product: Product, values: Values, columns: Values
) -> tuple[list[Item], list[Parameter], list[Template]]:
    """Create the parts of a product, which nobody else knows: without locks and searches."""
    known: set[tuple[str, ...]] = set()
    added_items, added_parameters, added_templates = [], [], []
    for number, part in enumerate(values["items"], 1):
        with _errors_at(f"items.{number - 1}"):
            local_id = part.pop("local_id", "") or part["mpn"][:64]
            _check_new(known, "Item", name=part["name"], mpn=part["mpn"], local_id=local_id)
            item = Item(pk=f"{product.pk}-{number:04d}", local_id=local_id, **columns)
            item.position = number * POSITION_STEP
            items.assign(item, part, lambda *column: False)
        item.save(force_insert=True)
        added_items.append(item)
    for number, part in enumerate(values["params"], 1):
        with _errors_at(f"params.{number - 1}"):
            _check_new(known, "Parameter", name=part["name"])
            parameter = Parameter(scope="asset", phase="ordering", number=number, **columns)
            parameter.position = number * POSITION_STEP
            parameters.assign(parameter, part)
        parameter.save(force_insert=True)
        added_parameters.append(parameter)
    last = 0
    for part in values["templates"]:
        defaults = {"scope": "asset", "position": last + POSITION_STEP}
        added_templates.append(Template(**columns | defaults | part))
        last = max(last, added_templates[-1].position)
    ids.create_all(added_templates, "template")
    added_templates.sort(key=attrgetter("position", "pk"))
    return added_items, added_parameters, added_templates


def _check_new(known: set[tuple[str, ...]], kind: str, **columns: str) -> None:
    """Raise Invalid if another part of this kind has one of the values; then add them."""
    for name, value in columns.items():
        if (kind, name, value) in known:
            text = f"{kind} with same {name} already exists for the product."
            raise Invalid(name, text, "unique")
        known.add((kind, name, value))


def _sales_line(account: Account) -> tuple[Contract, Hub]:
    """Return a contract under which the vendor's products are listed, and a hub; raises Refused."""
    contracts = Contract.objects.filter(vendor=account, status="active", program=None)
    for contract in contracts.select_related("marketplace").order_by("created", "pk"):
        hubs = contract.marketplace.hubs.filter(company=contract.provider_id).order_by("pk")
        # The lock keeps the hub from being deleted until commit.
        hub = hubs.select_for_update(of=("self",), no_key=True).first()
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
            attrgetter("items"),
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
            attrgetter("params"),
        ),
        "templates": Many(
            Part(
                "SoldTemplate",
                "A template of a product.",
                {"id": str, "name": Untrusted, "scope": str, "type": str | None},
            ),
            attrgetter("templates"),
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
        parts = product.items.all(), product.parameters.all(), product.templates.all()
        return Response(SOLD_PRODUCT.represent(Sold(product, *parts, connection, listing)))


def _account(request: Request) -> Account:
    return cast(Account, cast(User, request.user).account)


urlpatterns = [
    path("products", ProductsView.as_view()),
    path("products/<str:id>", ProductView.as_view()),
]
