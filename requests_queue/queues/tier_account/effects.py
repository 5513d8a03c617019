"""What a move of a tier account request checks and writes; it changes no other object."""

from __future__ import annotations

from typing import Any

from requests_queue import body
from requests_queue.queues.base import Context
from requests_queue.queues.tier_account.models import TierAccountRequest


def ignore(request: TierAccountRequest, context: Context) -> dict[str, Any]:
    """Keep why the vendor doesn't take the change over; the document doesn't demand a reason."""
    return {"reason": body.text(context.data, "reason", 255)}
