"""The tier account queue as data: statuses, types, actions, and who may take them.

From CloudBlue's published state machine and the verbs of its OpenAPI document.
"""

from typing import Any

from requests_queue.api.fields import Input, Text
from requests_queue.catalog.actors import VENDOR
from requests_queue.queues.base import BAD, GOOD, PRIMARY, WAIT, Context, Queue, Status, action
from requests_queue.queues.tier_account import samples
from requests_queue.queues.tier_account.models import TierAccountRequest


class IgnoreInput(Input):
    """Why the change isn't kept; the document doesn't demand a reason."""

    reason = Text(255)


def ignore(request: TierAccountRequest, context: Context) -> dict[str, Any]:
    """Return the vendor's reason."""
    return {"reason": context.data.get("reason", "")}


QUEUE = Queue(
    object_class="tier_account_request",
    title="Tier account requests",
    model=TierAccountRequest,
    prefixes=("TAR",),
    searched="ID or account",
    statuses=(
        Status("pending", WAIT),
        Status("accepted", GOOD, final=True),
        Status("ignored", BAD, final=True),
        Status("unsupported", BAD, final=True),
    ),
    types=("update",),
    actions=(
        action("accept", "pending", "accepted", VENDOR, emphasis=PRIMARY),
        action("ignore", "pending", "ignored", VENDOR, prepare=ignore, body=IgnoreInput()),
    ),
    sample=samples.create_sample,
    preview=samples.build_preview,
)
