"""The five steps of a new webhook, by Connect's names: what each asks, and where one may go."""

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
_FIELDS = {"product_id": PRODUCT, "type": TYPE, "object_class": TYPE, "data": DATA} | dict.fromkeys(
    ("external_url", "http_method", "jwt_secret", "headers"), HTTP
)
# More than this many products are looked for rather than looked through.
OFFERED = 30


@dataclass(frozen=True, slots=True)
class Offer:
    """A type to choose, or why it can't be chosen."""

    type: WebhookType
    obstacle: str

    @property
    def value(self) -> str:
        """What the form sends for it."""
        return f"{self.type.type}:{self.type.object_class}"


def before(step: str) -> str:
    """Return the step before, the first for the first."""
    return NAMES[max(0, NAMES.index(step) - 1)]


def after(step: str) -> str:
    """Return the next step, the last for the last."""
    return NAMES[min(len(NAMES) - 1, NAMES.index(step) + 1)]


def of_field(path: str) -> str:
    """Return the step that a field belongs to."""
    return _FIELDS.get(path.partition(".")[0], GENERAL)


def keep(draft: Draft, step: str, sent: QueryDict) -> None:
    """Keep what was sent of a step, as it was typed."""
    typed = sent.copy()
    for name in ("csrfmiddlewaretoken", "go"):
        typed.pop(name, None)
    # A webhook that is called by GET isn't asked for data, and keeps what was typed before.
    if step != DATA or "data" in typed or step not in draft.typed:
        draft.typed[step] = typed.urlencode()


def form(draft: Draft, viewer: Viewer, step: str) -> StepForm:
    """Return the form of a step as it stands; unbound where nothing was sent of it yet."""
    data, account = draft.data(step), viewer.account
    if step == GENERAL:
        return GeneralForm(data)
    if step == PRODUCT:
        return ProductForm(data, account=account)
    if step == TYPE:
        return TypeForm(data, account=account, product=product(draft, viewer))
    if step == HTTP:
        kind = _typed(draft, TYPE, "kind").partition(":")[0]
        return HttpForm(data, type_=kind, initial={"jwt_secret": draft.secret})
    return StepForm(data) if is_get(draft) else DataForm(data)


def shown(draft: Draft, viewer: Viewer, step: str) -> StepForm:
    """Return the form of a step as its page shows it."""
    found = form(draft, viewer, step)
    if found.is_bound and step not in draft.told:
        found.forget_errors()
    return found


def product(draft: Draft, viewer: Viewer) -> Product | None:
    """Return the product that was chosen."""
    pk = _typed(draft, PRODUCT, "product").replace("\0", "")
    return validation_rules.products(viewer.account).filter(pk=pk).first()


def is_get(draft: Draft) -> bool:
    """Whether the handler will be called by GET, which carries no data."""
    return _typed(draft, HTTP, "http_method") == "GET"


def wrong(draft: Draft, viewer: Viewer, until: str = "") -> str:
    """Return the first step, of those before `until`, with which something is wrong; or none."""
    for step in NAMES[: NAMES.index(until)] if until else NAMES:
        if not form(draft, viewer, step).is_valid():
            return step
    return ""


def create(draft: Draft, viewer: Viewer) -> Webhook:
    """Create the webhook of a draft with which nothing is wrong; raises Invalid."""
    found: dict[str, Any] = {}
    for step in NAMES:
        part = form(draft, viewer, step)
        part.full_clean()
        found |= part.found
    body = {**found, "product_id": found.pop("product").pk}
    row = actions.create(
        viewer.account, viewer.user, validation_rules.for_create(body, viewer.account)
    )
    # Who presses the button twice is led to the one webhook.
    draft.typed, draft.secret, draft.webhook = {}, "", row.pk
    return row


def products(viewer: Viewer, words: str, chosen: str) -> tuple[list[Product], int]:
    """Return products to choose from, the chosen one among them, and how many there are in all."""
    rows = validation_rules.products(viewer.account).only("name").order_by("name", "pk")
    asked = words.replace("\0", "").strip()
    found = rows.filter(name__icontains=asked) | rows.filter(pk__icontains=asked)
    offered = list(found[:OFFERED])
    if chosen and all(row.pk != chosen for row in offered):
        offered = [*rows.filter(pk=chosen), *offered]
    return offered, rows.count()


def offers(draft: Draft, viewer: Viewer) -> tuple[list[tuple[str, list[Offer]]], list[Offer]]:
    """Return the types that can be chosen, in groups, and those that can't be."""
    about = product(draft, viewer)
    groups: dict[str, list[Offer]] = {}
    refused: list[Offer] = []
    for found in types.registered():
        offer = Offer(found, validation_rules.why_unavailable(found, viewer.account, about))
        if offer.obstacle:
            refused.append(offer)
        else:
            groups.setdefault(_group(found), []).append(offer)
    return list(groups.items()), refused


def _group(found: WebhookType) -> str:
    if not found.is_validator:
        return "Queue changes"
    watched = (
        "tier configuration" if found.object_class == "tier_config_request" else "subscription"
    )
    return f"Validation of {watched} requests"


def _typed(draft: Draft, step: str, name: str) -> str:
    data = draft.data(step)
    return str(data.get(name, "")) if data is not None else ""
