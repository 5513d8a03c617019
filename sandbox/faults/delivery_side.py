"""Faults of our requests to handlers: which deliveries of a claim have one, and what it does.

`register` fills the registry of `webhooks`; a claim asks `find` in its transaction. What a fault
does to the request is in `request_faults`.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

from django.conf import settings

from sandbox.faults import armed, firing, presets, request_faults
from sandbox.faults.firing import Firing, Subject
from sandbox.faults.kinds import DELIVERY
from sandbox.faults.request_faults import Place
from webhooks.delivery import claim
from webhooks.delivery.claim import Claim
from webhooks.delivery.request import Interceptor

# The order in which requests of this process were claimed.
_numbers = itertools.count(1)


def register() -> None:
    """Let faults change requests to handlers, and offer those of a single one in the portal."""
    if find not in claim.interceptor_finders:
        claim.interceptor_finders.append(find)
    presets.register()


def find(claims: Sequence[Claim]) -> Mapping[int, Interceptor]:
    """Return the interceptors of deliveries, by id.

    Those for which a fault fires have one, and all others where a reordered delivery waits for
    later ones.
    """
    faults = armed.on(DELIVERY)
    chosen = [presets.firing(each) for each in claims]
    if not faults and not any(chosen):
        return {}
    fired = firing.decide(faults, [_subject(each) for each in claims])
    is_watched = any(fault.kind.name == "reorder" for fault in faults)
    return {
        each.delivery_id: _interceptor(each, (*firings, *filter(None, [own])))
        for each, firings, own in zip(claims, fired, chosen, strict=True)
        if firings or own or is_watched
    }


def _subject(claim: Claim) -> Subject:
    webhook, delivery = claim.webhook.id, claim.delivery_id
    return Subject(
        {"webhook": webhook},
        (webhook, str(delivery)),
        {"webhook": webhook, "delivery": delivery, "attempt": claim.number},
    )


def _interceptor(claim: Claim, firings: Sequence[Firing]) -> Interceptor:
    """Return what the faults of one request change: when it is signed and how, and its sending."""
    place = Place(claim.webhook.id, next(_numbers))
    interceptor = Interceptor(
        [each.fault.mark for each in firings],
        partial(request_faults.send, firings, place),
        claim.started_at,
    )
    for each in firings:
        if each.kind == "stale_token":
            # It expires in the past of real time, which handlers live on.
            sent = claim.override.payload if claim.override is not None else {}
            valid = sent.get("processing_timeout", settings.SIM_PROCESSING_TIMEOUT)
            ago = timedelta(seconds=valid + each.parameters["seconds"])
            interceptor = replace(interceptor, signed_at=datetime.now(UTC) - ago)
        elif each.kind == "clock_skew":
            ahead = timedelta(seconds=each.parameters["seconds"])
            interceptor = replace(interceptor, signed_at=interceptor.signed_at + ahead)
        elif each.kind == "rotate_secret":
            interceptor = replace(interceptor, secret=f"JWT-{uuid.uuid4()}")
        elif each.kind == "no_token":
            interceptor = replace(interceptor, has_token=False)
    return interceptor
