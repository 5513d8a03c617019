"""Views of products: the list and the tabs of one, for accounts that may see them; action links."""

from __future__ import annotations

import json

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from portal import layout, pages
from portal.identity import Viewer
from portal.paging import paged
from portal.products import capabilities as forms
from portal.products import queries
from requests_queue.catalog import action_links
from requests_queue.catalog.action_links import WrongToken
from requests_queue.catalog.models import Item, Parameter, ProductAction, Template
from requests_queue.catalog.representations import icon

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


@layout.signed_in("GET")
def products(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """List a vendor's own products, or those that a distributor sells."""
    search = request.GET.get("q", "").strip()
    page = paged(request, queries.products(viewer.account, search))
    rows = queries.product_rows(viewer.account, list(page.rows))
    context = {"paged": page, "rows": rows, "search": search}
    return layout.render(request, viewer, "products/list.html", context)


@layout.signed_in("GET")
def product(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Show the tab General with the account's webhooks."""
    row = queries.find(viewer.account, pk)
    context = queries.general(viewer.account, row)
    return _tab(request, viewer, "general", {"product": row, **context})


@layout.signed_in("GET")
def items(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Show the tab Items."""
    row = queries.find(viewer.account, pk)
    rows = Item.objects.filter(product=row).defer("end_of_sale_notes")
    page = paged(request, rows, default=queries.ROWS)
    return _tab(request, viewer, "items", {"product": row, "paged": page})


@layout.signed_in("GET")
def parameters(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Show the tab Parameters."""
    row = queries.find(viewer.account, pk)
    phase = request.GET.get("phase", "")
    rows = Parameter.objects.filter(product=row)
    rows = rows.filter(phase=phase) if phase in _PHASES else rows
    page = paged(request, rows, default=queries.ROWS)
    context = {"product": row, "paged": page, "phase": phase, "phases": _PHASES}
    return _tab(request, viewer, "parameters", context)


@layout.signed_in("GET")
def templates(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Show the tab Templates, rendered as for customers."""
    row = queries.find(viewer.account, pk)
    page = paged(request, Template.objects.filter(product=row))
    return _tab(request, viewer, "templates", {"product": row, "paged": page})


@layout.signed_in("GET", "POST")
def capabilities(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Show the tab Capabilities, or save a group of them for the vendor."""
    row = queries.find(viewer.account, pk)
    groups = forms.groups(row, request.POST if request.method == "POST" else None)
    if request.method == "POST":
        saved = forms.save(row, viewer.account, groups)
        if saved is not None:
            messages.success(request, f"{saved.title} saved")
            return pages.see_other(reverse("product-capabilities", args=[pk]))
    status = 400 if request.method == "POST" else 200
    return _tab(request, viewer, "capabilities", {"product": row, "groups": groups}, status)


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
