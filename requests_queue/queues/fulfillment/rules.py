"""The fulfillment queue as data: statuses, types, and who may move what from where to where.

From CloudBlue's published state machine and the verbs of its OpenAPI document; what is assumed
stands in docs/fidelity.md.
"""

from functools import partial

from requests_queue.catalog.actors import DISTRIBUTOR, SYSTEM, VENDOR
from requests_queue.queues.base import Action, Queue
from requests_queue.queues.fulfillment import effects, previews, samples
from requests_queue.queues.fulfillment.models import Request
from requests_queue.queues.fulfillment.request_types import TYPES

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


def _move(name: str, source: str, target: str, who: str, **more: object) -> Action:
    return Action(
        name,
        frozenset(source.split()),
        target,
        frozenset(who.split()),
        **more,  # type: ignore[arg-type]
    )


QUEUE = Queue(
    object_class="fulfillment_request",
    title="Fulfillment requests",
    model=Request,
    sample=samples.make,
    draft_sample=partial(samples.make, draft=True),
    preview=previews.build_preview,
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
