"""Which requests a fault fires for: a pure function of seed, name and ordinals. No Django.

Ordinals are counted since the fault was armed, so the same requests in the same order have the same
faults in another process and on another day. Ids don't matter: they differ from run to run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Rule:
    """How often a fault fires; `nth` are ordinals of matching requests, from 1.

    At most one of `probability` and `nth` is set; `after` skips the first matching requests.
    """

    probability: float | None = None
    times: int | None = None
    nth: frozenset[int] | None = None
    after: int = 0


def fires(
    rule: Rule,
    kind: str,
    parameters: Mapping[str, Any],
    *,
    number: int,
    elapsed: float,
    chance: float,
) -> bool:
    """Return whether a fault fires for the matching request of this number, from 1.

    `elapsed` are the seconds of platform time since it was armed, `chance` is from `fraction`.
    """
    if rule.nth is not None and number not in rule.nth:
        return False
    position = number - rule.after
    if position <= 0 or not _is_due(kind, parameters, position, elapsed):
        return False
    return rule.probability is None or chance < rule.probability


def _is_due(kind: str, parameters: Mapping[str, Any], position: int, elapsed: float) -> bool:
    if kind == "fail_first":
        return bool(position <= parameters["n"])
    if kind == "succeed_first":
        return bool(position > parameters["n"])
    if kind == "outage":
        start = parameters["after"]
        return bool(start <= elapsed < start + parameters["for"])
    return True


def fraction(seed: int, name: str, ordinals: Sequence[int], purpose: str = "fires") -> float:
    """Return a number from 0 to below 1, the same for the same arguments."""
    text = json.dumps([seed, name, list(ordinals), purpose])
    digest = hashlib.sha256(text.encode()).digest()
    # 53 bits are what a float holds exactly.
    return (int.from_bytes(digest[:8]) >> 11) / 2**53


def delay(ms: float, jitter: float, share: float) -> float:
    """Return the seconds of a delay of `ms` that is up to `jitter` shorter or longer.

    `share` is from `fraction`.
    """
    return max(0.0, ms + (2 * share - 1) * jitter) / 1000
