"""Who reads a page, and as which account: what may be seen and done follows it.

A user of an account acts as that account. An administrator (a superuser) acts as one account at
a time, and changes which in the head of every page; the session keeps it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from django.http import HttpRequest

from requests_queue.catalog import preview
from requests_queue.catalog.models import Account, User
from requests_queue.queues.base import Actor

_KEY = "acting_as"
# An administrator of more accounts finds the others by a user of theirs.
OFFERED = 50


@dataclass(frozen=True)
class Viewer:
    """A user who is signed in, and the account that is acted as."""

    user: User
    account: Account

    @property
    def role(self) -> str:
        """`vendor` or `distributor`."""
        return self.actor.role

    @cached_property
    def actor(self) -> Actor:
        """What the queues are told of who acts."""
        return Actor(self.user, self.account)

    @cached_property
    def others(self) -> list[Account]:
        """The accounts that the user can act as, if more than one: vendors first."""
        if not self.user.is_superuser:
            return []
        rows = Account.objects.exclude(pk=preview.ACCOUNT)
        return list(rows.order_by("-type", "pk")[:OFFERED])


def get_viewer(request: HttpRequest) -> Viewer | None:
    """Return who reads, or None where nobody is signed in or there is no account to act as."""
    user = request.user
    if not isinstance(user, User) or not user.is_active or user.is_service:
        return None
    account = _chosen(request) if user.is_superuser else user.account
    return None if account is None else Viewer(user, account)


def act_as(request: HttpRequest, pk: str) -> Account | None:
    """Act as another account from now on; None where the user can't."""
    user = request.user
    if not isinstance(user, User) or not user.is_superuser:
        return None
    account = Account.objects.filter(pk=pk).first()
    if account is not None:
        request.session[_KEY] = account.pk
    return account


def _chosen(request: HttpRequest) -> Account | None:
    wanted = Account.objects.filter(pk=request.session.get(_KEY, "")).first()
    return wanted or Account.objects.order_by("-type", "pk").first()
