"""`/products/{id}/versions`: published versions, and their parts as they were then."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from django.db import transaction
from django.db.models import QuerySet
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from requests_queue.api.schema import Answer, Documented
from requests_queue.catalog import versions, visibility
from requests_queue.catalog.models import ProductAction, ProductVersion, VersionPart
from requests_queue.catalog.representations.products import ActionLink
from requests_queue.catalog.representations.versions import KINDS, VERSION, Kind
from requests_queue.catalog.rest import routes
from requests_queue.catalog.views.of_product import OfProduct
from requests_queue.catalog.views.product_actions import LINK_QUERIES, link
from requests_queue.catalog.writes import products
from requests_queue.catalog.writes import versions as writes
from requests_queue.errors import Missing


class _OfVersions(OfProduct):
    """Versions of the product in the path: of others than its vendor only public ones."""

    def versions(self) -> QuerySet[ProductVersion]:
        """Return the versions that the caller sees; raises Missing."""
        product = self.product
        if versions.is_missing(product):
            with transaction.atomic():
                versions.store_missing(products.lock(product))
        rows = ProductVersion.objects.filter(product=product)
        return rows if self.account.is_vendor else rows.filter(public=True)


def _number(text: str) -> int:
    """Return the number of a version in a path; raises Missing."""
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise Missing(text)
    return int(text)


class Versions(_OfVersions):
    """`/products/{id}/versions`, the newest first: the vendor's all, a provider's public ones."""

    documented = Documented("Products", "version of a product", VERSION)
    bodies = {"create": writes.VersionInput(), "update": writes.VersionInput(partial=True)}

    def visible(self) -> QuerySet[ProductVersion]:
        """Return the versions that the caller sees."""
        return self.versions()

    def annotations(self) -> dict[str, Any]:
        """Return why this account sees the product."""
        return visibility.seen_by(self.account, "product")

    def find(self, rows: QuerySet[Any], pk: str) -> ProductVersion | None:
        """Return the version of that number."""
        found: ProductVersion | None = rows.filter(number=_number(pk)).first()
        return found

    def create(self, request: Request, **kwargs: Any) -> Response:
        """Publish the product and its draft items, for its vendor: 201 with the new version."""
        return self.created(writes.create(self.own_product, self.body))

    def update(self, request: Request, **kwargs: Any) -> Response:
        """Change who may read a version, or its description, for the vendor: 200."""
        row = self.get_object()
        writes.update(self.own_product, row, self.body)
        return self.answer(self.get_object())

    @action(detail=True, methods=["post"])
    def build(self, request: Request, **kwargs: Any) -> Response:
        """Return the version, for the product's vendor: 200; a version is complete at once."""
        row = self.get_object()
        visibility.require_vendor(self.account)
        return self.answer(row)


class PartsOfVersion(_OfVersions):
    """Parts of one kind, as they were when the version was published; nobody changes them."""

    kind: ClassVar[Kind]

    def __init_subclass__(cls) -> None:
        cls.rql_filter_class = cls.kind.filter_class
        cls.related = ()
        cls.represent = staticmethod(lambda row: row.data)
        super().__init_subclass__()

    def visible(self) -> QuerySet[VersionPart]:
        """Return the parts; raises Missing."""
        number = self.kwargs["version"]
        version = self.versions().filter(number=_number(number)).first()
        if version is None:
            raise Missing(number)
        rows = VersionPart.objects.filter(version=version, kind=self.kind.name)
        return rows.alias(**self.kind.aliases)

    def find(self, rows: QuerySet[Any], pk: str) -> VersionPart | None:
        """Return the part by its id, else by its other name."""
        found = rows.filter(key=pk).first() or rows.filter(self.kind.by_id(pk)).first()
        return cast("VersionPart | None", found)


_ITEMS, _PARAMETERS, _TEMPLATES, _ACTIONS = KINDS


class VersionItems(PartsOfVersion):
    """`/products/{id}/versions/{version}/items`."""

    kind = _ITEMS
    documented = Documented("Products", "item of a version", kind.resource)


class VersionParameters(PartsOfVersion):
    """`/products/{id}/versions/{version}/parameters`."""

    kind = _PARAMETERS
    documented = Documented("Products", "parameter of a version", kind.resource)


class VersionTemplates(PartsOfVersion):
    """`/products/{id}/versions/{version}/templates`."""

    kind = _TEMPLATES
    documented = Documented("Products", "template of a version", kind.resource)


class VersionActions(PartsOfVersion):
    """`/products/{id}/versions/{version}/actions`."""

    kind = _ACTIONS
    documented = Documented(
        "Products",
        "action of a version",
        kind.resource,
        answers={"action_link": Answer(200, ActionLink)},
        queries={"action_link": LINK_QUERIES},
    )

    @action(detail=True, methods=["get"], url_path="actionLink")
    def action_link(self, request: Request, **kwargs: Any) -> Response:
        """Answer with a link that runs the action as it was in the version: 200."""
        data = self.get_object().data
        columns = {name: data[name] for name in ("id", "action", "scope", "url")}
        row = ProductAction(product=self.product, **columns)
        return Response({"link": link(self.account, row, request.query_params)})


_VERSIONS = "products/(?P<product_id>[^/]+)/versions"
_OF = f"{_VERSIONS}/(?P<version>[^/]+)/"
urlpatterns = [
    *routes(_VERSIONS, Versions),
    *routes(f"{_OF}items", VersionItems),
    *routes(f"{_OF}parameters", VersionParameters),
    *routes(f"{_OF}templates", VersionTemplates),
    *routes(f"{_OF}actions", VersionActions),
]
