"""List filters of the admin's queue pages, with the declared statuses and types."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest


class _Choice(admin.SimpleListFilter):
    """A filter by one of the values that the queue declares: no look at the table."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows with the chosen value."""
        value = self.value()
        return queryset.filter(**{str(self.parameter_name): value}) if value else queryset


class StatusFilter(_Choice):
    """Filter by status."""

    title = parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the queue's statuses."""
        return [(status.name, status.title) for status in model_admin.queue.statuses]


class TypeFilter(_Choice):
    """Filter by type."""

    title = parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the queue's types."""
        return [(kind, kind) for kind in model_admin.queue.types]
