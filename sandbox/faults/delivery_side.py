"""Faults of our requests to handlers: which deliveries of a claim have one, and what it does.

`register` fills the registry of `webhooks`; a claim asks `find` in its transaction. What a fault
does to the request is in `request_faults`.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings

from sandbox.faults import armed, firing, presets, request_faults
from sandbox.faults.firing import Firing, Subject
from sandbox.faults.kinds import DELIVERY
from sandbox.faults.request_faults import Place
from webhooks.delivery import interceptors
from webhooks.delivery.claimed import ClaimedDelivery, Forward, Interceptor
from webhooks.http.client import Request, Response

# The order in which requests of this process were claimed.
_numbers = itertools.count(1)


def register() -> None:
    """Let faults change requests to handlers, and offer those of a single one in the portal."""
    if find not in interceptors.finders:
        interceptors.finders.append(find)
    presets.register()


def find(claimed: Sequence[ClaimedDelivery]) -> Mapping[int, Interceptor]:
    """Return the interceptors of deliveries, by id.

    Those for which a fault fires have one, and all others where a reordered delivery waits for
    later ones.
    """
    faults = armed.on(DELIVERY)
    chosen = [presets.firing(each) for each in claimed]
    if not faults and not any(chosen):
        return {}
    fired = firing.decide(faults, [_subject(each) for each in claimed])
    is_watched = any(fault.kind.name == "reorder" for fault in faults)
    return {
        each.delivery_id: FaultInterceptor(
            (*firings, *filter(None, [own])), Place(each.webhook["id"], next(_numbers))
        )
        for each, firings, own in zip(claimed, fired, chosen, strict=True)
        if firings or own or is_watched
    }


def _subject(claimed: ClaimedDelivery) -> Subject:
    webhook, delivery = claimed.webhook["id"], claimed.delivery_id
    return Subject(
        {"webhook": webhook},
        (webhook, str(delivery)),
        {"webhook": webhook, "delivery": delivery, "attempt": claimed.number},
    )


@dataclass(frozen=True, slots=True)
class FaultInterceptor:
    """The faults of one request."""

    firings: Sequence[Firing]
    place: Place

    @property
    def marks(self) -> list[Mapping[str, str]]:
        """Return what is stored with the attempt."""
        return [each.fault.mark for each in self.firings]

    def signed_as(self, claimed: ClaimedDelivery) -> ClaimedDelivery:
        """Return the delivery with the start and the secret that the faults make of them."""
        for each in self.firings:
            if each.kind in _SIGNED_AS:
                claimed = _SIGNED_AS[each.kind](claimed, each)
        return claimed

    async def send(self, request: Request, forward: Forward) -> Response:
        """Send the request as the faults say."""
        return await request_faults.send(self.firings, self.place, request, forward)


def _stale(claimed: ClaimedDelivery, firing: Firing) -> ClaimedDelivery:
    """Let the token expire in the past of real time, which handlers live on."""
    sent = claimed.override.payload if claimed.override is not None else {}
    valid = sent.get("processing_timeout", settings.SIM_PROCESSING_TIMEOUT)
    ago = timedelta(seconds=valid + firing.parameters["seconds"])
    return replace(claimed, started_at=datetime.now(UTC) - ago)


def _skewed(claimed: ClaimedDelivery, firing: Firing) -> ClaimedDelivery:
    ahead = timedelta(seconds=firing.parameters["seconds"])
    return replace(claimed, started_at=claimed.started_at + ahead)


def _with_other_secret(claimed: ClaimedDelivery, firing: Firing) -> ClaimedDelivery:
    webhook: dict[str, Any] = {**claimed.webhook, "jwt_secret": f"JWT-{uuid.uuid4()}"}
    return replace(claimed, webhook=webhook)


def _without_token(claimed: ClaimedDelivery, firing: Firing) -> ClaimedDelivery:
    return replace(claimed, has_token=False)


_SIGNED_AS = {
    "stale_token": _stale,
    "clock_skew": _skewed,
    "rotate_secret": _with_other_secret,
    "no_token": _without_token,
}
