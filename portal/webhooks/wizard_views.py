"""Views of the wizard: GET shows a step, POST stores it and redirects to another."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.admin.models import ADDITION
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from portal import layout, pages
from portal.identity import Viewer
from portal.webhooks import drafts, header_rows, wizard
from portal.webhooks.drafts import Draft
from requests_queue.errors import Invalid, Missing


@layout.signed_in("GET", "POST")
def new(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Show the first step, or start a draft with it."""
    if request.method != "POST":
        return _page(request, viewer, drafts.new(viewer), wizard.GENERAL)
    return _submit(request, viewer, drafts.start(viewer), wizard.GENERAL)


@layout.signed_in("GET", "POST")
def step(request: HttpRequest, viewer: Viewer, key: str, name: str) -> HttpResponse:
    """Show or store a step of a draft, for the user and account that started it."""
    if name not in wizard.STEPS:
        raise Missing(name)
    with transaction.atomic():
        draft = drafts.find(viewer, key, locked=request.method == "POST")
        if draft is None:
            messages.error(request, "The draft has expired after a day. Start again.")
            return pages.see_other(reverse("webhook-new"))
        if draft.webhook:
            return pages.see_other(reverse("webhook", args=[draft.webhook]))
        if request.method == "POST":
            return _submit(request, viewer, draft, name)
    invalid = wizard.first_invalid(draft, viewer, until=name)
    return _to(draft, invalid) if invalid else _page(request, viewer, draft, name)


def _submit(request: HttpRequest, viewer: Viewer, draft: Draft, name: str) -> HttpResponse:
    go = request.POST.get("go", "next")
    if go == "cancel":
        drafts.delete(draft)
        return pages.see_other(reverse("webhooks"))
    adds_header = go == "row" and name == wizard.HTTP
    wizard.store(draft, name, header_rows.add(request.POST) if adds_header else request.POST)
    if go == "create":
        return _create(request, viewer, draft, name)
    target = name
    if go == "back":
        target = wizard.before(name)
    elif go == "next":
        draft.submit(name)
        is_valid = wizard.form(draft, viewer, name).is_valid()
        target = wizard.after(name) if is_valid else name
    drafts.save(draft)
    return _to(draft, target, "#headers" if adds_header else "")


def _create(request: HttpRequest, viewer: Viewer, draft: Draft, name: str) -> HttpResponse:
    draft.submit(name)
    if invalid := wizard.first_invalid(draft, viewer):
        draft.submit(invalid)
        drafts.save(draft)
        return _to(draft, invalid)
    try:
        row = wizard.create(draft, viewer)
    except Invalid as refused:
        messages.error(request, str(refused))
        drafts.save(draft)
        return _to(draft, wizard.step_of(refused.errors[0].path))
    drafts.save(draft)
    viewer.record(row, "Created by the wizard.", ADDITION)
    hint = "" if row.active else ". It is disabled. Enable it when your handler is ready."
    messages.success(request, f"Webhook created{hint}")
    return pages.see_other(reverse("webhook", args=[row.pk]))


def _to(draft: Draft, name: str, fragment: str = "") -> HttpResponse:
    return pages.see_other(reverse("webhook-new-step", args=[draft.key, name]) + fragment)


def _page(request: HttpRequest, viewer: Viewer, draft: Draft, name: str) -> HttpResponse:
    form = wizard.form(draft, viewer, name)
    if form.is_bound and name not in draft.submitted:
        form.hide_errors()
    number = wizard.NAMES.index(name) + 1
    context: dict[str, Any] = {
        "form": form,
        "name": name,
        "steps": [(n, label, n == number) for n, label in enumerate(wizard.STEPS.values(), 1)],
        "number": number,
        "title": wizard.STEPS[name],
        "action": reverse("webhook-new-step", args=[draft.key, name]) if draft.key
        else reverse("webhook-new"),
        **_choices(request, viewer, draft, name),
    }  # fmt: skip
    return layout.render(request, viewer, f"webhooks/wizard_{name}.html", context)


def _choices(request: HttpRequest, viewer: Viewer, draft: Draft, name: str) -> dict[str, Any]:
    if name == wizard.PRODUCT:
        search, selected = request.GET.get("q", ""), draft.value(name, "product")
        products, count = wizard.products(viewer, search, selected)
        if name not in draft.typed and count == 1:
            selected = products[0].pk if products else ""
        return {"products": products, "count": count, "q": search, "selected": selected,
                "max_products": wizard.MAX_PRODUCTS}  # fmt: skip
    if name == wizard.TYPE:
        groups, unavailable = wizard.type_choices(draft, viewer)
        return {"groups": groups, "unavailable": unavailable,
                "product": wizard.product(draft, viewer),
                "selected": draft.value(name, "kind")}  # fmt: skip
    return {"is_get": name == wizard.DATA and wizard.is_get(draft)}
