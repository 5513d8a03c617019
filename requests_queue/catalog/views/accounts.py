"""`/accounts` and their users: who the caller is; clients ask it first."""

from __future__ import annotations

from django.db.models import Case, QuerySet, TextField, Value, When
from rest_framework.request import Request
from rest_framework.response import Response

from requests_queue.api.schema import Documented
from requests_queue.catalog import visibility
from requests_queue.catalog.models import Account, User
from requests_queue.catalog.models.accounts import name_by
from requests_queue.catalog.representations.accounts import ACCOUNT, ACCOUNT_USER, ACTIVE, DISABLED
from requests_queue.catalog.rest import Collection, routes
from requests_queue.catalog.views.audited import AuditedCollection
from requests_queue.catalog.writes import partners
from requests_queue.errors import Missing


class Accounts(AuditedCollection):
    """`/accounts`, for both sides: each sees its own account and no other."""

    documented = Documented(
        "Accounts",
        "account",
        ACCOUNT,
        queries={"create": {"code": "The code of the contract, if the body has none."}},
    )
    bodies = {"create": partners.AccountInput()}

    def visible(self) -> QuerySet[Account]:
        """Return the caller's account."""
        return Account.objects.filter(pk=self.account.pk)

    def create(self, request: Request) -> Response:
        """Activate the account of a program contract's partner, for the contract's provider: 201.

        The code is that of the contract's `activation`.
        """
        visibility.require_provider(self.account, "Accounts")
        body = self.body
        code = body.get("code") or request.query_params.get("code") or None
        return self.answer(partners.activate_account({**body, "code": code}, self.account), 201)


class People(Collection):
    """`/users`, for both sides: people of the caller's own account, without service users."""

    documented = Documented("Accounts", "user", ACCOUNT_USER)

    def visible(self) -> QuerySet[User]:
        """Return the account's people."""
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


class AccountUsers(People):
    """`/accounts/{id}/users`, for both sides: the same; 404 for any other account."""

    documented = Documented("Accounts", "user of an account", ACCOUNT_USER)

    def visible(self) -> QuerySet[User]:
        """Return the account's people; raises Missing."""
        pk = self.kwargs["account_id"]
        if pk != self.account.pk:
            raise Missing(pk)
        return super().visible()


urlpatterns = [
    *routes("accounts/(?P<account_id>[^/]+)/users", AccountUsers),
    *routes("accounts", Accounts),
    *routes("users", People),
]
