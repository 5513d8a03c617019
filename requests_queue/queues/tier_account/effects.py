"""What an action of a tier account request checks and writes; it changes no other object."""

from __future__ import annotations

from typing import Any

from requests_queue.fields import Input, String
from requests_queue.queues.base import Context
from requests_queue.queues.tier_account.models import TierAccountRequest


class IgnoreInput(Input):
    """Why the change isn't kept; the document doesn't demand a reason."""

    reason = String(255)


def ignore(request: TierAccountRequest, context: Context) -> dict[str, Any]:
    """Return the vendor's reason."""
    return {"reason": context.data.get("reason", "")}
