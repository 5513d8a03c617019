"""The wizard that creates a webhook, in Connect's five steps.

GET shows a step; POST stores it as a draft and redirects to another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.admin.models import ADDITION
from django.db import transaction
from django.http import HttpRequest, HttpResponse, QueryDict
from django.urls import reverse

from portal import layout, pages
from portal.header_rows import with_empty_row
from portal.identity import Viewer
from portal.webhooks import drafts
from portal.webhooks.drafts import Draft
from portal.webhooks.forms import (
    DataForm,
    GeneralForm,
    HttpForm,
    ProductForm,
    StepForm,
    TypeForm,
)
from requests_queue.catalog.models import Product
from requests_queue.errors import Invalid, Missing
from webhooks import actions, types, validation_rules
from webhooks.models import Webhook
from webhooks.types import WebhookType

GENERAL, PRODUCT, TYPE, HTTP, DATA = "general", "product", "type", "http", "data"
STEPS = {
    GENERAL: "General",
    PRODUCT: "Product",
    TYPE: "Type",
    HTTP: "HTTP settings",
    DATA: "Additional data",
}
_NAMES = list(STEPS)
_STEP_OF_FIELD = {"product_id": PRODUCT, "type": TYPE, "object_class": TYPE} | {
    name: step
    for step, form in ((GENERAL, GeneralForm), (HTTP, HttpForm), (DATA, DataForm))
    for name in form.base_fields
}
# With more products than this, a search is shown.
_MAX_PRODUCTS = 30


@dataclass(frozen=True, slots=True)
class TypeChoice:
    """A type, and why it is not available; empty if it is."""

    type: WebhookType
    why_unavailable: str

    @property
    def value(self) -> str:
        """The value of its radio button."""
        return f"{self.type.type}:{self.type.object_class}"


@layout.signed_in("GET", "POST")
def new(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Show the first step, or start a draft with it."""
    if request.method != "POST":
        return _page(request, viewer, drafts.new(viewer), GENERAL)
    return _submit(request, viewer, drafts.start(viewer), GENERAL)


@layout.signed_in("GET", "POST")
def step(request: HttpRequest, viewer: Viewer, key: str, name: str) -> HttpResponse:
    """Show or store a step of a draft, for the user and account that started it."""
    if name not in STEPS:
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
    invalid = _first_invalid(draft, viewer, until=name)
    return _to(draft, invalid) if invalid else _page(request, viewer, draft, name)


def _submit(request: HttpRequest, viewer: Viewer, draft: Draft, name: str) -> HttpResponse:
    go = request.POST.get("go", "next")
    if go == "cancel":
        drafts.delete(draft)
        return pages.see_other(reverse("webhooks"))
    adds_header = go == "row" and name == HTTP
    _store(draft, name, with_empty_row(request.POST) if adds_header else request.POST)
    if go == "create":
        return _create(request, viewer, draft, name)
    target = name
    if go == "back":
        target = _NAMES[max(0, _NAMES.index(name) - 1)]
    elif go == "next":
        draft.submit(name)
        is_valid = _form(draft, viewer, name).is_valid()
        target = _NAMES[min(len(_NAMES) - 1, _NAMES.index(name) + 1)] if is_valid else name
    drafts.save(draft)
    return _to(draft, target, "#headers" if adds_header else "")


def _create(request: HttpRequest, viewer: Viewer, draft: Draft, name: str) -> HttpResponse:
    draft.submit(name)
    if invalid := _first_invalid(draft, viewer):
        draft.submit(invalid)
        drafts.save(draft)
        return _to(draft, invalid)
    try:
        row = _create_webhook(draft, viewer)
    except Invalid as refused:
        messages.error(request, str(refused))
        drafts.save(draft)
        return _to(draft, _STEP_OF_FIELD.get(refused.errors[0].path.partition(".")[0], GENERAL))
    drafts.save(draft)
    viewer.record(row, "Created by the wizard.", ADDITION)
    hint = "" if row.active else ". It is disabled. Enable it when your handler is ready."
    messages.success(request, f"Webhook created{hint}")
    return pages.see_other(reverse("webhook", args=[row.pk]))


def _to(draft: Draft, name: str, fragment: str = "") -> HttpResponse:
    return pages.see_other(reverse("webhook-new-step", args=[draft.key, name]) + fragment)


def _page(request: HttpRequest, viewer: Viewer, draft: Draft, name: str) -> HttpResponse:
    form = _form(draft, viewer, name)
    if form.is_bound and name not in draft.submitted:
        form.hide_errors()
    number = _NAMES.index(name) + 1
    context: dict[str, Any] = {
        "form": form,
        "name": name,
        "steps": [(n, label, n == number) for n, label in enumerate(STEPS.values(), 1)],
        "number": number,
        "title": STEPS[name],
        "action": reverse("webhook-new-step", args=[draft.key, name])
        if draft.key
        else reverse("webhook-new"),
        **_choices(request, viewer, draft, name),
    }
    return layout.render(request, viewer, f"webhooks/wizard_{name}.html", context)


def _choices(request: HttpRequest, viewer: Viewer, draft: Draft, name: str) -> dict[str, Any]:
    if name == PRODUCT:
        search, selected = request.GET.get("q", ""), draft.value(name, "product")
        rows = validation_rules.products(viewer.account).only("name").order_by("name", "pk")
        words = search.replace("\0", "").strip()
        matching = rows.filter(name__icontains=words) | rows.filter(pk__icontains=words)
        products, count = list(matching[:_MAX_PRODUCTS]), rows.count()
        if selected and all(row.pk != selected for row in products):
            products = [*rows.filter(pk=selected), *products]
        if name not in draft.typed and count == 1:
            selected = products[0].pk if products else ""
        return {
            "products": products,
            "count": count,
            "q": search,
            "selected": selected,
            "max_products": _MAX_PRODUCTS,
        }
    if name == TYPE:
        groups, unavailable = _type_choices(draft, viewer)
        return {
            "groups": groups,
            "unavailable": unavailable,
            "product": _product(draft, viewer),
            "selected": draft.value(name, "kind"),
        }
    return {"is_get": name == DATA and _is_get(draft)}


def _store(draft: Draft, step: str, submitted: QueryDict) -> None:
    """Store the submitted form of a step as it was typed."""
    typed = submitted.copy()
    for name in ("csrfmiddlewaretoken", "go"):
        typed.pop(name, None)
    # A webhook with GET has no field for data, and keeps what was typed earlier.
    if step != DATA or "data" in typed or step not in draft.typed:
        draft.typed[step] = typed.urlencode()


def _form(draft: Draft, viewer: Viewer, step: str) -> StepForm:
    """Return the form of a step; unbound before it was submitted."""
    data, account = draft.data(step), viewer.account
    if step == GENERAL:
        return GeneralForm(data)
    if step == PRODUCT:
        return ProductForm(data, account=account)
    if step == TYPE:
        return TypeForm(data, account=account, product=_product(draft, viewer))
    if step == HTTP:
        kind = draft.value(TYPE, "kind").partition(":")[0]
        return HttpForm(data, type_=kind, initial={"jwt_secret": draft.secret})
    return StepForm(data) if _is_get(draft) else DataForm(data)


def _product(draft: Draft, viewer: Viewer) -> Product | None:
    pk = draft.value(PRODUCT, "product")
    return validation_rules.products(viewer.account).filter(pk=pk).first()


def _is_get(draft: Draft) -> bool:
    """Whether the method is GET, which has no data."""
    return draft.value(HTTP, "http_method") == "GET"


def _first_invalid(draft: Draft, viewer: Viewer, until: str = "") -> str:
    """Return the first invalid step (before `until`); empty if all are valid."""
    for step in _NAMES[: _NAMES.index(until)] if until else _NAMES:
        if not _form(draft, viewer, step).is_valid():
            return step
    return ""


def _create_webhook(draft: Draft, viewer: Viewer) -> Webhook:
    """Create the webhook of a valid draft; raises Invalid."""
    fields: dict[str, Any] = {}
    for step in _NAMES:
        part = _form(draft, viewer, step)
        part.full_clean()
        fields |= part.fields_to_save
    body = {**fields, "product_id": fields.pop("product").pk}
    row = actions.create(
        viewer.account, viewer.user, validation_rules.for_create(body, viewer.account)
    )
    # The draft keeps the webhook's id: submitting twice creates one webhook.
    draft.typed, draft.secret, draft.webhook = {}, "", row.pk
    return row


def _type_choices(
    draft: Draft, viewer: Viewer
) -> tuple[list[tuple[str, list[TypeChoice]]], list[TypeChoice]]:
    """Return the available types in groups, and the others."""
    selected = _product(draft, viewer)
    groups: dict[str, list[TypeChoice]] = {}
    unavailable: list[TypeChoice] = []
    for each in types.registered():
        choice = TypeChoice(each, validation_rules.why_unavailable(each, viewer.account, selected))
        group = unavailable if choice.why_unavailable else groups.setdefault(_group(each), [])
        group.append(choice)
    return list(groups.items()), unavailable


def _group(webhook_type: WebhookType) -> str:
    if webhook_type.trigger is None:
        return "Queue changes"
    is_tier = webhook_type.object_class == "tier_config_request"
    return f"Validation of {'tier configuration' if is_tier else 'subscription'} requests"
