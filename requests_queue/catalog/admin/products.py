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
from requests_queue.catalog.writes import items, products
from requests_queue.catalog.writes import versions as writes
from requests_queue.db.rows import set_columns
from requests_queue.errors import Invalid


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


class _StatusForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form with the statuses that a product or an item can have next."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "status" in self.fields:
            status = "draft" if self.instance._state.adding else self.instance.status
            choices = [(name, name) for name in (status, *products.NEXT_STATUSES.get(status, ()))]
            self.fields["status"] = forms.ChoiceField(choices=choices)


class _ItemForm(_StatusForm):
    """An item; a published one keeps what the API doesn't change of it either."""

    def clean(self) -> dict[str, Any]:
        """Return the values, with an error for each that has to stay."""
        values = super().clean() or {}
        unit = values.get("unit")
        # One that isn't changed may be older than the rules.
        if unit and unit != self.instance.unit:
            try:
                unit |= items.UnitInput().check(unit)
            except Invalid as wrong:
                # Comparing a unit of another form would fail.
                self.add_error("unit", " ".join(map(str, wrong.errors)))
                return values
        if self.instance.status != "draft" and not self.instance._state.adding:
            for name in items.constant_changes(self.instance, values):
                self.add_error(name, items.constant_error(name))
            for name in items.CONSTANTS.keys() & values.keys():
                values[name] = getattr(self.instance, name)
        return values


class ItemInline(_Part):
    """The items of a product."""

    model = Item
    form = _ItemForm
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
    form = _StatusForm
    list_display = ("name", "id", "owner", "status", "version", "updated")
    list_filter = ("status", ("owner", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("owner",)
    search_fields = ("id", "name", "external_id")
    inlines = [ItemInline, ParameterInline, TemplateInline]
    vendor_sees = ("owner",)
    provider_sees = ("connections__provider",)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save the product, whose newest version stays as it was; a new one has none yet."""
        if not change:
            obj.version = 0
            super().save_model(request, obj, form, change)
            return
        products.begin_change(obj)
        changes = {name: form.cleaned_data[name] for name in form.changed_data}
        if changes.get("status") == "published":
            changes |= products.ON_SALE
        # Only these: the API may have published it meanwhile.
        products.save(obj, changes, only=True)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Save the parts; a draft that became published gets a version, as by the API."""
        super().save_related(request, form, formsets, change)
        before = form.initial.get("status") if change else "draft"
        if before == "draft" and form.instance.status == "published":
            writes.create(form.instance, {"public": True})

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """Set identifiers and dates of new inline rows."""
        for row in formset.save(commit=False):
            stamp(row)
            if isinstance(row, Item):
                row.pk = row.pk or items.next_id(row.product_id)
                if row.status == "endofsale":
                    row.sale_ended = row.sale_ended or row.updated
                elif row.status == "published":
                    set_columns(row, products.ON_SALE | {"sale_ended": None})
            if isinstance(row, Template) and not row.pk:
                row.pk = ids.draw("template")
            row.save()
        for row in formset.deleted_objects:
            row.delete()
        formset.save_m2m()
