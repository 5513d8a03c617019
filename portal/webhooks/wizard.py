"""The wizard that creates a webhook, in Connect's five steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import QueryDict

from portal.identity import Viewer
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
NAMES = list(STEPS)
_STEP_OF_FIELD = {"product_id": PRODUCT, "type": TYPE, "object_class": TYPE} | {
    name: step
    for step, form in ((GENERAL, GeneralForm), (HTTP, HttpForm), (DATA, DataForm))
    for name in form.base_fields
}
# With more products than this, a search is shown.
MAX_PRODUCTS = 30


@dataclass(frozen=True, slots=True)
class TypeChoice:
    """A type, and why it is not available; empty if it is."""

    type: WebhookType
    why_unavailable: str

    @property
    def value(self) -> str:
        """The value of its radio button."""
        return f"{self.type.type}:{self.type.object_class}"


def before(step: str) -> str:
    """Return the previous step, the first for the first."""
    return NAMES[max(0, NAMES.index(step) - 1)]


def after(step: str) -> str:
    """Return the next step, the last for the last."""
    return NAMES[min(len(NAMES) - 1, NAMES.index(step) + 1)]


def step_of(path: str) -> str:
    """Return the step that has the field of an error."""
    return _STEP_OF_FIELD.get(path.partition(".")[0], GENERAL)


def store(draft: Draft, step: str, submitted: QueryDict) -> None:
    """Store the submitted form of a step as it was typed."""
    typed = submitted.copy()
    for name in ("csrfmiddlewaretoken", "go"):
        typed.pop(name, None)
    # A webhook with GET has no field for data, and keeps what was typed earlier.
    if step != DATA or "data" in typed or step not in draft.typed:
        draft.typed[step] = typed.urlencode()


def form(draft: Draft, viewer: Viewer, step: str) -> StepForm:
    """Return the form of a step; unbound before it was submitted."""
    data, account = draft.data(step), viewer.account
    if step == GENERAL:
        return GeneralForm(data)
    if step == PRODUCT:
        return ProductForm(data, account=account)
    if step == TYPE:
        return TypeForm(data, account=account, product=product(draft, viewer))
    if step == HTTP:
        kind = draft.value(TYPE, "kind").partition(":")[0]
        return HttpForm(data, type_=kind, initial={"jwt_secret": draft.secret})
    return StepForm(data) if is_get(draft) else DataForm(data)


def product(draft: Draft, viewer: Viewer) -> Product | None:
    """Return the selected product."""
    pk = draft.value(PRODUCT, "product")
    return validation_rules.products(viewer.account).filter(pk=pk).first()


def is_get(draft: Draft) -> bool:
    """Whether the method is GET, which has no data."""
    return draft.value(HTTP, "http_method") == "GET"


def first_invalid(draft: Draft, viewer: Viewer, until: str = "") -> str:
    """Return the first invalid step (before `until`); empty if all are valid."""
    for step in NAMES[: NAMES.index(until)] if until else NAMES:
        if not form(draft, viewer, step).is_valid():
            return step
    return ""


def create(draft: Draft, viewer: Viewer) -> Webhook:
    """Create the webhook of a valid draft; raises Invalid."""
    fields: dict[str, Any] = {}
    for step in NAMES:
        part = form(draft, viewer, step)
        part.full_clean()
        fields |= part.fields_to_save
    body = {**fields, "product_id": fields.pop("product").pk}
    row = actions.create(
        viewer.account, viewer.user, validation_rules.for_create(body, viewer.account)
    )
    # The draft keeps the webhook's id: submitting twice creates one webhook.
    draft.typed, draft.secret, draft.webhook = {}, "", row.pk
    return row


def products(viewer: Viewer, search: str, selected: str) -> tuple[list[Product], int]:
    """Return products to choose from, with the selected one, and the number of all."""
    rows = validation_rules.products(viewer.account).only("name").order_by("name", "pk")
    words = search.replace("\0", "").strip()
    matching = rows.filter(name__icontains=words) | rows.filter(pk__icontains=words)
    choices = list(matching[:MAX_PRODUCTS])
    if selected and all(row.pk != selected for row in choices):
        choices = [*rows.filter(pk=selected), *choices]
    return choices, rows.count()


def type_choices(
    draft: Draft, viewer: Viewer
) -> tuple[list[tuple[str, list[TypeChoice]]], list[TypeChoice]]:
    """Return the available types in groups, and the others."""
    selected = product(draft, viewer)
    groups: dict[str, list[TypeChoice]] = {}
    unavailable: list[TypeChoice] = []
    for each in types.registered():
        choice = TypeChoice(each, validation_rules.why_unavailable(each, viewer.account, selected))
        group = unavailable if choice.why_unavailable else groups.setdefault(_group(each), [])
        group.append(choice)
    return list(groups.items()), unavailable


def _group(webhook_type: WebhookType) -> str:
    if not webhook_type.is_validator:
        return "Queue changes"
    is_tier = webhook_type.object_class == "tier_config_request"
    return f"Validation of {'tier configuration' if is_tier else 'subscription'} requests"
