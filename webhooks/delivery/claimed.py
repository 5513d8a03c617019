"""A delivery that a process has claimed, and what changes its request."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

from webhooks.http.client import Request, Response


@dataclass(frozen=True, slots=True)
class ResendOverride:
    """What an attempt sends in place of the webhook's own settings.

    `payload` is the content of the token; `body` replaces it as the body where it isn't empty.
    `altered`: the request differs from the webhook's settings, so it doesn't change the backoff.
    `preset` names what an interceptor changes of it on its way.
    """

    url: str
    method: str
    headers: Mapping[str, str] = field(repr=False)
    payload: Mapping[str, Any]
    body: str
    altered: bool = False
    preset: str = ""


# Sends a request as usual; raises RequestFailed.
Forward = Callable[[Request], Awaitable[Response]]


class Interceptor(Protocol):
    """What changes the request of an attempt on purpose (`interceptors`).

    `marks` are stored with the attempt: names and kinds of what changes it.
    """

    @property
    def marks(self) -> Sequence[Mapping[str, str]]:
        """Return what is stored with the attempt."""

    def signed_as(self, claimed: ClaimedDelivery) -> ClaimedDelivery:
        """Return the delivery with the start and the secret that payload and token are made of,
        or without a token."""

    async def send(self, request: Request, forward: Forward) -> Response:
        """Send the request by `forward`, or not; raises RequestFailed."""


@dataclass(frozen=True, slots=True)
class ClaimedDelivery:
    """A delivery that this process has claimed, with all that its request needs."""

    delivery_id: int
    claim: uuid.UUID
    number: int
    forced: bool
    started_at: datetime
    # Not in the repr: it contains the secret.
    webhook: Mapping[str, Any] = field(repr=False)
    override: ResendOverride | None = field(default=None, repr=False)
    interceptor: Interceptor | None = field(default=None, repr=False)
    # Without it the request is not signed.
    has_token: bool = True
    # When it was due (monotonic seconds), if anything measures how late the request starts.
    due: float | None = None
    # The generation of the data at the claim (`requests_queue.clock.read`).
    generation: int = 0
    # What tracing has stored with its events (`webhooks.delivery.tracing`).
    marks: tuple[str, ...] = ()
    # What is kept for the deliveries of the webhook in the same claim: their request, once
    # prepared, and what receivers of signals have read of them.
    shared: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def ids(self) -> dict[str, str | int]:
        """Return the ids that log lines about the attempt have."""
        return {
            "webhook": self.webhook["id"],
            "delivery": self.delivery_id,
            "attempt": self.number,
            "account": self.webhook["account_id"],
        }


def with_resend(claimed: ClaimedDelivery, override: ResendOverride) -> ClaimedDelivery:
    """Return the claimed delivery with an override of what its request sends."""
    own = {
        "external_url": override.url,
        "http_method": override.method,
        "headers": override.headers,
    }
    return replace(claimed, webhook={**claimed.webhook, **own}, override=override)
