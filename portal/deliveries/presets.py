"""What a request that is sent with changes can have changed on its way, by apps above the portal.

    PRESETS.append(Preset("no_token", "No token", "The request has no token."))

The name reaches the app by its interceptor, as `ResendOverride.preset` of the claimed delivery.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Preset:
    """A choice of the form: its name, of at most 32 characters, its label, and what it does."""

    name: str
    label: str
    text: str


# Apps above the portal append theirs in `AppConfig.ready`.
PRESETS: list[Preset] = []
