"""`/accounts`: who the caller is; clients ask it first."""

from __future__ import annotations

from django.db.models import QuerySet

from requests_queue.catalog import representations
from requests_queue.catalog.models import Account
from requests_queue.catalog.schema import directory
from requests_queue.filtering import ConnectFilters, filters, parts
from requests_queue.rest import Collection, routes


class AccountFilters(ConnectFilters):
    """What accounts can be filtered and ordered by."""

    MODEL = Account
    FILTERS = [
        *filters(
            "id", "name", "type", "role", "brand", "external_id", ("events.created.at", "created"),
            search=("id", "name"),
        ),
        *parts("icon", "description", "events", "events.created"),
    ]  # fmt: skip


class Accounts(Collection):
    """`/accounts`, for both sides: each sees its own account and no other."""

    documented = directory.ACCOUNTS
    represent = staticmethod(representations.account)
    rql_filter_class = AccountFilters

    def visible(self) -> QuerySet[Account]:
        """Return the caller's account."""
        return Account.objects.filter(pk=self.account.pk)


urlpatterns = routes("accounts", Accounts)
