"""The base of the catalog's admin pages: generated identifiers, dates, JSON fields.

Superusers add and change rows; accounts read their own. Rows that requests refer to cannot be
deleted here, because requests, deliveries and attempts would be deleted with them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, cast

from django.contrib import admin
from django.db import models, transaction
from django.http import HttpRequest

from requests_queue import clock, ids
from requests_queue.api.json_field import JsonField
from requests_queue.catalog import audit
from requests_queue.catalog.admin_access import GuardedAdmin


def json_formfield(db_field: models.JSONField) -> JsonField:
    """Return the form field of a JSON column; empty means the column's default."""
    kind = db_field.default if db_field.default in (dict, list) else None
    found = db_field.formfield(form_class=JsonField, kind=kind, required=False)
    return cast(JsonField, found)


def stamp(obj: Any) -> None:
    """Set the dates of a row before it is saved."""
    now = clock.shown(clock.now())
    if obj.created is None:
        obj.created = now
    if hasattr(obj, "updated"):
        obj.updated = now


class AuditedAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A page whose changes are in the audit log, each in its own transaction."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Save the parts of the page, with an entry for what has changed."""
        super().save_related(request, form, formsets, change)
        parts = {formset.prefix for formset in formsets if formset.has_changed()}
        if not change:
            self._record(audit.Action.ADMIN_CREATE, form.instance)
        elif fields := parts.union(form.changed_data):
            self._record(audit.Action.ADMIN_EDIT, form.instance, fields)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Delete a row with its entry."""
        self._record(audit.Action.ADMIN_DELETE, obj)
        super().delete_model(request, obj)

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> None:
        """Delete rows with an entry each."""
        for row in queryset:
            self._record(audit.Action.ADMIN_DELETE, row)
        super().delete_queryset(request, queryset)

    def _record(self, action: audit.Action, row: models.Model, fields: Iterable[str] = ()) -> None:
        audit.record(action, row._meta.model_name or "", row.pk, fields=fields)


class CatalogAdmin(AuditedAdmin, GuardedAdmin):
    """A page whose rows get generated identifiers and dates in platform time."""

    # The kind of identifiers, a key of `ids.FORMS`.
    kind: ClassVar[str]
    list_per_page = 50

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """Return the form field; that of JSON columns reports line and column of errors."""
        if isinstance(db_field, models.JSONField):
            return json_formfield(db_field)
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Return the generated fields: identifiers and dates."""
        own = ["id", "created", "updated", "published", "decommissioned", "version"]
        names = {f.name for f in self.opts.get_fields()}
        given = super().get_readonly_fields(request, obj)
        return [*(name for name in own if name in names), *given]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save the row; a new one gets an identifier."""
        stamp(obj)
        if change:
            obj.save()
        else:
            ids.create(obj, self.kind_of(obj))

    def kind_of(self, obj: Any) -> str:
        """Return the pattern of the row's identifier."""
        return self.kind
