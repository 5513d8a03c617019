"""Admin pages of products, with their items, parameters and templates."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db import models
from django.http import HttpRequest

from requests_queue import ids
from requests_queue.catalog.admin.base import CatalogAdmin, json_formfield, stamp
from requests_queue.catalog.admin_access import PartOfPage
from requests_queue.catalog.models import Item, Parameter, Product, Template
from requests_queue.catalog.writes import items


class _Part(PartOfPage):
    """An inline table of a product's page."""

    formfield_overrides = {
        models.TextField: {"widget": forms.Textarea(attrs={"rows": 2, "cols": 30})},
    }

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """Return the form field; a small one for JSON."""
        if not isinstance(db_field, models.JSONField):
            return super().formfield_for_dbfield(db_field, request, **kwargs)
        found = json_formfield(db_field)
        found.widget.attrs |= {"rows": 2, "cols": 30}
        return found


class ItemInline(_Part):
    """The items of a product."""

    model = Item
    fields = ("local_id", "mpn", "name", "type", "period", "precision", "unit", "status")


class ParameterInline(_Part):
    """The parameters of a product."""

    model = Parameter
    fields = ("name", "title", "type", "scope", "phase", "constraints", "position")


class TemplateInline(_Part):
    """The templates of a product."""

    model = Template
    fields = ("name", "title", "scope", "type", "body")


@admin.register(Product)
class ProductAdmin(CatalogAdmin):
    """Products with their items, parameters and templates."""

    kind = "product"
    list_display = ("name", "id", "owner", "status", "version", "updated")
    list_filter = ("status", ("owner", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("owner",)
    search_fields = ("id", "name", "external_id")
    inlines = [ItemInline, ParameterInline, TemplateInline]
    vendor_sees = ("owner",)
    provider_sees = ("connections__provider",)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """Set identifiers and dates of new inline rows."""
        for row in formset.save(commit=False):
            stamp(row)
            if isinstance(row, Item) and not row.pk:
                row.pk = items.next_id(row.product_id)
            if isinstance(row, Template) and not row.pk:
                row.pk = ids.draw("template")
            row.save()
        for row in formset.deleted_objects:
            row.delete()
        formset.save_m2m()
