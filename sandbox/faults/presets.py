"""Faults of one delivery, which the form for sending with changes offers.

They are not armed: a resend names its preset, and the claim asks `firing` for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from portal.deliveries.presets import PRESETS, Preset
from sandbox.faults.armed import ArmedFault
from sandbox.faults.firing import Firing
from sandbox.faults.kinds import KINDS
from webhooks.delivery.claim import Claim

NAME = "preset"  # of the fault, on the attempt


@dataclass(frozen=True, slots=True)
class _Fault:
    """A kind of fault and its parameters."""

    kind: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


_FAULTS = {
    "expired_token": _Fault("stale_token", {"seconds": 60}),
    "other_secret": _Fault("rotate_secret"),
    "no_token": _Fault("no_token"),
    "twice": _Fault("duplicate", {"delay": 0}),
}
_SHOWN = (
    Preset("expired_token", "Expired token", "the token expired a minute ago."),
    Preset("other_secret", "Other secret", "the token is signed with an unknown secret."),
    Preset("no_token", "No token", "the request has no token."),
    Preset("twice", "Twice at once", "the handler gets the request twice at the same time."),
)


def register() -> None:
    """Let the portal offer the presets."""
    PRESETS.extend(each for each in _SHOWN if each not in PRESETS)


def firing(claim: Claim) -> Firing | None:
    """Return the fault of a delivery that was sent with a preset, else None."""
    fault = _FAULTS.get(claim.override.preset) if claim.override is not None else None
    if fault is None:
        return None
    armed = ArmedFault("", NAME, KINDS[fault.kind], fault.parameters, {}, 0, False)
    return Firing(armed, 1, 1)
