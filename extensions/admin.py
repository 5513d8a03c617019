"""Read-only admin of extensions; each account sees its own. Values of variables are not in it."""

from __future__ import annotations

from typing import ClassVar

from django.contrib import admin

from extensions.models import Environment, Extension, Installation, Run, Schedule, Task
from requests_queue.catalog.admin_access import GuardedAdmin, PartOfPage
from requests_queue.catalog.admin_show import column, moment_column, text


class _OwnAdmin(GuardedAdmin):
    """Rows of extensions that the account develops."""

    read_only = True
    vendor_sees: ClassVar[tuple[str, ...]] = ("environment__extension__account",)
    provider_sees: ClassVar[tuple[str, ...]] = vendor_sees


@admin.register(Extension)
class ExtensionAdmin(GuardedAdmin):
    """Extensions."""

    read_only = True
    vendor_sees = provider_sees = ("account",)
    list_display = ("id", "name", "type", "account")
    search_fields = ("id__exact", "name")
    fields = readonly_fields = ("id", "name", "type", "account", "products", "created")
    created = staticmethod(moment_column("created_at", "created"))


@admin.register(Environment)
class EnvironmentAdmin(GuardedAdmin):
    """Environments, with what their runners have declared."""

    read_only = True
    vendor_sees = provider_sees = ("extension__account",)
    list_display = ("id", "extension")
    search_fields = ("id__exact",)
    fields = readonly_fields = ("id", "extension", "subscriptions", "schedulables")


@admin.register(Installation)
class InstallationAdmin(_OwnAdmin):
    """Installations."""

    vendor_sees = provider_sees = ("account", "environment__extension__account")
    list_display = ("id", "environment", "account", "status")
    search_fields = ("id__exact",)
    fields = readonly_fields = ("id", "environment", "account", "status", "settings", "created")
    created = staticmethod(moment_column("created_at", "created"))


@admin.register(Schedule)
class ScheduleAdmin(_OwnAdmin):
    """Schedules."""

    list_display = ("shown_id", "name", "method", "enabled", "next")
    fields = readonly_fields = (
        "shown_id",
        "name",
        "description",
        "method",
        "parameter",
        "trigger",
        "enabled",
        "next",
    )
    shown_id = staticmethod(column("shown_id", "ID", str, ordering="pk"))
    next = staticmethod(moment_column("next_at", "next"))


class RunInline(PartOfPage):
    """The runs of a task."""

    model = Run
    read_only = True
    fields = readonly_fields = (
        "number",
        "started",
        "finished",
        "instance",
        "result",
        "said",
        "why",
    )
    ordering = ("id",)
    started = staticmethod(moment_column("started_at", "started"))
    finished = staticmethod(moment_column("finished_at", "finished"))
    said = staticmethod(column("message", "message", text))


@admin.register(Task)
class TaskAdmin(_OwnAdmin):
    """Tasks, with their runs."""

    list_display = ("shown_id", "event_type", "object_id", "status", "due")
    list_filter = ("status", "category")
    search_fields = ("object_id__exact",)
    fields = readonly_fields = (
        "shown_id",
        "environment",
        "installation",
        "event_type",
        "category",
        "object_id",
        "status",
        "created",
        "due",
        "retry_count",
        "rescheduled_count",
    )
    inlines = [RunInline]
    shown_id = staticmethod(column("shown_id", "ID", str, ordering="pk"))
    created = staticmethod(moment_column("created_at", "created"))
    due = staticmethod(moment_column("due_at", "due"))
