"""`/accounts/{id}/users`: the people of the caller's own account, read-only."""

from __future__ import annotations

from django.db.models import Case, F, QuerySet, TextField, Value, When
from django.db.models.functions import Coalesce, Concat, NullIf, Trim

from requests_queue.catalog import representations
from requests_queue.catalog.models import User
from requests_queue.catalog.schema import directory
from requests_queue.errors import Missing
from requests_queue.filtering import ConnectFilters, computed, filters, parts
from requests_queue.rest import Collection, routes


class AccountUserFilters(ConnectFilters):
    """What users can be filtered and ordered by."""

    MODEL = User
    FILTERS = [
        *filters(
            ("id", "uid"), "email", ("active", "is_active"), ("events.created.at", "date_joined"),
            search=("id", "email"),
        ),
        computed("name", "shown_name", TextField()),
        computed("status", "shown_status", TextField()),
        *parts("events"),
    ]  # fmt: skip


class AccountUsers(Collection):
    """`/accounts/{id}/users`, for both sides: of the caller's own account, service users left out;
    404 for any other account."""

    documented = directory.ACCOUNT_USERS
    represent = staticmethod(representations.account_user)
    rql_filter_class = AccountUserFilters

    def visible(self) -> QuerySet[User]:
        """Return the account's people; raises Missing."""
        pk = self.kwargs["account_id"]
        if pk != self.account.pk:
            raise Missing(pk)
        full = Trim(Concat("first_name", Value(" "), "last_name"))
        return User.objects.filter(account=self.account, is_service=False).alias(
            shown_name=Coalesce(NullIf(full, Value("")), F("username"), output_field=TextField()),
            shown_status=Case(
                When(is_active=True, then=Value(representations.ACTIVE)),
                default=Value(representations.DISABLED),
                output_field=TextField(),
            ),
        )

    def find(self, rows: QuerySet[User], pk: str) -> User | None:
        """Return the user by its identifier in the API."""
        return rows.filter(uid=pk).first()


urlpatterns = routes("accounts/(?P<account_id>[^/]+)/users", AccountUsers)
