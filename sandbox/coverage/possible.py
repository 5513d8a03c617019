"""The cases that a product can have: from the rules of the queues, its features and its webhooks.

Features are words: capabilities, what its items and parameters allow, `event:<object class>` and
`validator:<type>` of its webhooks. A reset, which may remove the product, notes them in its entry
of the timeline.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from fnmatch import fnmatchcase
from typing import Any

from django.dispatch import receiver

from requests_queue import assumptions
from requests_queue.catalog.models import Item, Parameter, Product
from requests_queue.queues import base
from requests_queue.queues.fulfillment import request_types
from requests_queue.queues.fulfillment.effects import HANDS_OVER
from requests_queue.queues.tier_account.creation import CAPABILITY as TIER_UPDATES
from requests_queue.queues.tier_config import creation as tier_creation
from requests_queue.queues.tier_config import setup
from sandbox.coverage import cases, happened
from sandbox.coverage.cases import API_ERROR, CREATED, DELIVERIES_GROUP, FAULT, VALIDATOR
from sandbox.faults.kinds import KINDS, TASK
from sandbox.world.tables import world_replacing
from webhooks.models import Webhook
from webhooks.types import EVENT

# Words for what parts allow: parameters to ask for, and such that orders may lack; the set-up of
# resellers; usage.
ORDERING, REQUIRED = "ordering", "required_ordering"
TIERS, TIER_ORDERING, TIER_REQUIRED = "tiers", "tier_ordering", "tier_required_ordering"
USAGE, REQUIRED_FULFILLMENT = "usage", "required_fulfillment"

_ORDER, _CONFIG = "fulfillment_request", "tier_config_request"
_SCHEDULING = ("purchase", "change", "suspend", "resume", "cancel", "renew")
# What is impossible without a feature, by its name.
FEATURES: dict[str, tuple[str, ...]] = {
    ORDERING: (f"{_ORDER}.*.inquiring*",),
    REQUIRED: tuple(f"{_ORDER}.*.{first}.inquiring" for first in (CREATED, "draft", "tiers_setup")),
    TIERS: (f"{_CONFIG}.*", f"{_ORDER}.*.tiers_setup*"),
    TIER_ORDERING: (f"{_CONFIG}.*.inquiring*",),
    TIER_REQUIRED: tuple(
        f"{_CONFIG}.*.{first}.inquiring" for first in (CREATED, "draft", "tiers_setup")
    ),
    USAGE: ("usage_file.*",),
    REQUIRED_FULFILLMENT: (f"{API_ERROR}.VAL_001",),
    TIER_UPDATES: ("tier_account_request.*.pending", "tier_account_request.*.pending.*"),
    "subscription.hold": (f"{_ORDER}.suspend.*", f"{_ORDER}.resume.*"),
    "tiers.configs.level2": (f"{_CONFIG}.*.tiers_setup*",),
    **{
        capability: (f"{_ORDER}.{kind}.*",)
        for kind, capability in request_types.TYPE_CAPABILITY.items()
    },
    **{
        capability: (f"{_ORDER}.{kind}.draft.*",)
        for kind, capability in request_types.DRAFT_CAPABILITY.items()
    },
    **{
        capability: (f"{_CONFIG}.{kind}.draft.*",)
        for kind, capability in tier_creation.DRAFT_CAPABILITY.items()
    },
    **{
        f"subscription.{kind}.scheduling": (
            f"{_ORDER}.{kind}.*.scheduled",
            f"{_ORDER}.{kind}.scheduled.*",
            f"{_ORDER}.{kind}.revoking.*",
        )
        for kind in _SCHEDULING
    },
}
# Impossible with the feature.
_EXCLUDED = {TIER_UPDATES: ("tier_account_request.*.unsupported",)}
_WITHOUT_PARAMETERS = [kind for kind in request_types.TYPES if kind not in HANDS_OVER]
# Of any product: nobody asks for parameters that a type doesn't have; only orders of new
# subscriptions wait for resellers, and only set-ups for those above them; other types have no
# drafts, or no planned date.
_NEVER = (
    *(f"{_ORDER}.{kind}.*inquiring*" for kind in _WITHOUT_PARAMETERS),
    *(f"{_ORDER}.{kind}.*tiers_setup*" for kind in request_types.TYPES if kind != "purchase"),
    *(
        f"{_ORDER}.{kind}.draft.*"
        for kind in request_types.TYPES
        if kind not in request_types.DRAFT_CAPABILITY
    ),
    *(
        f"{_ORDER}.{kind}.*{word}*"
        for kind in request_types.TYPES
        if kind not in _SCHEDULING
        for word in ("scheduled", "revoking")
    ),
    # The distributor's change is of values that are there.
    *(f"{_ORDER}.{kind}.created.inquiring" for kind in request_types.TYPES if kind != "purchase"),
    f"{_CONFIG}.adjustment.draft.*",
    *(f"{_CONFIG}.{kind}.*tiers_setup*" for kind in ("update", "adjustment")),
    *(f"{_CONFIG}.{kind}.created.inquiring" for kind in ("update", "adjustment")),
    # The vendor doesn't see them.
    "billing_request.provider.*",
)
# Statuses of new objects; drafts are no queue change.
_FIRST = {
    _ORDER: ("pending", "inquiring", "tiers_setup"),
    _CONFIG: ("pending", "inquiring", "tiers_setup"),
    "tier_account_request": ("pending", "unsupported"),
}


def features_of(products: Collection[str]) -> dict[str, list[str]]:
    """Return the features of those of the products that exist, by id; in five statements."""
    found: dict[str, set[str]] = {pk: set() for pk in products}
    parameters = Parameter.objects.filter(product__in=found).exclude(
        type__in=("heading", "content")
    )
    for row in parameters.only("product_id", "scope", "phase", "constraints"):
        is_required = bool(row.constraints.get("required"))
        found[row.product_id] |= set(_of_parameter(row.scope, row.phase, is_required))
    for pk in Item.objects.filter(product__in=found, type="PPU").values_list("product", flat=True):
        found[pk].add(USAGE)
    webhooks = Webhook.objects.filter(product__in=found).values_list(
        "product", "type", "object_class"
    )
    for pk, type_, object_class in webhooks:
        found[pk].add(f"{EVENT}:{object_class}" if type_ == EVENT else f"{VALIDATOR}:{type_}")
    features: dict[str, list[str]] = {}
    for product in Product.objects.filter(pk__in=found):
        words = found[product.pk]
        if product.capability("tiers.configs") is None:
            words -= {TIERS, TIER_ORDERING, TIER_REQUIRED}
        if str(product.capability("tiers.configs.level")) == "2":
            words.add("tiers.configs.level2")
        words |= {name for name in FEATURES if "." in name and product.capability(name)}
        features[product.pk] = sorted(words)
    return features


def _of_parameter(scope: str, phase: str, is_required: bool) -> Iterator[str]:
    is_ordering = phase == "ordering"
    if scope == "asset" and is_ordering:
        yield from (ORDERING, REQUIRED) if is_required else (ORDERING,)
    if scope == "asset" and phase == "fulfillment" and is_required:
        yield REQUIRED_FULFILLMENT
    if scope in setup.SCOPES.values() and phase in ("ordering", "fulfillment"):
        yield TIERS
        if is_ordering:
            yield from (TIER_ORDERING, TIER_REQUIRED) if is_required else (TIER_ORDERING,)


@receiver(world_replacing)
def note_features(**kwargs: Any) -> dict[str, Any]:
    """Note the features of products, some of which a reset removes, in its entry."""
    return {happened.PRODUCTS: features_of(with_webhooks())}


def with_webhooks() -> list[str]:
    """Return the products that have webhooks."""
    return list(Webhook.objects.order_by().values_list("product", flat=True).distinct())


def possible(features: Collection[str]) -> set[str]:
    """Return the ids of the cases that a product with these features can have."""
    other = {"ready": "uploaded", "uploaded": "ready"}[assumptions.value("usage_processed")]
    impossible = [
        *_NEVER,
        f"usage_file.{other}.*",
        f"usage_file.*.{other}",
        *(glob for name, globs in FEATURES.items() if name not in features for glob in globs),
        *(glob for name, globs in _EXCLUDED.items() if name in features for glob in globs),
    ]
    names = [name.partition(":") for name in features if ":" in name]
    classes = [name for kind, _, name in names if kind == EVENT]
    found = {
        each
        for queue in base.registered()
        if queue.object_class in classes
        for each in _changes(queue)
        if not any(fnmatchcase(each, glob) for glob in impossible)
    }
    types = [name for kind, _, name in names if kind == VALIDATOR]
    found |= {f"{VALIDATOR}.{name}.{outcome}" for name in types for outcome in cases.OUTCOMES}
    if classes:
        found |= {f"{DELIVERIES_GROUP}.{name}" for name in cases.DELIVERIES}
        sides = [(side, kind.name) for kind in KINDS.values() for side in kind.sides]
        found |= {f"{FAULT}.{side}.{name}" for side, name in sides if side != TASK}
        found |= {
            each
            for each in (f"{API_ERROR}.{name}" for name in cases.API_ERRORS)
            if each not in impossible
        }
    return found


def _changes(queue: base.Queue) -> Iterator[str]:
    """Yield the ids of all changes that the rules of a queue allow."""
    name = queue.object_class
    for kind in queue.types or ("",):
        if not queue.statuses:
            yield from (f"{name}.{kind}.{word}" for word in (CREATED, cases.CHANGED))
        for first in _FIRST.get(name, ()):
            yield cases.change(name, kind, None, first)
        for one in queue.actions:
            if one.types is None or kind in one.types:
                yield from (
                    cases.change(name, kind, before, after)
                    for before in one.source
                    for after in one.targets
                    if before != after
                )
