"""Slots of concurrent requests: webhooks whose handlers hang cannot take them all."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from webhooks.delivery.slots import Slots

TOTALS = st.integers(1, 300)
LIMITS = st.integers(1, 40)


@given(TOTALS, st.data(), LIMITS, st.booleans())
def test_share_is_within_limit_and_shrinks_as_slots_fill(
    total: int, data: Any, limit: int, responds: bool
) -> None:
    used = data.draw(st.integers(0, total))
    slots = Slots(total, used)
    share = slots.share(limit, responds=responds)
    assert 0 <= share <= limit
    assert share >= slots.taken(1).share(limit, responds=responds)
    # A webhook that responds has no smaller share, and at least one slot if there is any.
    assert share <= slots.share(limit, responds=True)
    assert (slots.share(limit, responds=True) > 0) == (used < total)


@given(TOTALS, LIMITS)
def test_webhook_has_its_limit_until_a_quarter_is_taken(total: int, limit: int) -> None:
    for used in range(total // 4):
        assert Slots(total, used).share(limit, responds=False) == limit


def saturated(total: int, limit: int, hanging: int, order: list[int]) -> Slots:
    """Return the slots after a number of webhooks have as many requests in flight as allowed."""
    held = [0] * hanging
    slots = Slots(total)
    while True:
        before = slots.used
        for n in order:
            while held[n] < slots.share(limit, responds=False):
                held[n] += 1
                slots = slots.taken(1)
        if slots.used == before:
            return slots


@given(TOTALS, LIMITS, st.integers(1, 400), st.randoms())
def test_hanging_webhooks_leave_slots_for_others(
    total: int, limit: int, hanging: int, dice: Any
) -> None:
    order = list(range(hanging))
    dice.shuffle(order)
    slots = saturated(total, limit, hanging, order)
    assert slots.used <= total
    reserved = total // 10
    assert slots.free >= reserved
    if reserved:
        assert slots.share(limit, responds=True) >= 1
    # Unless one request of each webhook fills the remaining slots.
    if hanging <= total - max(1, total // 2) - reserved:
        assert slots.share(limit, responds=False) >= 1
