"""The template of a product that a request shows: a chosen one, or the default of its status.

Pending and inquiring requests have one (CloudBlue's extension examples and its Commerce
connector read it); `prefetch` reads the defaults with the product.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Case, CharField, F, OuterRef, Prefetch, Q, QuerySet, Subquery, When

from requests_queue import assumptions
from requests_queue.catalog.models import Product, Template

# Status of a request -> type of the template that it shows by default.
DEFAULTS = {"pending": "pending", "inquiring": "inquire"}


def prefetch(route: str = "") -> Prefetch[Any]:
    """Return the prefetch of default templates; `route` leads to the product, `asset__`."""
    rows = Template.objects.filter(type__in=DEFAULTS.values())
    return Prefetch(f"{route}product__templates", rows, to_attr="default_templates")


def default(product: Product, scope: str, kind: str) -> Template | None:
    """Return the product's first template of a scope and type."""
    rows: list[Template] | None = getattr(product, "default_templates", None)
    if rows is None or kind not in DEFAULTS.values():
        return Template.objects.filter(product=product, scope=scope, type=kind).first()
    return next((row for row in rows if (row.scope, row.type) == (scope, kind)), None)


def shown(status: str, chosen: Template | None, product: Product, scope: str) -> Template | None:
    """Return the template of a request in a status; `chosen` is the request's column.

    Approved: the template of the approval; inquiring: the chosen one or the default; pending: the
    default; None in other statuses.
    """
    if status == "approved" or (status == "inquiring" and chosen is not None):
        return chosen
    kind = _defaults().get(status)
    return default(product, scope, kind) if kind else None


def shown_id(scopes: dict[str, Q]) -> Case:
    """Return the id of the shown template as SQL; `scopes` maps scopes to their conditions."""
    chosen = Q(status="approved") | Q(status="inquiring", template__isnull=False)
    defaults = [
        When(condition & Q(status=status), then=Subquery(_first(scope, kind)))
        for scope, condition in scopes.items()
        for status, kind in _defaults().items()
    ]
    return Case(When(chosen, then=F("template")), *defaults, output_field=CharField())


def _defaults() -> dict[str, str]:
    return DEFAULTS if assumptions.value("pending_template") == "present" else {}


def _first(scope: str, kind: str) -> QuerySet[Any]:
    rows = Template.objects.filter(product=OuterRef("product"), scope=scope, type=kind)
    return rows.order_by("position", "id").values("pk")[:1]
