"""The fulfillment queue as data: statuses, types, and who may move what from where to where.

From CloudBlue's published state machine and the verbs of its OpenAPI document; what is assumed
stands in docs/fidelity.md.
"""

from functools import partial

from requests_queue.catalog.models import Account, Product
from requests_queue.queues.base import (
    DISTRIBUTOR,
    SYSTEM,
    VENDOR,
    Action,
    Preview,
    Queue,
    SampleRequest,
)
from requests_queue.queues.fulfillment import effects
from requests_queue.queues.fulfillment.models import Request

TYPES = ("purchase", "change", "suspend", "resume", "cancel", "adjustment", "renew", "transfer")
STATUSES = (
    "draft",
    "tiers_setup",
    "pending",
    "inquiring",
    "approved",
    "failed",
    "scheduled",
    "revoking",
    "revoked",
)

# The capability that lets a type be born as a draft.
DRAFT_CAPABILITY = {
    "purchase": "cart.validation",
    "change": "subscription.change.validation",
    "renew": "subscription.renew.validation",
    "transfer": "subscription.transfer.validation",
}
# The capability without which a type can't be asked for at all.
TYPE_CAPABILITY = {
    "renew": "subscription.renew.enable_renew",
    "transfer": "subscription.transfer.enable_transfer",
}
# The asset statuses in which a type can be asked for.
NEEDS_ASSET = {
    "change": ("active",),
    "adjustment": ("active",),
    "renew": ("active",),
    "transfer": ("active",),
    "suspend": ("active",),
    "resume": ("suspended",),
    "cancel": ("active", "suspended"),
}


def _move(name: str, source: str, target: str, who: str, **more: object) -> Action:
    return Action(
        name,
        frozenset(source.split()),
        target,
        frozenset(who.split()),
        **more,  # type: ignore[arg-type]
    )


def _sample(
    kind: str, product: Product | None, account: Account | None, *, draft: bool = False
) -> Request:
    # Samples are made through the ordinary births, which know these rules.
    from requests_queue.queues.fulfillment import samples

    return samples.make(kind, product, account, draft=draft)


def _sketch(wish: SampleRequest) -> Preview:
    from requests_queue.queues.fulfillment import previews

    return previews.build_preview(wish)


QUEUE = Queue(
    object_class="fulfillment_request",
    title="Fulfillment requests",
    model=Request,
    sample=_sample,
    draft_sample=partial(_sample, draft=True),
    preview=_sketch,
    statuses=STATUSES,
    final=frozenset({"approved", "failed", "revoked"}),
    types=TYPES,
    actions=(
        _move(
            "purchase", "draft", "pending", DISTRIBUTOR,
            types=frozenset({"purchase"}), prepare=effects.leave_draft, effect=effects.start,
        ),
        _move(
            "submit", "draft", "pending", DISTRIBUTOR,
            types=frozenset(TYPES) - {"purchase"},
            prepare=effects.leave_draft, effect=effects.start,
        ),
        _move(
            "release", "tiers_setup", "pending", SYSTEM,
            prepare=effects.release, effect=effects.start,
        ),
        _move("inquire", "pending", "inquiring", VENDOR, prepare=effects.inquire),
        _move("pend", "inquiring", "pending", f"{VENDOR} {DISTRIBUTOR}", prepare=effects.answer),
        _move("pend", "scheduled", "pending", f"{VENDOR} {SYSTEM}", prepare=effects.unschedule),
        _move(
            "approve", "pending", "approved", VENDOR,
            prepare=effects.approve, effect=effects.hand_over,
        ),
        _move(
            "fail", "pending inquiring", "failed", f"{VENDOR} {DISTRIBUTOR}",
            prepare=effects.fail, effect=effects.give_back,
        ),
        _move(
            "fail", "tiers_setup", "failed", SYSTEM,
            prepare=effects.fail, effect=effects.give_back,
        ),
        _move("schedule", "pending", "scheduled", VENDOR, prepare=effects.schedule),
        _move("revoke", "scheduled", "revoking", DISTRIBUTOR, prepare=effects.fail),
        _move("confirm", "revoking", "revoked", VENDOR, effect=effects.give_back),
    ),
)  # fmt: skip
