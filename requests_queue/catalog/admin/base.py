"""The base of the catalog's admin pages: generated identifiers, dates, JSON fields.

Superusers add and change rows; accounts read their own. Rows that requests refer to cannot be
deleted here, because requests, deliveries and attempts would be deleted with them.
"""

from __future__ import annotations

from typing import Any, ClassVar, cast

from django.db import models
from django.http import HttpRequest

from requests_queue import clock, ids
from requests_queue.catalog.admin_access import GuardedAdmin
from requests_queue.json_field import JsonField


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


class CatalogAdmin(GuardedAdmin):
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
            return

        def make(pk: str) -> Any:
            obj.pk = pk
            return obj

        ids.create(make, self.kind_of(obj))

    def kind_of(self, obj: Any) -> str:
        """Return the pattern of the row's identifier."""
        return self.kind
