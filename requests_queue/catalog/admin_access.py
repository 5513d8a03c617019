"""Who may see and change what in the admin: the base of all its pages.

A superuser may do everything that a page offers. Staff of an account (`is_staff`; no model
permissions are needed) see their account's side of things and change what a page lets accounts
write, which is their webhooks. Staff without an account have Django's model permissions.
"""

from __future__ import annotations

from typing import Any, ClassVar, cast

from django.contrib import admin
from django.contrib.admin.utils import lookup_spawns_duplicates
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest

from requests_queue.catalog.models import Account, User


def user_of(request: HttpRequest) -> User:
    """Return who is signed in: the admin lets nobody else in, but to its sign-in page."""
    return cast(User, request.user)


def account_of(request: HttpRequest) -> Account | None:
    """Return the account that bounds what the request may see, None where nothing does."""
    user = user_of(request)
    # The sign-in page asks too, and who sees it is nobody yet: without permissions, too.
    return None if user.is_superuser else getattr(user, "account", None)


class GuardedAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A page that shows each account its own side.

    `vendor_sees` and `provider_sees` are ORM routes to an account: a row is seen by the account
    that one of them leads to. Without a route nothing is seen.
    """

    vendor_sees: ClassVar[tuple[str, ...]] = ()
    provider_sees: ClassVar[tuple[str, ...]] = ()
    # Whether staff of an account may add, change and delete what they see.
    accounts_write: ClassVar[bool] = False
    # What nobody may do here, superusers included.
    read_only: ClassVar[bool] = False
    deletable: ClassVar[bool] = False

    class Media:
        css: ClassVar[dict[str, Any]] = {"all": ["requests_queue/admin.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows that the user may see."""
        rows = super().get_queryset(request)
        match = request.resolver_match
        if match and (match.url_name or "").endswith("_changelist"):
            rows = rows.defer(*self.deferred_in_list())
        account = account_of(request)
        return rows if account is None else self.visible_to(rows, account)

    def deferred_in_list(self) -> tuple[str, ...]:
        """Return the large columns that the page's list has no use for."""
        return ()

    def visible_to(self, rows: QuerySet[Any], account: Account) -> QuerySet[Any]:
        """Return those of the rows that the account may see."""
        routes = self._routes(account)
        if not routes:
            return rows.none()
        seen = Q()
        for route in routes:
            seen |= Q(**{route: account.pk})
        if any(lookup_spawns_duplicates(self.opts, route) for route in routes):
            return rows.filter(pk__in=self.model._default_manager.filter(seen).values("pk"))
        return rows.filter(seen)

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """Whether a list's query may look there: an account's, by the list's own filters only.

        Django takes any relation of the row, and so would tell what others have to do with it.
        Regular expressions are nobody's: on SQLite they run in Python, for as long as they like.
        """
        if lookup.rpartition("__")[2] in ("regex", "iregex"):
            return False
        if account_of(request) is not None:
            names = [_parameter(each) for each in self.get_list_filter(request)]
            if not any(lookup == name or lookup.startswith(f"{name}__") for name in names):
                return False
        return super().lookup_allowed(lookup, value, request)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Whether the index names the page."""
        account = account_of(request)
        if account is None:
            return super().has_module_permission(request)
        return bool(self._routes(account))

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whether the user may see the row, or any row."""
        account = account_of(request)
        if account is None:
            return super().has_view_permission(request, obj)
        return self._sees(request, account, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whether the user may add a row."""
        if self.read_only:
            return False
        account = account_of(request)
        if account is None:
            return super().has_add_permission(request)
        return self.accounts_write and bool(self._routes(account))

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whether the user may change the row, or any row."""
        if self.read_only:
            return False
        account = account_of(request)
        if account is None:
            return super().has_change_permission(request, obj)
        return self.accounts_write and self._sees(request, account, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whether the user may delete the row, or any row."""
        if self.read_only or not self.deletable:
            return False
        account = account_of(request)
        if account is None:
            return super().has_delete_permission(request, obj)
        return self.accounts_write and self._sees(request, account, obj)

    def _routes(self, account: Account) -> tuple[str, ...]:
        return self.vendor_sees if account.is_vendor else self.provider_sees

    def _sees(self, request: HttpRequest, account: Account, obj: Model | None) -> bool:
        if obj is None:
            return bool(self._routes(account))
        # A page asks several times for one row: the answer is kept with the request.
        kept: dict[Any, bool] = request.__dict__.setdefault("_seen_by_account", {})
        key = (self.model, obj.pk)
        if key not in kept:
            kept[key] = self.get_queryset(request).filter(pk=obj.pk).exists()
        return kept[key]


def _parameter(given: Any) -> str:
    """Return what a list's filter is called in the query."""
    if isinstance(given, type):
        return str(getattr(given, "parameter_name", ""))
    return str(given if isinstance(given, str) else given[0])


class PartOfPage(admin.TabularInline):  # type: ignore[type-arg]
    """Rows within another's page: whoever may change that one may change these."""

    extra = 0
    show_change_link = False
    # What nobody may do here.
    read_only: ClassVar[bool] = False

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whether the page itself may be seen."""
        return bool(self._page().has_view_permission(request, obj))

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whether the page itself may be changed."""
        return self.has_change_permission(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whether the page itself may be changed."""
        return not self.read_only and bool(self._page().has_change_permission(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whether the page itself may be changed."""
        return self.has_change_permission(request, obj)

    def _page(self) -> Any:
        return self.admin_site._registry[self.parent_model]
