"""The tier configuration queue as data: statuses, types, and who may move what where.

From CloudBlue's published state machine and the verbs of its OpenAPI document; what is assumed
stands in docs/fidelity.md.
"""

from requests_queue.catalog.actors import DISTRIBUTOR, SYSTEM, VENDOR
from requests_queue.queues.base import Action, Queue
from requests_queue.queues.tier_config import effects, previews, samples
from requests_queue.queues.tier_config.creation import TYPES
from requests_queue.queues.tier_config.models import STATUSES, TierConfigRequest


def _move(name: str, source: str, target: str, who: str, **more: object) -> Action:
    return Action(
        name,
        frozenset(source.split()),
        target,
        frozenset(who.split()),
        **more,  # type: ignore[arg-type]
    )


QUEUE = Queue(
    object_class="tier_config_request",
    title="Tier configuration requests",
    model=TierConfigRequest,
    statuses=STATUSES,
    final=frozenset({"approved", "failed"}),
    types=TYPES,
    actions=(
        _move(
            "submit", "draft", "pending", DISTRIBUTOR,
            prepare=effects.leave_draft, effect=effects.start,
        ),
        _move("release", "tiers_setup", "pending", SYSTEM, prepare=effects.release),
        _move("inquire", "pending", "inquiring", VENDOR, prepare=effects.inquire),
        _move("pend", "inquiring", "pending", f"{VENDOR} {DISTRIBUTOR}", prepare=effects.answer),
        _move(
            "approve", "pending", "approved", VENDOR,
            prepare=effects.approve, effect=effects.apply,
        ),
        _move(
            "fail", "pending inquiring", "failed", f"{VENDOR} {DISTRIBUTOR}",
            prepare=effects.fail, effect=effects.give_up,
        ),
        _move(
            "fail", "tiers_setup", "failed", f"{VENDOR} {DISTRIBUTOR} {SYSTEM}",
            prepare=effects.fail, effect=effects.give_up,
        ),
    ),
    sample=samples.make,
    draft_sample=samples.draft,
    preview=previews.build_preview,
)  # fmt: skip
