"""What the pages of the catalogue have in common: drawn identifiers, dates, JSON fields.

Superusers add and change; accounts look at their side. What requests hang on is not deleted
here, since its requests, deliveries and attempts would go with it.
"""

from __future__ import annotations

from typing import Any, ClassVar, cast

from django.db import models
from django.http import HttpRequest

from requests_queue import clock, ids
from requests_queue.catalog.admin_access import GuardedAdmin
from requests_queue.json_field import JsonField


def json_formfield(db_field: models.JSONField) -> JsonField:
    """Return the form field of a JSON column; left empty, it is the column's empty default."""
    kind = db_field.default if db_field.default in (dict, list) else None
    found = db_field.formfield(form_class=JsonField, kind=kind, required=False)
    return cast(JsonField, found)


def stamp(obj: Any) -> None:
    """Write the dates of a row that is about to be saved."""
    now = clock.shown(clock.now())
    if obj.created is None:
        obj.created = now
    if hasattr(obj, "updated"):
        obj.updated = now


class CatalogAdmin(GuardedAdmin):
    """A page whose rows get their identifier drawn, and their dates from the platform's clock."""

    # The form of identifiers, of `ids.FORMS`.
    kind: ClassVar[str]
    list_per_page = 50

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """Return the field of the form; JSON has one that says what is wrong, and where."""
        if isinstance(db_field, models.JSONField):
            return json_formfield(db_field)
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Return what the platform writes itself: identifiers and dates."""
        own = ["id", "created", "updated", "published", "decommissioned", "version"]
        names = {f.name for f in self.opts.get_fields()}
        given = super().get_readonly_fields(request, obj)
        return [*(name for name in own if name in names), *given]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save the row; a new one under a fresh identifier."""
        stamp(obj)
        if change:
            obj.save()
            return

        def make(pk: str) -> Any:
            obj.pk = pk
            return obj

        ids.create(make, self.kind_of(obj))

    def kind_of(self, obj: Any) -> str:
        """Return the form of the row's identifier."""
        return self.kind
