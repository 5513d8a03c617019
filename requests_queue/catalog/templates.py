"""Which template of a product a request shows: the chosen one, or the default of its status.

Pending and inquiring requests carry one whether somebody chose it or not (read by CloudBlue's
extension examples and by its Commerce connector); defaults are read with the product, by
`prefetch`.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Case, CharField, F, OuterRef, Prefetch, Q, QuerySet, Subquery, When

from requests_queue.catalog.models import Product, Template

# Status of a request -> type of the template that it shows by default.
DEFAULTS = {"pending": "pending", "inquiring": "inquire"}


def prefetch(route: str = "") -> Prefetch[Any]:
    """Return what rows bring along of it, `asset__` being the way to what has the product."""
    rows = Template.objects.filter(type__in=DEFAULTS.values())
    return Prefetch(f"{route}product__templates", rows, to_attr="default_templates")


def default(product: Product, scope: str, kind: str) -> Template | None:
    """Return the product's first template of a scope and type."""
    rows: list[Template] | None = getattr(product, "default_templates", None)
    if rows is None or kind not in DEFAULTS.values():
        return Template.objects.filter(product=product, scope=scope, type=kind).first()
    return next((row for row in rows if (row.scope, row.type) == (scope, kind)), None)


def shown(status: str, chosen: Template | None, product: Product, scope: str) -> Template | None:
    """Return the template of a request in a status; `chosen` is its own column.

    Approved: the one that was approved with; inquiring: the one chosen, or the default; pending:
    the default; None in every other status.
    """
    if status == "approved" or (status == "inquiring" and chosen is not None):
        return chosen
    kind = DEFAULTS.get(status)
    return default(product, scope, kind) if kind else None


def shown_id(scopes: dict[str, Q]) -> Case:
    """Return the id of what `shown` returns as SQL; `scopes` says which scope counts when."""
    chosen = Q(status="approved") | Q(status="inquiring", template__isnull=False)
    defaults = [
        When(condition & Q(status=status), then=Subquery(_first(scope, kind)))
        for scope, condition in scopes.items()
        for status, kind in DEFAULTS.items()
    ]
    return Case(When(chosen, then=F("template")), *defaults, output_field=CharField())


def _first(scope: str, kind: str) -> QuerySet[Any]:
    rows = Template.objects.filter(product=OuterRef("product"), scope=scope, type=kind)
    return rows.order_by("position", "id").values("pk")[:1]
