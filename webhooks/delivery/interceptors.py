"""Interceptors: what changes requests to handlers on purpose, for apps above this one.

A finder gets the deliveries of a claim, in its transaction, and returns the interceptors of those
whose requests it changes. Without finders nothing is intercepted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from webhooks.delivery.claimed import ClaimedDelivery, Interceptor

# Returns interceptors by the id of the delivery.
Finder = Callable[[Sequence[ClaimedDelivery]], Mapping[int, Interceptor]]

finders: list[Finder] = []


def attach(claimed: list[ClaimedDelivery]) -> list[ClaimedDelivery]:
    """Return the deliveries with their interceptors; of several finders the last one decides."""
    for find in finders:
        if found := find(claimed):
            claimed = [
                replace(each, interceptor=found[each.delivery_id])
                if each.delivery_id in found
                else each
                for each in claimed
            ]
    return claimed
