"""The views of products: the list, and a product by tabs. Vendors switch capabilities here."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from portal import layout, pages
from portal.identity import Viewer
from portal.paging import paged
from portal.products import capabilities as forms
from portal.products import queries


@require_safe
@layout.signed_in
def products(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """List a vendor's own products, or those that are sold to a distributor."""
    asked = request.GET.get("q", "").strip()
    found = paged(request, queries.products(viewer.account, asked))
    lines = queries.product_rows(viewer.account, list(found.rows))
    context = {"paged": found, "lines": lines, "asked": asked}
    return layout.render(request, viewer, "products/list.html", context)


@require_safe
@layout.signed_in
def product(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Show a product, where it is sold, and the viewer's webhooks of it, to whoever sees it."""
    row = queries.find(viewer.account, pk)
    context = queries.general(viewer.account, row)
    return _tab(request, viewer, "general", {"product": row, **context})


@require_safe
@layout.signed_in
def items(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Show a product's items, to whoever sees the product."""
    row = queries.find(viewer.account, pk)
    found = paged(request, queries.items(row), default=queries.ROWS)
    return _tab(request, viewer, "items", {"product": row, "paged": found})


@require_safe
@layout.signed_in
def parameters(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Show a product's parameters, to whoever sees the product."""
    row = queries.find(viewer.account, pk)
    phase = request.GET.get("phase", "")
    found = paged(request, queries.parameters(row, phase), default=queries.ROWS)
    context = {"product": row, "paged": found, "phase": phase, "phases": queries.PHASES}
    return _tab(request, viewer, "parameters", context)


@require_safe
@layout.signed_in
def templates(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Show a product's templates as customers read them, to whoever sees the product."""
    row = queries.find(viewer.account, pk)
    found = paged(request, queries.templates(row))
    return _tab(request, viewer, "templates", {"product": row, "paged": found})


@require_http_methods(["GET", "HEAD", "POST"])
@layout.signed_in
def capabilities(request: HttpRequest, viewer: Viewer, pk: str) -> HttpResponse:
    """Show what a product can do, to whoever sees it; its vendor switches a group at a time."""
    row = queries.find(viewer.account, pk)
    groups = forms.groups(row, request.POST if request.method == "POST" else None)
    if request.method == "POST":
        saved = forms.save(row, viewer.account, groups)
        if saved is not None:
            messages.success(request, f"{saved.title}: saved.")
            return pages.see_other(reverse("product-capabilities", args=[pk]))
    status = 400 if request.method == "POST" else 200
    return _tab(request, viewer, "capabilities", {"product": row, "groups": groups}, status)


def _tab(
    request: HttpRequest, viewer: Viewer, tab: str, context: dict[str, object], status: int = 200
) -> HttpResponse:
    found = {"tab": tab, "tabs": queries.TABS, **context}
    return layout.render(request, viewer, f"products/{tab}.html", found, status)
