"""Permissions of the admin: the base class of its pages.

Superusers may do everything that a page offers. Staff of an account (`is_staff`, without model
permissions) see the account's rows, and change them on pages with `accounts_write` (webhooks).
Staff without an account have Django's model permissions.
"""

from __future__ import annotations

from typing import Any, ClassVar, cast

from django.contrib import admin
from django.contrib.admin.utils import lookup_spawns_duplicates
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest

from requests_queue.catalog.models import Account, User


def user_of(request: HttpRequest) -> User:
    """Return the signed-in user; anonymous on the sign-in page only."""
    return cast(User, request.user)


def account_of(request: HttpRequest) -> Account | None:
    """Return the account whose rows the request may see, None for all rows."""
    user = user_of(request)
    # The sign-in page calls this, too, with an anonymous user.
    return None if user.is_superuser else getattr(user, "account", None)


class GuardedAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A page that shows each account its own rows.

    `vendor_sees` and `provider_sees` are ORM routes from a row to the accounts that may see it.
    Without a route accounts see nothing.
    """

    vendor_sees: ClassVar[tuple[str, ...]] = ()
    provider_sees: ClassVar[tuple[str, ...]] = ()
    # Whether staff of an account may add, change and delete what they see.
    accounts_write: ClassVar[bool] = False
    # Applies to superusers, too.
    read_only: ClassVar[bool] = False
    deletable: ClassVar[bool] = False
    # Large columns, which the list does not show.
    deferred_in_list: tuple[str, ...] = ()

    class Media:
        css: ClassVar[dict[str, Any]] = {"all": ["requests_queue/admin.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows that the user may see."""
        rows, account = super().get_queryset(request), account_of(request)
        match = request.resolver_match
        if match and (match.url_name or "").endswith("_changelist"):
            rows = rows.defer(*self.deferred_in_list)
            return rows if account is None else self.listed_to(rows, account)
        return rows if account is None else self.visible_to(rows, account)

    def visible_to(self, rows: QuerySet[Any], account: Account) -> QuerySet[Any]:
        """Return the rows that the account may see."""
        routes = self._routes(account)
        if not routes:
            return rows.none()
        seen = Q.create([(route, account.pk) for route in routes], connector=Q.OR)
        if any(lookup_spawns_duplicates(self.opts, route) for route in routes):
            return rows.filter(pk__in=self.model._default_manager.filter(seen).values("pk"))
        return rows.filter(seen)

    def listed_to(self, rows: QuerySet[Any], account: Account) -> QuerySet[Any]:
        """Return the rows that the account's list has: by default all that it may see."""
        return self.visible_to(rows, account)

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """Whether a list may be filtered by the lookup: accounts use the list's filters only.

        Django allows any relation, which would reveal rows of other accounts. Regular expressions
        are refused for all: on SQLite they run in Python, without a time limit.
        """
        if lookup.rpartition("__")[2] in ("regex", "iregex"):
            return False
        if account_of(request) is not None:
            names = [_parameter(each) for each in self.get_list_filter(request)]
            if not any(lookup == name or lookup.startswith(f"{name}__") for name in names):
                return False
        return super().lookup_allowed(lookup, value, request)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Whether the index lists the page."""
        if account_of(request) is None:
            return super().has_module_permission(request)
        return self._sees(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whether the user may see the row, or any row."""
        if account_of(request) is None:
            return super().has_view_permission(request, obj)
        return self._sees(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whether the user may add a row."""
        if account_of(request) is None:
            return not self.read_only and super().has_add_permission(request)
        return self._may_write(request)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whether the user may change the row, or any row."""
        if account_of(request) is None:
            return not self.read_only and super().has_change_permission(request, obj)
        return self._may_write(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whether the user may delete the row, or any row."""
        if self.read_only or not self.deletable:
            return False
        if account_of(request) is None:
            return super().has_delete_permission(request, obj)
        return self._may_write(request, obj)

    def _routes(self, account: Account) -> tuple[str, ...]:
        return self.vendor_sees if account.is_vendor else self.provider_sees

    def _may_write(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.accounts_write and not self.read_only and self._sees(request, obj)

    def _sees(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whether the user's account may see the row, or any row."""
        account = account_of(request)
        if account is None or obj is None:
            return account is not None and bool(self._routes(account))
        return self.get_queryset(request).filter(pk=obj.pk).exists()


def _parameter(given: Any) -> str:
    """Return the query parameter of a list filter."""
    if isinstance(given, type):
        return str(getattr(given, "parameter_name", ""))
    return str(given if isinstance(given, str) else given[0])


class ChoiceFilter(admin.SimpleListFilter):
    """A filter by one of the values that are declared: no look at the table."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows with the chosen value."""
        value = self.value()
        return queryset.filter(**{str(self.parameter_name): value}) if value else queryset


class PartOfPage(admin.TabularInline):  # type: ignore[type-arg]
    """An inline table, with the permissions of the page that contains it."""

    extra = 0
    show_change_link = False
    # Applies to superusers, too.
    read_only: ClassVar[bool] = False

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whether the page itself may be seen."""
        return bool(self._page().has_view_permission(request, obj))

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whether the page itself may be changed."""
        return not self.read_only and bool(self._page().has_change_permission(request, obj))

    has_add_permission = has_delete_permission = has_change_permission

    def _page(self) -> Any:
        return self.admin_site.get_model_admin(self.parent_model)
