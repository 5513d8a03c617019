"""`/products`: what vendors sell, as each side sees it."""

from __future__ import annotations

from typing import Any

from django.db.models import BooleanField, Exists, OuterRef, Q, QuerySet, Value
from py_rql.constants import RQL_NULL, FilterLookups

from requests_queue.catalog import product_shape
from requests_queue.catalog.models import Product
from requests_queue.catalog.views import seen
from requests_queue.catalog.views.filtering import computed, looked_up, plain
from requests_queue.errors import Invalid
from requests_queue.rest import Collection, ConnectFilters, filters, parts, routes


class ProductFilters(ConnectFilters):
    """What products can be filtered and ordered by."""

    MODEL = Product
    FILTERS = [
        *filters(
            "id", "name", "status", "external_id", "short_description",
            ("owner.id", "owner__id"), ("owner.name", "owner__name"),
            ("events.created.at", "created"), ("events.updated.at", "updated"),
            ("events.published.at", "published"), ("published_at", "published"),
            search=("id", "name"),
        ),
        *(
            computed(f"visibility.{name}", f"seen_by_{name}", BooleanField())
            for name in ("owner", "listing", "syndication", "catalog")
        ),
        looked_up("version", ordering=True),
        looked_up("category.id"),
        looked_up("category.name"),
        *parts("icon", "category", "capabilities", "configurations", "customer_ui_settings",
               "detailed_description", "owner", "stats", "visibility", "events"),
    ]  # fmt: skip

    def build_q_for_custom_filter(self, data: Any) -> Q:
        """Compare a version, or look into the category."""
        name, value = data.filter_name, plain(data.str_value)
        if name == "version":
            found = _is_version(value)
        else:
            found = Q(**{name.replace(".", "__"): value})
        return ~found if data.filter_lookup == FilterLookups.NE else found

    def build_name_for_custom_ordering(self, filter_name: str) -> str:
        """Order by the column; the others have no ordering."""
        return filter_name


def _is_version(value: str) -> Q:
    # Connect's lists have a row per version, null for the working copy; a row of ours is both.
    if value == RQL_NULL:
        return Q()
    if not value.isdecimal():
        raise Invalid("version: Not a valid version.")
    return Q(version=int(value[:9]))


class Products(Collection):
    """`/products`, for both sides: a vendor's own, those that are sold to a provider."""

    represent = staticmethod(product_shape.product)
    rql_filter_class = ProductFilters

    def visible(self) -> QuerySet[Product]:
        """Return the products, each with why this account sees it."""
        listed = seen.listings(self.account).filter(product=OuterRef("pk"), status="listed")
        vendor = self.account.is_vendor
        return (
            seen.products(self.account)
            .select_related("owner")
            .annotate(
                seen_by_owner=Value(vendor, BooleanField()),
                seen_by_listing=Value(False, BooleanField()) if vendor else Exists(listed),
                # No syndication and no public catalogue here.
                seen_by_syndication=Value(False, BooleanField()),
                seen_by_catalog=Value(False, BooleanField()),
            )
        )


urlpatterns = routes("products", Products)
