"""The views of the wizard: each step is read by a GET, and sent by a POST that leads on."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from portal import layout, pages
from portal.identity import Viewer
from portal.webhooks import drafts, header_rows, history, wizard
from portal.webhooks.drafts import Draft
from requests_queue.errors import Invalid, Missing

_FORM = require_http_methods(["GET", "HEAD", "POST"])


@_FORM
@layout.signed_in
def new(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Show the first step to whoever is signed in; sent, it becomes a draft of theirs."""
    if request.method != "POST":
        return _page(request, viewer, drafts.blank(viewer), wizard.GENERAL)
    return _took(request, viewer, drafts.begin(viewer), wizard.GENERAL)


@_FORM
@layout.signed_in
def step(request: HttpRequest, viewer: Viewer, key: str, name: str) -> HttpResponse:
    """Show or take a step of a draft, to the one who began it, as the account it was begun as."""
    if name not in wizard.STEPS:
        raise Missing(name)
    with transaction.atomic():
        draft = drafts.find(viewer, key, locked=request.method == "POST")
        if draft is None:
            messages.error(request, "That draft is gone: it is kept for a day. Please start again.")
            return pages.see_other(reverse("webhook-new"))
        if draft.webhook:
            return pages.see_other(reverse("webhook", args=[draft.webhook]))
        if request.method == "POST":
            return _took(request, viewer, draft, name)
    first = wizard.wrong(draft, viewer, until=name)
    return _to(draft, first) if first else _page(request, viewer, draft, name)


def _took(request: HttpRequest, viewer: Viewer, draft: Draft, name: str) -> HttpResponse:
    go = request.POST.get("go", "next")
    if go == "cancel":
        drafts.drop(draft)
        return pages.see_other(reverse("webhooks"))
    add = go == "row" and name == wizard.HTTP
    wizard.keep(draft, name, header_rows.add(request.POST) if add else request.POST)
    if go == "create":
        return _create(request, viewer, draft, name)
    following = name
    if go == "back":
        following = wizard.before(name)
    elif go == "next":
        draft.tell(name)
        is_valid = wizard.form(draft, viewer, name).is_valid()
        following = wizard.after(name) if is_valid else name
    drafts.save(draft)
    return _to(draft, following, "#headers" if add else "")


def _create(request: HttpRequest, viewer: Viewer, draft: Draft, name: str) -> HttpResponse:
    draft.tell(name)
    first = wizard.wrong(draft, viewer)
    if first:
        draft.tell(first)
        drafts.save(draft)
        return _to(draft, first)
    try:
        row = wizard.create(draft, viewer)
    except Invalid as refused:
        messages.error(request, str(refused))
        drafts.save(draft)
        return _to(draft, wizard.of_field(refused.errors[0].path))
    drafts.save(draft)
    history.note(viewer, row, "Created by the wizard.", history.ADDITION)
    todo = "" if row.active else " It is disabled: enable it once your handler is ready."
    messages.success(request, f"{row.label} ({row.pk}) is created.{todo}")
    return pages.see_other(reverse("webhook", args=[row.pk]))


def _to(draft: Draft, name: str, place: str = "") -> HttpResponse:
    return pages.see_other(reverse("webhook-new-step", args=[draft.key, name]) + place)


def _page(request: HttpRequest, viewer: Viewer, draft: Draft, name: str) -> HttpResponse:
    form = wizard.shown(draft, viewer, name)
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
    data = draft.data(name)
    if name == wizard.PRODUCT:
        words = request.GET.get("q", "")
        chosen = data.get("product", "") if data is not None else ""
        offered, count = wizard.products(viewer, words, str(chosen).replace("\0", ""))
        if data is None and count == 1:
            chosen = offered[0].pk if offered else ""
        return {"products": offered, "count": count, "q": words, "chosen": chosen,
                "most": wizard.OFFERED}  # fmt: skip
    if name == wizard.TYPE:
        groups, refused = wizard.offers(draft, viewer)
        return {"groups": groups, "refused": refused, "product": wizard.product(draft, viewer),
                "chosen": data.get("kind", "") if data is not None else ""}  # fmt: skip
    return {"is_get": name == wizard.DATA and wizard.is_get(draft)}
