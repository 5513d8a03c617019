"""Actors: the users, accounts and the platform itself, and the roles in which they act."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from requests_queue.catalog.models import Account, User

# The roles; docs/fidelity.md says which actions each may take.
VENDOR, DISTRIBUTOR, SYSTEM = "vendor", "distributor", "system"


class HasParties(Protocol):
    """An object with a vendor and a provider: of a queue, or a connection."""

    vendor_id: str
    provider_id: str


@dataclass(frozen=True, slots=True)
class Actor:
    """A user of an account, or the platform itself (`user` and `account` None)."""

    user: User | None = None
    account: Account | None = None

    @property
    def role(self) -> str:
        """`vendor`, `distributor` or `system`."""
        if self.account is None:
            return SYSTEM
        return VENDOR if self.account.is_vendor else DISTRIBUTOR

    def roles_for(self, about: HasParties) -> frozenset[str]:
        """Return the roles that the actor has with an object.

        In the preview environment the vendor is both parties.
        """
        if self.account is not None and about.vendor_id == about.provider_id == self.account.pk:
            return frozenset({VENDOR, DISTRIBUTOR})
        return frozenset({self.role})
