"""`/accounts`: who the caller is; clients ask it first."""

from __future__ import annotations

from django.db.models import QuerySet

from requests_queue.catalog.models import Account
from requests_queue.catalog.representations.accounts import ACCOUNT
from requests_queue.rest import Collection, routes
from requests_queue.schema import Documented


class Accounts(Collection):
    """`/accounts`, for both sides: each sees its own account and no other."""

    documented = Documented("Accounts", "account", ACCOUNT)

    def visible(self) -> QuerySet[Account]:
        """Return the caller's account."""
        return Account.objects.filter(pk=self.account.pk)


urlpatterns = routes("accounts", Accounts)
