"""Admin pages of accounts and their users."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.http import HttpRequest

from requests_queue import ids
from requests_queue.catalog.admin.base import CatalogAdmin
from requests_queue.catalog.admin_access import GuardedAdmin, PartOfPage, account_of
from requests_queue.catalog.models import Account, ApiToken, User


@admin.register(Account)
class AccountAdmin(CatalogAdmin):
    """Vendors and providers; an account sees itself and its partners."""

    list_display = ("name", "id", "type", "role", "brand", "created")
    list_filter = ("type",)
    search_fields = ("id", "name", "external_id")
    vendor_sees = ("pk", "provided_connections__vendor")
    provider_sees = ("pk", "vended_connections__provider")

    def kind_of(self, obj: Account) -> str:
        """Vendors are `VA-`, providers `PA-`."""
        return obj.type

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Return the fields that cannot change after creation."""
        return [*super().get_readonly_fields(request, obj), *(["type"] if obj else [])]


class ApiTokenInline(PartOfPage):
    """The API token of a service user, without its digest; `apikey` creates tokens."""

    model = ApiToken
    fields = ("name", "active", "created")
    readonly_fields = ("name", "created")
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: a token needs a secret, which only `apikey` creates."""
        return False


@admin.register(User)
class UserAdmin(GuardedAdmin, DjangoUserAdmin):  # type: ignore[type-arg]
    """People and service users; accounts see their own, without passwords and permissions."""

    list_display = ("username", "uid", "name", "email", "account", "is_service", "is_staff",
                    "is_active")  # fmt: skip
    list_filter = ("is_service", "is_staff", "is_active", "account")
    list_select_related = ("account",)
    search_fields = ("username", "uid", "email", "first_name", "last_name")
    inlines = [ApiTokenInline]
    deletable = True
    vendor_sees = provider_sees = ("account",)
    readonly_fields = ("uid", "last_login", "date_joined")
    connect = (None, {"fields": ("uid", "account", "is_service")})
    personal = ("Personal info", {"fields": ("username", "first_name", "last_name", "email")})
    add_fieldsets = (
        (None, {"fields": ("username", "email", "account", "usable_password", "password1",
                           "password2")}),
    )  # fmt: skip

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the fieldsets that the user may see."""
        if obj is not None and account_of(request) is not None:
            return (self.connect, self.personal)
        found = super().get_fieldsets(request, obj)
        return found if obj is None else (self.connect, *found)

    def get_list_filter(self, request: HttpRequest) -> Any:
        """Return the filters; those of accounts are for superusers only."""
        return self.list_filter[:3] if account_of(request) else self.list_filter

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        """Only service users have a key."""
        return self.inlines if obj is not None and obj.is_service else []

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save the user; a new one gets an identifier."""
        while not obj.uid:
            drawn = ids.draw("user")
            if not User.objects.filter(uid=drawn).exists():
                obj.uid = drawn
        super().save_model(request, obj, form, change)
