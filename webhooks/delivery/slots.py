"""Fair sharing of a worker's slots: the fewer are free, the fewer one webhook may use.

A handler that hangs uses a slot for minutes. So a webhook's share shrinks as slots fill: the
second half is for webhooks with nothing in flight, and the last tenth for those of them whose
last request got a response. No ORM, no Django.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Slots:
    """The slots of a process, and how many of them are in use."""

    total: int
    used: int = 0

    @property
    def free(self) -> int:
        """Return how many requests may start."""
        return max(0, self.total - self.used)

    @property
    def unreserved(self) -> int:
        """Return how many requests of webhooks whose last request got no response may start."""
        return max(0, self.total - self.total // 10 - self.used)

    def taken(self, count: int) -> Slots:
        """Return the slots with `count` more in use."""
        return Slots(self.total, self.used + count)

    def share(self, limit: int, *, responds: bool) -> int:
        """Return how many requests a webhook may have in flight, `limit` at most.

        It is the limit until a quarter of the slots is in use, then it shrinks to 1 at a half. The
        last tenth is only for webhooks that `responds` is true for.
        """
        if not self.free:
            return 0
        quarter, half = self.total // 4, max(1, self.total // 2)
        if self.used < quarter:
            return limit
        if self.used < half:
            return 1 + (limit - 1) * (half - self.used) // (half - quarter)
        return 1 if responds or self.unreserved else 0
