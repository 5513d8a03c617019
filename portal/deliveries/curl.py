"""A call as a command for a shell, signed afresh: for an answer to an explicit request only."""

from __future__ import annotations

import shlex
import uuid

from requests_queue import clock
from requests_queue.errors import Missing, Refused
from webhooks.delivery import claims, resend
from webhooks.delivery.in_flight import ClaimedDelivery, prepare, with_resend
from webhooks.delivery.request import SecretRefused
from webhooks.http.client import Request
from webhooks.models import Attempt


def told(attempt: Attempt) -> dict[str, str]:
    """Return the `command`, or why it is `refused`. Raises Missing where the webhook has gone."""
    try:
        return {"command": command(attempt)}
    except Missing:
        raise
    except Refused as refused:
        return {"refused": str(refused)}


def command(attempt: Attempt) -> str:
    """Return what calls the handler as sending the attempt again would.

    Raises Refused where nobody knows what was sent, or the secret can't sign.
    """
    row = claims.load_webhooks({attempt.webhook_id}).get(attempt.webhook_id)
    if row is None:
        raise Missing(attempt.webhook_id)
    claimed = ClaimedDelivery(attempt.delivery_id, uuid.uuid4(), 1, True, clock.now(), row)
    try:
        return spelled(prepare(with_resend(claimed, resend.sent_request(attempt))).request)
    except SecretRefused as refused:
        raise Refused("WH_003", str(refused)) from None


def spelled(call: Request) -> str:
    """Return the call as one command of several lines."""
    parts = [f"curl --globoff --include --request {call.method} {shlex.quote(call.url)}"]
    for name, value in call.headers.items():
        # After a colon and nothing, curl would leave the header out.
        parts.append(f"--header {shlex.quote(f'{name}: {value}' if value else f'{name};')}")
    if call.body is not None:
        parts.append(f"--data-raw {shlex.quote(call.body.decode())}")
    return " \\\n  ".join(parts)
