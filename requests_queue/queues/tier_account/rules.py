"""The tier account queue as data: statuses, and who may move what from where to where.

From CloudBlue's published state machine and the verbs of its OpenAPI document.
"""

from requests_queue.catalog.actors import VENDOR
from requests_queue.queues.base import Action, Queue
from requests_queue.queues.tier_account import effects, previews, samples
from requests_queue.queues.tier_account.models import TierAccountRequest

QUEUE = Queue(
    object_class="tier_account_request",
    title="Tier account requests",
    model=TierAccountRequest,
    statuses=("pending", "accepted", "ignored", "unsupported"),
    final=frozenset({"accepted", "ignored", "unsupported"}),
    types=("update",),
    actions=(
        Action("accept", frozenset({"pending"}), "accepted", frozenset({VENDOR})),
        Action(
            "ignore", frozenset({"pending"}), "ignored", frozenset({VENDOR}),
            prepare=effects.ignore,
        ),
    ),
    sample=samples.make,
    preview=previews.build_preview,
)  # fmt: skip
