"""The tier account queue as data: statuses, types, actions, and who may take them.

From CloudBlue's published state machine and the verbs of its OpenAPI document.
"""

from requests_queue.catalog.actors import VENDOR
from requests_queue.queues.base import BAD, BUSY, GOOD, PRIMARY, Queue, Status, action
from requests_queue.queues.tier_account import effects, samples
from requests_queue.queues.tier_account.models import TierAccountRequest

QUEUE = Queue(
    object_class="tier_account_request",
    title="Tier account requests",
    model=TierAccountRequest,
    statuses=(
        Status("pending", BUSY),
        Status("accepted", GOOD, final=True),
        Status("ignored", BAD, final=True),
        Status("unsupported", BAD, final=True),
    ),
    types=("update",),
    actions=(
        action("accept", "pending", "accepted", VENDOR, emphasis=PRIMARY),
        action("ignore", "pending", "ignored", VENDOR, prepare=effects.ignore,
               body=effects.IgnoreInput()),
    ),
    sample=samples.create_sample,
    preview=samples.build_preview,
)  # fmt: skip
