"""`/accounts` and `/accounts/{id}/users`: who the caller is; clients ask it first."""

from __future__ import annotations

from django.db.models import Case, QuerySet, TextField, Value, When

from requests_queue.api.schema import Documented
from requests_queue.catalog.models import Account, User
from requests_queue.catalog.models.accounts import name_by
from requests_queue.catalog.representations.accounts import ACCOUNT, ACCOUNT_USER, ACTIVE, DISABLED
from requests_queue.catalog.rest import Collection, routes
from requests_queue.errors import Missing


class Accounts(Collection):
    """`/accounts`, for both sides: each sees its own account and no other."""

    documented = Documented("Accounts", "account", ACCOUNT)

    def visible(self) -> QuerySet[Account]:
        """Return the caller's account."""
        return Account.objects.filter(pk=self.account.pk)


class AccountUsers(Collection):
    """`/accounts/{id}/users`, for both sides: people of the caller's own account.

    Service users are left out; 404 for any other account.
    """

    documented = Documented("Accounts", "user of an account", ACCOUNT_USER)

    def visible(self) -> QuerySet[User]:
        """Return the account's people; raises Missing."""
        pk = self.kwargs["account_id"]
        if pk != self.account.pk:
            raise Missing(pk)
        return User.objects.filter(account=self.account, is_service=False).alias(
            shown_name=name_by(),
            shown_status=Case(
                When(is_active=True, then=Value(ACTIVE)),
                default=Value(DISABLED),
                output_field=TextField(),
            ),
        )

    def find(self, rows: QuerySet[User], pk: str) -> User | None:
        """Return the user by its identifier in the API."""
        return rows.filter(uid=pk).first()


urlpatterns = [
    *routes("accounts/(?P<account_id>[^/]+)/users", AccountUsers),
    *routes("accounts", Accounts),
]
