"""Admin pages of users, groups, API keys and the audit log."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from requests_queue.catalog import audit
from requests_queue.catalog.admin.base import AuditedAdmin
from requests_queue.catalog.admin_access import ChoiceFilter, GuardedAdmin, PartOfPage, account_of
from requests_queue.catalog.admin_show import column, moment
from requests_queue.catalog.models import Account, ApiToken, AuditEntry, User
from requests_queue.catalog.module_field import ModulesField


class ApiTokenForm(forms.ModelForm):  # type: ignore[type-arg]
    """A key's fields; those that cannot be changed are left out by the page."""

    modules = ModulesField()


class ApiTokenInline(PartOfPage):
    """The API key of a service user, without its digest; `apikey` and the portal create keys."""

    model = ApiToken
    form = ApiTokenForm
    fields = ("name", "description", "active", "modules", "created", "expires", "last_used")
    readonly_fields = ("name", "description", "created", "last_used")
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: a key is shown once, when `apikey` or the portal creates it."""
        return False


def _save_key(token: ApiToken, fields: Collection[str]) -> None:
    # Only these: the key may be revoked meanwhile.
    token.save(update_fields=fields)
    user = token.user
    audit.record(audit.Action.KEY_EDIT, "key", user.uid, account=user.account_id, fields=fields)


def _record_user(action: audit.Action, user: User, fields: Iterable[str] = ()) -> None:
    audit.record(action, "user", user.uid, account=user.account_id, fields=fields)


@admin.register(User)
class UserAdmin(GuardedAdmin, DjangoUserAdmin):  # type: ignore[type-arg]
    """People and service users; accounts see their own, without passwords and permissions."""

    list_display = (
        "username",
        "uid",
        "name",
        "email",
        "account",
        "is_service",
        "is_staff",
        "is_active",
    )
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
        (
            None,
            {
                "fields": (
                    "username",
                    "email",
                    "account",
                    "usable_password",
                    "password1",
                    "password2",
                )
            },
        ),
    )

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
        """Save the user with an entry in the audit log."""
        super().save_model(request, obj, form, change)
        if change and not form.changed_data:
            return
        action = audit.Action.USER_EDIT if change else audit.Action.USER_CREATE
        _record_user(action, obj, form.changed_data if change else ())

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """Save the key of the user with an entry in the audit log."""
        formset.save(commit=False)
        for token, fields in formset.changed_objects:
            _save_key(token, fields)

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        """Delete a user with an entry in the audit log."""
        _record_user(audit.Action.USER_DELETE, obj)
        super().delete_model(request, obj)

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Delete users with an entry each in the audit log."""
        for user in queryset:
            _record_user(audit.Action.USER_DELETE, user)
        super().delete_queryset(request, queryset)


admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(AuditedAdmin, DjangoGroupAdmin):
    """Groups of permissions, for staff without an account."""


@admin.register(ApiToken)
class ApiTokenAdmin(GuardedAdmin):
    """API keys: their prefix, which is the service user's ID, and never their secret."""

    form = ApiTokenForm
    list_display = (
        "prefix",
        "name",
        "account",
        "state",
        "module_names",
        "created",
        "expires",
        "last_used",
    )
    list_filter = ("active",)
    list_select_related = ("user__account",)
    search_fields = ("user__uid", "name")
    fields = (
        "prefix",
        "account",
        "name",
        "description",
        "active",
        "modules",
        "created",
        "expires",
        "last_used",
    )
    readonly_fields = ("prefix", "account", "created", "last_used")
    vendor_sees = provider_sees = ("user__account",)

    @admin.display(ordering="user__uid")
    def prefix(self, obj: ApiToken) -> str:
        """Return the part of the key before its secret."""
        return f"{obj.user.uid}:…"

    @admin.display(ordering="user__account")
    def account(self, obj: ApiToken) -> Account | None:
        return obj.user.account

    def state(self, obj: ApiToken) -> str:
        """Return `active`, `expired` or `revoked`."""
        return obj.state(timezone.now())

    @admin.display(description="modules")
    def module_names(self, obj: ApiToken) -> str:
        """Return the names of the modules, or that there are all."""
        return obj.module_names

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return False: a key is shown once, when `apikey` or the portal creates it."""
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save the key with an entry in the audit log."""
        if form.changed_data:
            _save_key(obj, form.changed_data)


class ActionFilter(ChoiceFilter):
    """Filter by action."""

    title = parameter_name = "action"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return all actions."""
        return [(action, action) for action in audit.Action]


@admin.register(AuditEntry)
class AuditEntryAdmin(GuardedAdmin):
    """The audit log, read-only; accounts see nothing of it."""

    read_only = True
    # To the second, for entries of the same minute.
    time = staticmethod(column("at", "time", moment, ordering="at"))
    list_display = (
        "time",
        "actor",
        "account",
        "action",
        "object_type",
        "object_id",
        "changed",
        "address",
    )
    list_filter = (ActionFilter,)
    search_fields = ("=object_id", "=actor", "=account", "=address")
    show_full_result_count = False
    list_per_page = 50
    actions = None

    @admin.display(description="changed fields")
    def changed(self, obj: AuditEntry) -> str:
        """Return the names of the changed fields."""
        return ", ".join(obj.fields)
