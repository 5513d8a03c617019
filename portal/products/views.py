"""Views of products: the list and the tabs of one, for accounts that may see them; action links."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_safe

from portal import layout, pages
from portal.identity import Viewer
from portal.paging import paged
from portal.products import capabilities as forms
from requests_queue.catalog import action_links, visibility
from requests_queue.catalog.action_links import WrongToken
from requests_queue.catalog.models import Account, Item, Parameter, Product, ProductAction, Template
from requests_queue.catalog.representations import icon
from requests_queue.errors import Missing, Refused
from requests_queue.queues import base, samples
from webhooks import types
from webhooks.models import Webhook

_LINKED = {"asset_id": "Subscription", "configuration_id": "Tier configuration"}
_PHASES = ("ordering", "fulfillment", "configuration")
# The name of a tab's URL, and its label.
_TABS = (
    ("product", "General"),
    ("product-items", "Items"),
    ("product-parameters", "Parameters"),
    ("product-templates", "Templates"),
    ("product-capabilities", "Capabilities"),
)
_ROWS = 50
_MAX_WEBHOOKS = 20
_DEFERRED = (
    "short_description",
    "detailed_description",
    "capabilities",
    "customer_ui_settings",
    "end_of_sale_notes",
    "category",
)


@layout.signed_in("GET")
def products(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """List a vendor's own products, or those that a distributor sells."""
    search = request.GET.get("q", "").strip()
    page = paged(request, _products(viewer.account, search))
    rows = _with_open(viewer.account, list(page.rows))
    context = {"paged": page, "rows": rows, "search": search}
    return layout.render(request, viewer, "products/list.html", context)


@layout.signed_in("GET")
def product(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Show the tab General with the account's webhooks."""
    row = _find(viewer.account, pk)
    context = _general(viewer.account, row)
    return _tab(request, viewer, "general", {"product": row, **context})


@layout.signed_in("GET")
def items(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Show the tab Items."""
    row = _find(viewer.account, pk)
    rows = Item.objects.filter(product=row).defer("end_of_sale_notes")
    page = paged(request, rows, default=_ROWS)
    return _tab(request, viewer, "items", {"product": row, "paged": page})


@layout.signed_in("GET")
def parameters(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Show the tab Parameters."""
    row = _find(viewer.account, pk)
    phase = request.GET.get("phase", "")
    rows = Parameter.objects.filter(product=row)
    rows = rows.filter(phase=phase) if phase in _PHASES else rows
    page = paged(request, rows, default=_ROWS)
    context = {"product": row, "paged": page, "phase": phase, "phases": _PHASES}
    return _tab(request, viewer, "parameters", context)


@layout.signed_in("GET")
def templates(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Show the tab Templates, rendered as for customers."""
    row = _find(viewer.account, pk)
    page = paged(request, Template.objects.filter(product=row))
    return _tab(request, viewer, "templates", {"product": row, "paged": page})


@layout.signed_in("GET", "POST")
def capabilities(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Show the tab Capabilities, or save a group of them for the vendor."""
    row = _find(viewer.account, pk)
    groups = forms.groups(row, request.POST if request.method == "POST" else None)
    if request.method == "POST":
        saved = forms.save(row, viewer.account, groups)
        if saved is not None:
            messages.success(request, f"{saved['title']} saved")
            return pages.see_other(reverse("product-capabilities", args=[pk]))
    status = 400 if request.method == "POST" else 200
    return _tab(request, viewer, "capabilities", {"product": row, "groups": groups}, status)


@layout.signed_in("POST")
def delete(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Delete a product that was never sold, for its vendor; in a sandbox."""
    row = _find(viewer.account, pk)
    if not settings.SANDBOX:
        raise Missing(pk)
    try:
        samples.delete_product(row, viewer.account)
    except Refused as refused:
        messages.error(request, f"Not deleted. {refused}")
        return pages.see_other(reverse("product", args=[pk]))
    messages.success(request, f"{row.name} deleted")
    return pages.see_other(reverse("products"))


# Apps above the portal append theirs: the response to the link of an action, or None.
ACTION_EXECUTORS: list[
    Callable[[HttpRequest, ProductAction, Mapping[str, Any]], HttpResponse | None]
] = []


@require_safe
def action(request: HttpRequest, pk: str) -> HttpResponse:
    """Show the decoded token of a link, and how the vendor's own page verifies it.

    403 for an expired, forged or missing token, without any data of the product.
    """
    row = ProductAction.objects.select_related("product__owner").filter(pk=pk).first()
    try:
        if row is None:
            # The same error as for an invalid token, so that ids cannot be probed.
            raise WrongToken(action_links.UNVERIFIED)
        token = request.GET.get("jwt", "")
        header, claims = action_links.read(row, token)
    except WrongToken as wrong:
        return pages.render(
            request, "products/action_refused.html", {"why": str(wrong)}, status=403
        )
    for execute in ACTION_EXECUTORS if request.method == "GET" else ():
        if (response := execute(request, row, claims)) is not None:
            return response
    context = {
        "row": row,
        "product": row.product,
        "icon": icon(row.product),
        "about": [(title, claims[name]) for name, title in _LINKED.items() if name in claims],
        "expires": action_links.expires_at(claims),
        "token": token,
        "header": json.dumps(header, indent=2),
        "claims": json.dumps(claims, indent=2),
    }
    return pages.render(request, "products/action.html", context)


def _tab(
    request: HttpRequest, viewer: Viewer, tab: str, context: dict[str, object], status: int = 200
) -> HttpResponse:
    context = {"tab": tab, "tabs": _TABS, **context}
    return layout.render(request, viewer, f"products/{tab}.html", context, status)


def _products(account: Account, search: str) -> QuerySet[Product]:
    """Return the products that an account may see, with the number of its webhooks."""
    rows = visibility.products(account)
    if search:
        rows = rows.filter(Q(name__icontains=search) | Q(pk__icontains=search))
    webhooks = visibility.count(Webhook.objects.filter(account=account), "product")
    return rows.defer(*_DEFERRED).annotate(webhook_count=webhooks).order_by("name", "pk")


def _with_open(account: Account, rows: Sequence[Product]) -> list[tuple[Product, int]]:
    """Return the products, each with its number of open objects; one statement for each queue."""
    open_objects: Counter[str] = Counter()
    for queue in base.registered() if rows else ():
        open_statuses = [status for status in queue.status_names if status not in queue.final]
        if not open_statuses:
            continue
        objects = queue.model.listed_to(account).filter(
            product__in=[row.pk for row in rows], status__in=open_statuses
        )
        counted = objects.order_by().values_list("product").annotate(n=Count("pk"))
        open_objects.update(dict(counted))
    return [(row, open_objects[row.pk]) for row in rows]


def _find(account: Account, pk: str) -> Product:
    """Return a product that the account may see; raises Http404."""
    rows = visibility.products(account).select_related("owner", "replacement")
    return get_object_or_404(rows, pk=pk)


def _general(account: Account, product: Product) -> dict[str, Any]:
    """Return the account's webhooks, connections and listings of a product."""
    connections = visibility.connections(account).filter(product=product)
    connected = list(connections.select_related("hub", "provider", "vendor")[:_ROWS])
    listings = visibility.listings(account).filter(product=product)
    webhooks = Webhook.objects.filter(account=account, product=product).only(
        "label", "type", "object_class", "active", "out_of_order", "product"
    )
    return {
        "connections": connected,
        "listings": listings.select_related("contract__marketplace")[:_ROWS],
        "webhooks": [
            (row, types.label(row.type, row.object_class)) for row in webhooks[: _MAX_WEBHOOKS + 1]
        ],
        "max_webhooks": _MAX_WEBHOOKS,
        "can_delete": settings.SANDBOX and product.owner_id == account.pk and not connected,
    }
