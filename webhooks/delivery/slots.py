"""How the slots of a worker process are shared: the fewer are free, the fewer a webhook may take.

A handler that hangs holds a slot for minutes. So a webhook's share shrinks while slots fill, half
of them is for webhooks that have nothing in flight, and a tenth for those of them whose last
request got a response. Pure: no ORM, no Django.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Slots:
    """The slots of a process: how many there are, and how many hold a request in flight."""

    total: int
    used: int = 0

    @property
    def free(self) -> int:
        """Return how many requests may start."""
        return max(0, self.total - self.used)

    @property
    def unreserved(self) -> int:
        """Return how many requests may start of webhooks that are not known to respond."""
        return max(0, self.total - self.total // 10 - self.used)

    def taken(self, count: int) -> Slots:
        """Return the slots with so many more in use."""
        return Slots(self.total, self.used + count)

    def share(self, limit: int, *, responds: bool) -> int:
        """Return how many requests a webhook may have in flight, `limit` at most.

        While a quarter of the slots is taken it is the limit, then it shrinks to 1 at a half. The
        last tenth is only for a webhook that `responds`.
        """
        if not self.free:
            return 0
        quarter, half = self.total // 4, max(1, self.total // 2)
        if self.used < quarter:
            return limit
        if self.used < half:
            return 1 + (limit - 1) * (half - self.used) // (half - quarter)
        return 1 if responds or self.unreserved else 0
