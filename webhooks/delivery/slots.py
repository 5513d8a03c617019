"""The slots of a process, how webhooks share them, and the deliveries selected within that."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Slots:
    """The slots of a process, and how many of them are in use; shared fairly by `share`.

    A handler that hangs uses a slot for minutes. So a webhook's share shrinks as slots fill: the
    second half is for webhooks with nothing in flight, and the last tenth for those of them whose
    last request got a response.
    """

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


@dataclass(slots=True)
class Selection:
    """The deliveries selected so far, `limit` at most, each within its webhook's share of `slots`.

    Without slots, nothing is shared. With `responds`, only webhooks whose last request got a
    response are considered; they may use the last slots. `has_more`: only the limit may have kept
    others out.
    """

    limit: int
    slots: Slots | None = None
    responds: bool = False
    ids: dict[int, None] = field(default_factory=dict)
    has_more: bool = False
    # Requests in flight and deliveries selected, by webhook and whether they are forced.
    _used: dict[tuple[str, bool], int] = field(default_factory=dict)

    @property
    def left(self) -> int:
        """Return how many more may be selected."""
        return self.limit - len(self.ids)

    def share(self, limit: int) -> int:
        """Return how many requests a webhook may have in flight, `limit` at most."""
        if self.slots is None:
            return limit
        return self.slots.share(limit, responds=self.responds)

    def offer(self, pk: int, webhook_id: str, forced: bool, in_flight: int, limit: int) -> None:
        """Select the delivery of a webhook with requests in flight, if its share allows it."""
        used = self._used.setdefault((webhook_id, forced), in_flight)
        if pk in self.ids or used >= self.share(limit):
            return
        if self.left <= 0:
            self.has_more = True
            return
        self.ids[pk] = None
        self._used[webhook_id, forced] = used + 1
        self.slots = self.slots and self.slots.taken(1)
