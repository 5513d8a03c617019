"""The signed-in user and the account that they act as.

A user of an account acts as that account. An administrator (a superuser) acts as one account at
a time, chosen in the header of every page and kept in the session.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import Model
from django.http import HttpRequest

from requests_queue import operations
from requests_queue.catalog import preview
from requests_queue.catalog.actors import Actor
from requests_queue.catalog.models import Account, User

_KEY = "acting_as"
# Vendors first, the oldest first: accounts that the API creates don't become the default.
_ORDER = ("-type", "created", "pk")
# An administrator reaches further accounts by signing in as one of their users.
MAX_ACCOUNTS = 50


@dataclass(frozen=True)
class Viewer:
    """A signed-in user and the account that they act as."""

    user: User
    account: Account

    @property
    def role(self) -> str:
        """`vendor` or `distributor`."""
        return self.actor.role

    @cached_property
    def actor(self) -> Actor:
        """The actor of queue actions."""
        return Actor(self.user, self.account)

    @cached_property
    def accounts(self) -> list[Account]:
        """The accounts that an administrator can act as, in `_ORDER`; empty for others."""
        if not self.user.is_superuser:
            return []
        rows = Account.objects.exclude(pk=preview.ACCOUNT)
        return list(rows.order_by(*_ORDER)[:MAX_ACCOUNTS])

    def record(self, row: Model, text: str, flag: int = CHANGE) -> None:
        """Add an entry to the history of an object, which the admin shows."""
        LogEntry.objects.log_actions(self.user.pk, [row], flag, text, single_object=True)


def get_viewer(request: HttpRequest) -> Viewer | None:
    """Return the viewer; None if nobody is signed in or there is no account to act as."""
    user = request.user
    if not isinstance(user, User) or not user.is_active or user.is_service:
        return None
    account = _chosen_account(request) if user.is_superuser else user.account
    if account is None:
        return None
    operations.add_ids(account=account.pk)
    return Viewer(user, account)


def act_as(request: HttpRequest, pk: str) -> Account | None:
    """Act as another account from now on; None if the user may not or it doesn't exist."""
    user = request.user
    if not isinstance(user, User) or not user.is_superuser:
        return None
    account = Account.objects.filter(pk=pk).first()
    if account is not None:
        request.session[_KEY] = account.pk
    return account


def _chosen_account(request: HttpRequest) -> Account | None:
    chosen = Account.objects.filter(pk=request.session.get(_KEY, "")).first()
    return chosen or Account.objects.order_by(*_ORDER).first()
